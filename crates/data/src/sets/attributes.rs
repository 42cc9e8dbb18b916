//! Attribute labels of ImageNet photographs, for the paper's experiment on what neighbours share.
//!
//! Which photographs of a table are annotated is found by file name; which classes have any decides the subset of ImageNet
//! that the experiment trains on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::mat_lists::MatList;
use crate::error::DataError;
use crate::mat::Value;
use crate::table::{Row, Source, Table};

/// Attribute labels of ImageNet photographs: release 1.0 has 9600 photographs and 25 attributes.
///
/// Russakovsky and Fei-Fei, *Attribute learning in large-scale datasets*, ECCV workshop 2010.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// Names of the attributes.
    pub names: Vec<String>,
    /// File names of the photographs without ending, such as `n12345678_123`.
    pub images: Vec<String>,
    /// Row-major `[images, names]`: 1 has it, -1 has it not, 0 ambiguous.
    pub values: Vec<i8>,
}

impl Attributes {
    /// WordNet ids of the classes with at least one photograph, sorted: the part of a name before the `_`.
    pub fn class_ids(&self) -> Vec<String> {
        let ids = self.images.iter().map(|name| class_id(name).to_owned());
        ids.collect::<BTreeSet<String>>().into_iter().collect()
    }

    /// The annotations of a photograph, one value for each of the names.
    ///
    /// # Panics
    /// If `image` is not below the number of images.
    pub fn of_image(&self, image: usize) -> &[i8] {
        &self.values[image * self.names.len()..(image + 1) * self.names.len()]
    }

    /// Pairs of a row of `table` and its position in [`images`](Self::images), by row: the annotated photographs among its
    /// files. The file name without ending is compared.
    pub fn rows_in(&self, table: &Table) -> Vec<(usize, usize)> {
        let position_of: BTreeMap<&str, usize> = self
            .images
            .iter()
            .enumerate()
            .map(|(position, name)| (name.as_str(), position))
            .collect();
        let position = |row: &Row| match &row.source {
            Source::File(path) => position_of.get(path.file_stem()?.to_str()?).copied(),
            Source::Packed(_) => None,
        };
        let rows = table.rows.iter().enumerate();
        rows.filter_map(|(number, row)| Some((number, position(row)?)))
            .collect()
    }
}

fn class_id(image: &str) -> &str {
    image.split_once('_').map_or(image, |(id, _)| id)
}

/// Reads the attribute file (variables `attributes`, `images`, `labels`).
///
/// # Errors
/// [`DataError`] naming the variable if one is missing, of another size, or holds another value than -1, 0 and 1.
pub fn read_attributes(path: &Path) -> Result<Attributes, DataError> {
    let file = MatList::open(path)?;
    let owned = |texts: Vec<&str>| {
        texts
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<String>>()
    };
    let names = owned(file.texts("attributes")?);
    let images = owned(file.texts("images")?);
    let Value::Numbers(labels) = file.value("labels")? else {
        return Err(DataError::content(path, "labels", "holds no numbers"));
    };
    if labels.len() != names.len() * images.len() {
        let problem = format!(
            "{} values for {} images and {} attributes",
            labels.len(),
            images.len(),
            names.len()
        );
        return Err(DataError::content(path, "labels", problem));
    }
    let mut values = vec![0; labels.len()];
    // The file is column-major: all photographs of the first attribute come first.
    for (position, &label) in labels.iter().enumerate() {
        if ![-1.0, 0.0, 1.0].contains(&label) {
            let problem = format!("element {} is {label}, not -1, 0 or 1", position + 1);
            return Err(DataError::content(path, "labels", problem));
        }
        let (attribute, image) = (position / images.len(), position % images.len());
        values[image * names.len() + attribute] = label as i8;
    }
    Ok(Attributes {
        names,
        images,
        values,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::mat::tests::{cells, file, text, whole_numbers};
    use crate::table::Split;

    /// An attribute file of two attributes and these photographs, whose labels are all 1.
    pub(crate) fn annotations(images: &[&str]) -> Vec<u8> {
        let names = |names: &[&str]| names.iter().map(|name| text("", name)).collect::<Vec<_>>();
        file(&[
            cells("attributes", &names(&["black", "round"])),
            cells("images", &names(images)),
            whole_numbers("labels", &vec![1; 2 * images.len()]),
        ])
    }

    #[test]
    fn annotated_photographs_are_found_by_their_file_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("attrann.mat");
        let bytes = annotations(&["n2_1", "n1_7", "n1_8"]);
        lodestone_files::write_whole(&path, |file| file.write_all(&bytes)).unwrap();
        let attributes = read_attributes(&path).unwrap();
        assert_eq!(attributes.class_ids(), ["n1", "n2"]);
        let files = [
            "train/n1/n1_7.JPEG",
            "train/n1/n1_9.JPEG",
            "train/n2/n2_1.JPEG",
        ];
        let rows = files.map(|path| Row::file(path, 0, Split::Train)).to_vec();
        let table = Table::of_files("t", Path::new(""), vec!["n".into()], rows);
        assert_eq!(attributes.rows_in(&table), [(0, 1), (2, 0)]);
        assert_eq!(attributes.of_image(1), [1, 1]);
    }

    #[test]
    fn attributes_become_one_row_a_photograph() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("attrann.mat");
        let write = |labels: &[u16]| {
            let names =
                |names: &[&str]| names.iter().map(|name| text("", name)).collect::<Vec<_>>();
            let bytes = file(&[
                cells("attributes", &names(&["black", "round"])),
                cells("images", &names(&["n1_1", "n1_2", "n2_1"])),
                whole_numbers("labels", labels),
            ]);
            lodestone_files::write_whole(&path, |file| file.write_all(&bytes)).unwrap();
            read_attributes(&path)
        };
        let attributes = write(&[1, 0, 0, 1, 1, 0]).unwrap();
        assert_eq!(attributes.values, [1, 1, 0, 1, 0, 0]);
        assert_eq!(attributes.names, ["black", "round"]);
        let message = write(&[1, 0, 0, 1, 1, 2]).unwrap_err().to_string();
        assert!(
            message.contains("labels: element 6 is 2, not -1, 0 or 1"),
            "{message}"
        );
        let message = write(&[1, 0]).unwrap_err().to_string();
        assert!(
            message.contains("2 values for 3 images and 2 attributes"),
            "{message}"
        );
    }
}
