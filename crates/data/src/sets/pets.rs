//! Oxford-IIIT Pet: 37 breeds of cats and dogs, with the species as coarse label.
//!
//! Parkhi et al., *Cats and Dogs*, CVPR 2012. The split files decide what belongs to the set: the image folder holds more.
//! Species are read from their column, because the README of the archive gives the ranges of the breeds the wrong way round.

use std::collections::BTreeMap;
use std::path::Path;

use lodestone_files::read_text;

use super::paths::{check_files, relative};
use super::voc::{self, Regions};
use crate::error::DataError;
use crate::table::{Row, Split, Table};

const CLASSES: usize = 37;
const SPECIES: [&str; 2] = ["cat", "dog"];

/// One line of `trainval.txt` or `test.txt`: image id, class from 1, species, breed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) id: String,
    pub(crate) label: usize,
    pub(crate) species: usize,
}

/// Reads both lists; rows are in their order, training first.
pub(crate) fn open(root: &Path, regions: Regions) -> Result<Table, DataError> {
    let annotations = root.join("annotations");
    let mut first_seen: BTreeMap<String, String> = BTreeMap::new();
    let mut breeds: Vec<Option<(String, usize)>> = vec![None; CLASSES];
    let mut rows = Vec::new();
    for (name, split) in [("trainval.txt", Split::Train), ("test.txt", Split::Test)] {
        let list = annotations.join(name);
        for line in parse(&list, &read_text(&list)?)? {
            let place = format!("line {}", line.number);
            if let Some(earlier) = first_seen.insert(line.id.clone(), format!("{name} {place}")) {
                let problem = format!("{} stands in {earlier} too", line.id);
                return Err(DataError::content(&list, place, problem));
            }
            let breed = breed_name(&line.id);
            let known = breeds[line.label].get_or_insert((breed.clone(), line.species));
            if *known != (breed.clone(), line.species) {
                let problem = format!(
                    "class {} is {breed}, {} here and {}, {} before",
                    line.label + 1,
                    SPECIES[line.species],
                    known.0,
                    SPECIES[known.1]
                );
                return Err(DataError::content(&list, place, problem));
            }
            let path = relative(&list, &place, &format!("images/{}.jpg", line.id))?;
            let mut row = Row::file(path, line.label, split);
            row.coarse = Some(line.species);
            if regions == Regions::Annotated {
                row.region = voc::open(&annotations.join("xmls").join(format!("{}.xml", line.id)))?;
            }
            rows.push(row);
        }
    }
    check_files(root, &rows)?;
    let names = breeds.into_iter().enumerate().map(|(label, breed)| {
        // A subset of the set may lack a class; its number keeps the others in place.
        breed.map_or_else(|| format!("class {}", label + 1), |(name, _)| name)
    });
    let mut table = Table::of_files("oxford-iiit-pet:trainval", root, names.collect(), rows);
    table.class_ids = (1..=CLASSES).map(|class| class.to_string()).collect();
    table.coarse_names = SPECIES.map(str::to_owned).to_vec();
    Ok(table)
}

/// Reads a list; empty lines and lines that begin with `#` are left out.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Vec<Line>, DataError> {
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let error = |problem: String| DataError::content(path, format!("line {number}"), problem);
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[id, class, species, _breed] = &fields[..] else {
            return Err(error(format!(
                "{} fields instead of 4 in {line:?}",
                fields.len()
            )));
        };
        let whole = |name: &str, text: &str, highest: usize| {
            text.parse()
                .ok()
                .filter(|value| (1..=highest).contains(value))
                .ok_or_else(|| {
                    error(format!(
                        "{name} {text:?} is not a whole number of 1..={highest}"
                    ))
                })
        };
        if id.contains(['/', '\\']) {
            return Err(error(format!("the image id {id:?} contains a path")));
        }
        let label = whole("class", class, CLASSES)? - 1;
        let species = whole("species", species, SPECIES.len())? - 1;
        lines.push(Line {
            number,
            id: id.to_owned(),
            label,
            species,
        });
    }
    Ok(lines)
}

/// `Egyptian_Mau_14` is of the breed `Egyptian Mau`.
fn breed_name(id: &str) -> String {
    let breed = id.rsplit_once('_').map_or(id, |(breed, _)| breed);
    breed.replace('_', " ")
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::table::PixelBox;

    pub(crate) fn folder(trainval: &str, test: &str, images: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            lodestone_files::write_whole(&path, |file| file.write_all(text.as_bytes())).unwrap();
        };
        write("annotations/trainval.txt", trainval);
        write("annotations/test.txt", test);
        for image in images {
            write(&format!("images/{image}.jpg"), "");
        }
        folder
    }

    #[test]
    fn labels_species_and_names_come_from_the_lists() {
        let folder = folder(
            "#id class species breed\nEgyptian_Mau_14 9 1 4\npug_1 37 2 25\n",
            "Egyptian_Mau_2 9 1 4\n",
            &["Egyptian_Mau_14", "pug_1", "Egyptian_Mau_2", "unlisted_1"],
        );
        let xml = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>";
        let path = folder.path().join("annotations/xmls/pug_1.xml");
        lodestone_files::write_whole(&path, |file| file.write_all(xml.as_bytes())).unwrap();
        let table = open(folder.path(), Regions::Annotated).unwrap();
        assert_eq!(table.rows.len(), 3);
        assert_eq!(table.labels(&[0, 1, 2]), [8, 36, 8]);
        assert_eq!(table.coarse_labels(&[0, 1, 2]), Some(vec![0, 1, 0]));
        assert_eq!(table.split(Split::Test), [2]);
        assert_eq!(
            (&*table.class_names[8], &*table.class_names[36]),
            ("Egyptian Mau", "pug")
        );
        assert_eq!(
            (&*table.class_names[0], &*table.class_ids[36]),
            ("class 1", "37")
        );
        assert_eq!(table.rows[0].region, None);
        let region = PixelBox {
            left: 0,
            top: 1,
            right: 3,
            bottom: 4,
        };
        assert_eq!(table.rows[1].region, Some(region));
        assert_eq!(
            open(folder.path(), Regions::Whole).unwrap().rows[1].region,
            None
        );
    }

    #[test]
    fn lists_and_annotations_may_begin_with_a_byte_order_mark() {
        let folder = folder(
            "\u{feff}pug_1 37 2 25\r\npug_2 37 2 25\r\n",
            "\u{feff}pug_3 37 2 25\n",
            &["pug_1", "pug_2", "pug_3"],
        );
        let xml =
            "\u{feff}<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>";
        let path = folder.path().join("annotations/xmls/pug_1.xml");
        lodestone_files::write_whole(&path, |file| file.write_all(xml.as_bytes())).unwrap();
        let table = open(folder.path(), Regions::Annotated).unwrap();
        assert_eq!(table.class_names[36], "pug");
        assert_eq!(table.labels(&[0, 1, 2]), [36; 3]);
        assert!(table.rows[0].region.is_some());
    }

    #[test]
    fn bad_lines_are_named_with_file_line_and_value() {
        let cases = [
            (
                "a_1 99 1 1\n",
                "",
                "trainval.txt: line 1: class \"99\" is not a whole number of 1..=37",
            ),
            ("\na_1 1 3 1\n", "", "trainval.txt: line 2: species \"3\""),
            ("a_1 1 1\n", "", "3 fields instead of 4"),
            ("../a_1 1 1 1\n", "", "\"../a_1\" contains a path"),
            (
                "a_1 1 1 1\n",
                "a_1 1 1 1\n",
                "test.txt: line 1: a_1 stands in trainval.txt line 1 too",
            ),
            (
                "a_1 1 1 1\nb_1 1 1 1\n",
                "",
                "class 1 is b, cat here and a, cat before",
            ),
        ];
        for (trainval, test, expected) in cases {
            let folder = folder(trainval, test, &["a_1", "b_1"]);
            let message = open(folder.path(), Regions::Whole).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "([a-z]_1 [0-9]{1,2} [12] 1\n|#x\n|[^\\x00]{0,20}\n){0,6}") {
            for line in parse(Path::new("f"), &text).unwrap_or_default() {
                prop_assert!(line.label < CLASSES && line.species < 2);
            }
        }
    }
}
