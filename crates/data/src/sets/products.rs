//! Stanford Online Products: 22 634 products in twelve kinds, a few photographs of each.
//!
//! Oh Song et al., *Deep metric learning via lifted structured feature embedding*, CVPR 2016. The products of `Ebay_test.txt`
//! are none of `Ebay_train.txt`; the kind, which is the coarse label, is named by the folder of the photographs.

use std::collections::BTreeMap;
use std::path::Path;

use super::paths::check_files;
use super::text_lists::TextList;
use crate::error::DataError;
use crate::table::{Row, Split, Table};

const CLASSES: usize = 22_634;
const KINDS: usize = 12;
const COLUMNS: &str = "image_id class_id super_class_id path";

/// Reads both lists; rows are in their order, training first.
pub(crate) fn open(root: &Path) -> Result<Table, DataError> {
    let mut first_seen = BTreeMap::new();
    let mut kinds: Vec<Option<String>> = vec![None; KINDS];
    let mut kind_of: Vec<Option<usize>> = vec![None; CLASSES];
    let mut rows = Vec::new();
    for (name, split) in [
        ("Ebay_train.txt", Split::Train),
        ("Ebay_test.txt", Split::Test),
    ] {
        let list = TextList::open(&root.join(name))?;
        for line in list.below_header(COLUMNS)? {
            let [image, class, kind, path] = line.fields()?;
            line.whole("image_id", image, 1..=usize::MAX)?;
            let label = line.whole("class_id", class, 1..=CLASSES)? - 1;
            let kind = line.whole("super_class_id", kind, 1..=KINDS)? - 1;
            if let Some(earlier) = first_seen.insert(path.to_owned(), (name, line.number)) {
                let (list, number) = earlier;
                return Err(line.error(format!("{path} stands in {list} line {number} too")));
            }
            let Some((folder, _)) = path.split_once('/') else {
                return Err(line.error(format!("{path} is not in the folder of a super-class")));
            };
            let known = kinds[kind].get_or_insert_with(|| folder.to_owned());
            if known != folder {
                let number = kind + 1;
                let problem = format!("super-class {number} is {folder} here and {known} before");
                return Err(line.error(problem));
            }
            let known = *kind_of[label].get_or_insert(kind);
            if known != kind {
                let (here, before) = (kind + 1, known + 1);
                let problem =
                    format!("class {class} is of super-class {here} here and {before} before");
                return Err(line.error(problem));
            }
            let mut row = Row::file(line.path(path)?, label, split);
            row.coarse = Some(kind);
            rows.push(row);
        }
    }
    check_files(root, &rows)?;
    let kinds = kinds.into_iter().enumerate().map(|(number, folder)| {
        // A subset may lack kinds and products; their numbers keep the others in place.
        folder.map_or_else(
            || format!("super-class {}", number + 1),
            |folder| kind(&folder),
        )
    });
    let kinds: Vec<String> = kinds.collect();
    let products = kind_of.into_iter().enumerate().map(|(label, kind)| {
        let kind = kind.map_or("class", |kind| &kinds[kind]);
        format!("{kind} {}", label + 1)
    });
    let mut table = Table::of_files("stanford-online-products", root, products.collect(), rows);
    table.class_ids = (1..=CLASSES).map(|class| class.to_string()).collect();
    table.coarse_names = kinds;
    Ok(table)
}

/// `coffee_maker_final` holds photographs of the kind `coffee maker`.
fn kind(folder: &str) -> String {
    let name = folder.strip_suffix("_final").unwrap_or(folder);
    name.replace('_', " ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::doctor::tests::photograph;

    const TRAINING: &str = "image_id class_id super_class_id path\n\
        1 1 1 bicycle_final/1110_0.JPG\n2 1 1 bicycle_final/1110_1.JPG\n\
        3 2 4 coffee_maker_final/1112_0.JPG\n";
    const TEST: &str = "image_id class_id super_class_id path\n\
        59552 11319 1 bicycle_final/2514_0.JPG\n59553 11319 1 bicycle_final/2514_1.JPG\n";

    fn write(folder: &Path, name: &str, bytes: &[u8]) {
        lodestone_files::write_whole(&folder.join(name), |file| file.write_all(bytes)).unwrap();
    }

    /// Five photographs of three products.
    pub(crate) fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, list) in [("Ebay_train.txt", TRAINING), ("Ebay_test.txt", TEST)] {
            write(folder.path(), name, list.as_bytes());
            for line in list.lines().skip(1) {
                let fields: Vec<&str> = line.split(' ').collect();
                let seed = fields[0].parse().unwrap();
                write(folder.path(), fields[3], &photograph(seed));
            }
        }
        folder
    }

    #[test]
    fn the_lists_are_the_splits_and_the_folders_the_kinds() {
        let folder = folder();
        let table = open(folder.path()).unwrap();
        assert_eq!(table.split(Split::Train), [0, 1, 2]);
        assert_eq!(table.split(Split::Test), [3, 4]);
        assert_eq!(table.labels(&[0, 1, 2, 3, 4]), [0, 0, 1, 11318, 11318]);
        let coarse = table.coarse_labels(&[0, 1, 2, 3, 4]);
        assert_eq!(coarse, Some(vec![0, 0, 3, 0, 0]));
        assert_eq!((table.classes(), table.coarse_names.len()), (22_634, 12));
        assert_eq!(table.coarse_names[..2], ["bicycle", "super-class 2"]);
        assert_eq!(
            table.class_names[..3],
            ["bicycle 1", "coffee maker 2", "class 3"]
        );
        assert_eq!(table.class_ids[11318], "11319");
    }

    #[test]
    fn bad_lines_are_named_with_file_line_and_value() {
        let cases = [
            (
                "",
                "Ebay_test.txt: header: the columns \"image_id class_id super_class_id path\" are not named",
            ),
            (
                "1 1 1 bicycle_final/1110_0.JPG",
                "Ebay_test.txt: line 1: the columns are \"1 1 1 bicycle_final/1110_0.JPG\" instead",
            ),
            ("4 3 1", "Ebay_test.txt: line 2: 3 fields instead of 4"),
            (
                "4 22635 1 a/b.JPG",
                "line 2: class_id \"22635\" is not a whole number of 1..=22634",
            ),
            (
                "4 3 13 a/b.JPG",
                "super_class_id \"13\" is not a whole number of 1..=12",
            ),
            (
                "x 3 1 a/b.JPG",
                "image_id \"x\" is not a whole number from 1 on",
            ),
            (
                "4 3 1 bicycle_final/1110_1.JPG",
                "line 2: bicycle_final/1110_1.JPG stands in Ebay_train.txt line 3 too",
            ),
            ("4 3 1 b.JPG", "b.JPG is not in the folder of a super-class"),
            (
                "4 3 1 chair_final/b.JPG",
                "super-class 1 is chair_final here and bicycle_final before",
            ),
            (
                "4 1 4 coffee_maker_final/b.JPG",
                "class 1 is of super-class 4 here and 1 before",
            ),
            ("4 3 2 ../b.JPG", "the path \"../b.JPG\" leaves"),
            ("4 3 1 bicycle_final/gone.JPG", "gone.JPG: listed file"),
        ];
        for (line, expected) in cases {
            let folder = folder();
            let header = if line.ends_with("1110_0.JPG") || line.is_empty() {
                ""
            } else {
                "image_id class_id super_class_id path\n"
            };
            write(
                folder.path(),
                "Ebay_test.txt",
                format!("{header}{line}").as_bytes(),
            );
            let message = open(folder.path()).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
