//! Stanford Dogs: 120 breeds, photographs from ImageNet.
//!
//! Khosla et al., *Novel dataset for fine-grained image categorization*, CVPR workshop 2011. Layout: `Images/`, `Annotation/`
//! and the three MATLAB lists beside them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::mat_lists::MatList;
use super::paths::{check_files, relative};
use super::voc::{self, Regions};
use crate::error::DataError;
use crate::table::{Row, Split, Table};

const CLASSES: usize = 120;

/// What every number on this set must be read with.
pub(crate) const NOTICE: &str = "the photographs of Stanford Dogs are taken from ImageNet: weights pretrained on ImageNet \
    have seen them, test photographs included";

/// Reads `train_list.mat` and `test_list.mat`; rows are in their order.
pub(crate) fn open(root: &Path, regions: Regions) -> Result<Table, DataError> {
    let mut seen = BTreeMap::new();
    let mut folders: Vec<Option<String>> = vec![None; CLASSES];
    let mut rows = Vec::new();
    for (name, split) in [
        ("train_list.mat", Split::Train),
        ("test_list.mat", Split::Test),
    ] {
        let list = MatList::open(&root.join(name))?;
        let labels = list.whole_numbers("labels", 1, CLASSES)?;
        let files = list.texts("file_list")?;
        if files.len() != labels.len() {
            let problem = format!("{} labels for {} files", labels.len(), files.len());
            return Err(DataError::content(&list.path, "labels", problem));
        }
        for (position, (file, class)) in files.into_iter().zip(labels).enumerate() {
            let place = format!("file_list element {}", position + 1);
            let error = |problem| DataError::content(&list.path, place.clone(), problem);
            let path = relative(&list.path, &place, file)?;
            if let Some(earlier) = seen.insert(file.to_owned(), name) {
                return Err(error(format!("{file} stands in {earlier} too")));
            }
            let Some((folder, _)) = file.split_once('/') else {
                return Err(error(format!("{file} is not in the folder of a breed")));
            };
            let known = folders[class - 1].get_or_insert_with(|| folder.to_owned());
            if known != folder {
                return Err(error(format!(
                    "{file} has class {class}, which is {known} elsewhere"
                )));
            }
            let mut row = Row::file(PathBuf::from("Images").join(&path), class - 1, split);
            if regions == Regions::Annotated {
                row.region = voc::open(&root.join("Annotation").join(path.with_extension("")))?;
            }
            rows.push(row);
        }
    }
    check_files(root, &rows)?;
    let (class_ids, class_names) = folders
        .into_iter()
        .enumerate()
        .map(|(label, folder)| match folder {
            Some(folder) => breed(&folder),
            // A subset may lack a class; its number keeps the others in place.
            None => (String::new(), format!("class {}", label + 1)),
        })
        .unzip();
    let mut table = Table::of_files("stanford-dogs", root, class_names, rows);
    table.class_ids = class_ids;
    table.notices.push(NOTICE.to_owned());
    Ok(table)
}

/// `n02085620-Chinese_crested` is the breed `Chinese crested` with the WordNet id `n02085620`.
fn breed(folder: &str) -> (String, String) {
    match folder.split_once('-') {
        Some((id, name)) => (id.to_owned(), name.replace('_', " ")),
        None => (String::new(), folder.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mat::tests::{cells, file, text, whole_numbers};

    const FILES: [&str; 3] = [
        "n01-Chihuahua/n01_1.jpg",
        "n02-Shih-Tzu/n02_1.jpg",
        "n01-Chihuahua/n01_2.jpg",
    ];

    fn folder(train: &[(&str, u16)], test: &[(&str, u16)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            lodestone_files::write_whole(&folder.path().join(name), |file| file.write_all(bytes))
                .unwrap();
        };
        for (name, rows) in [("train_list.mat", train), ("test_list.mat", test)] {
            let paths: Vec<Vec<u8>> = rows.iter().map(|(path, _)| text("", path)).collect();
            let labels: Vec<u16> = rows.iter().map(|&(_, label)| label).collect();
            write(
                name,
                &file(&[cells("file_list", &paths), whole_numbers("labels", &labels)]),
            );
        }
        for path in FILES {
            write(&format!("Images/{path}"), b"");
        }
        write("Images/n01-Chihuahua/._n01_1.jpg", b"");
        write(
            "Annotation/n01-Chihuahua/n01_2",
            b"<bndbox><xmin>5</xmin><ymin>6</ymin><xmax>7</xmax><ymax>8</ymax></bndbox>",
        );
        folder
    }

    #[test]
    fn lists_folders_and_annotations_make_the_table() {
        let folder = folder(&[(FILES[0], 1), (FILES[1], 2)], &[(FILES[2], 1)]);
        let table = open(folder.path(), Regions::Annotated).unwrap();
        assert_eq!(table.labels(&[0, 1, 2]), [0, 1, 0]);
        assert_eq!(table.split(Split::Test), [2]);
        assert_eq!(table.class_names[..3], ["Chihuahua", "Shih-Tzu", "class 3"]);
        assert_eq!(table.class_ids[..2], ["n01", "n02"]);
        assert_eq!(table.rows[2].region.unwrap().left, 4);
        assert_eq!(table.rows[0].region, None);
        assert!(table.notices[0].contains("ImageNet"));
    }

    #[test]
    fn labels_must_agree_with_folders() {
        let cases = [
            (
                folder(&[(FILES[0], 1), (FILES[2], 2), (FILES[1], 2)], &[]),
                "n02-Shih-Tzu/n02_1.jpg has class 2, which is n01-Chihuahua",
            ),
            (folder(&[(FILES[0], 121)], &[]), "labels: element 1 is 121"),
            (
                folder(&[(FILES[0], 1)], &[(FILES[0], 1)]),
                "test_list.mat: file_list element 1",
            ),
            (
                folder(&[("../a.jpg", 1)], &[]),
                "leaves the data set's folder",
            ),
            (folder(&[("n01-Chihuahua/gone.jpg", 1)], &[]), "gone.jpg"),
        ];
        for (folder, expected) in cases {
            let message = open(folder.path(), Regions::Whole).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
