//! Any folder of photographs: one folder a class, with or without folders of splits on top.

use std::collections::BTreeSet;
use std::path::Path;

use super::layout::{Contents, Layout, SplitFolder, layout};
use super::left_out;
use crate::error::DataError;
use crate::listing::{Tree, tree};
use crate::table::{Row, Split, Table};

/// Opens a folder whose first level is classes, or splits of classes; without splits every row is training.
///
/// With `train` and only one other split folder, that one is the test split, whatever its name. Class folders without a
/// photograph are left out; that, and whatever else is not read, stands in the notices.
pub(crate) fn open(name: &str, root: &Path, listings: Option<&Path>) -> Result<Table, DataError> {
    let tree = tree(root, listings)?;
    let Layout { parts, mut notices } = layout(root, &tree)?;
    let mut trees = Vec::new();
    let (mut classes, mut empty) = (BTreeSet::new(), Vec::new());
    for SplitFolder { folder, split } in parts {
        let inside = tree.inside(&folder);
        let filled = Contents::of(&tree, &folder).folders;
        for class in class_folders(&root.join(&folder), &inside)? {
            if filled.contains_key(std::ffi::OsStr::new(&class)) {
                classes.insert(class);
            } else {
                empty.push(folder.join(class));
            }
        }
        notices.extend(left_out::loose(&inside, &folder));
        trees.push((folder, split, inside));
    }
    notices.extend(left_out::empty(&empty));
    notices.extend(left_out::unread(&tree, Path::new("")));
    let classes: Vec<String> = classes.into_iter().collect();
    let mut rows = Vec::new();
    for (folder, split, inside) in trees {
        rows.extend(class_rows(&folder, inside, &classes, split));
    }
    let mut table = Table::of_files(name, root, classes, rows);
    table.notices = notices;
    Ok(table)
}

/// Names of the first level of a tree, sorted by bytes.
pub(crate) fn class_folders(root: &Path, tree: &Tree) -> Result<Vec<String>, DataError> {
    let first_level = tree
        .folders
        .iter()
        .filter(|folder| folder.components().count() == 1);
    first_level
        .map(|folder| {
            folder.to_str().map(str::to_owned).ok_or_else(|| {
                DataError::content(&root.join(folder), "class folder", "the name is not UTF-8")
            })
        })
        .collect()
}

/// A row for every file of a tree that lies below one of the sorted `classes`; files elsewhere are left out.
pub(crate) fn class_rows(part: &Path, tree: Tree, classes: &[String], split: Split) -> Vec<Row> {
    let mut rows = Vec::with_capacity(tree.files.len());
    for file in tree.files {
        let mut components = file.iter();
        let class = components.next().and_then(|class| class.to_str());
        let label = class.and_then(|class| {
            let named = classes.binary_search_by(|name| name.as_str().cmp(class));
            named.ok()
        });
        if let (Some(label), Some(_)) = (label, components.next()) {
            rows.push(Row::file(part.join(file), label, split));
        }
    }
    rows
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::table::Source;

    pub(crate) fn folder_of(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            lodestone_files::write_whole(&folder.path().join(file), |_| Ok(())).unwrap();
        }
        folder
    }

    pub(crate) fn listing(table: &Table) -> Vec<(String, usize, Split)> {
        let path = |source: &Source| match source {
            Source::File(path) => path.to_str().unwrap().replace('\\', "/"),
            Source::Packed(_) => unreachable!("folders hold files"),
        };
        table
            .rows
            .iter()
            .map(|row| (path(&row.source), row.label, row.split))
            .collect()
    }

    #[test]
    fn classes_and_files_are_sorted_and_other_files_left_out() {
        let folder = folder_of(&[
            "b/2.JPG",
            "b/deep/er/1.png",
            "a/-x y.webp",
            "a/é\n.bmp",
            "a/._1.jpg",
            "a/n.txt",
            "r.jpg",
        ]);
        let table = open("folder", folder.path(), None).unwrap();
        assert_eq!(table.class_names, ["a", "b"]);
        let expected = [
            ("a/-x y.webp", 0),
            ("a/é\n.bmp", 0),
            ("b/2.JPG", 1),
            ("b/deep/er/1.png", 1),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|&(path, label)| (path.to_owned(), label, Split::Train))
            .collect();
        assert_eq!(listing(&table), expected);
        assert_eq!(
            table.notices,
            [
                "1 photograph in no class folder is left out, such as r.jpg: put them into the folders of their classes",
                "1 file with the ending of no photograph is left out (1 .txt), such as a/n.txt",
            ]
        );
    }

    #[test]
    fn split_folders_share_one_list_of_classes() {
        let folder = folder_of(&["train/b/1.jpg", "val/a/1.jpg", "val/b/2.jpg"]);
        let table = open("folder", folder.path(), None).unwrap();
        let expected = [
            ("train/b/1.jpg".to_owned(), 1, Split::Train),
            ("val/a/1.jpg".to_owned(), 0, Split::Test),
            ("val/b/2.jpg".to_owned(), 1, Split::Test),
        ];
        assert_eq!(listing(&table), expected);
        let folder = folder_of(&["train/a/1.jpg", "val/a/1.jpg", "test/a/2.jpg"]);
        let table = open("folder", folder.path(), None).unwrap();
        let splits: Vec<Split> = table.rows.iter().map(|row| row.split).collect();
        assert_eq!(splits, [Split::Train, Split::Validation, Split::Test]);
    }

    #[test]
    fn photographs_that_are_not_read_are_said() {
        let folder = folder_of(&[
            "Train/a/1.jfif",
            "Train/a/2.gif",
            "Train/b/1.heic",
            "Train/b/2.png",
            "Test/a/1.png",
            "Test/loose.png",
            "__MACOSX/Train/a/1.png",
        ]);
        let table = open("folder", folder.path(), None).unwrap();
        let expected = [
            ("Train/a/1.jfif".to_owned(), 0, Split::Train),
            ("Train/a/2.gif".to_owned(), 0, Split::Train),
            ("Train/b/2.png".to_owned(), 1, Split::Train),
            ("Test/a/1.png".to_owned(), 0, Split::Test),
        ];
        assert_eq!(listing(&table), expected);
        assert_eq!(
            table.notices,
            [
                "1 photograph in no class folder is left out, such as Test/loose.png: put them into the folders of their classes",
                "1 picture in a form that is not read is left out (1 .heic), such as Train/b/1.heic: convert them to JPEG or PNG",
            ]
        );
    }

    #[test]
    fn class_folders_without_a_photograph_are_left_out_and_said() {
        let folder = folder_of(&["a/1.jpg", "b/1.heic", "c/1.jpg"]);
        std::fs::create_dir(folder.path().join("empty")).unwrap();
        let table = open("folder", folder.path(), None).unwrap();
        assert_eq!(table.class_names, ["a", "c"]);
        assert_eq!(table.labels(&[0, 1]), [0, 1]);
        assert_eq!(
            table.notices[0],
            "2 class folders without a photograph are left out: b, empty"
        );
        assert!(
            table.notices[1].contains("b/1.heic: convert"),
            "{:?}",
            table.notices
        );
    }

    #[test]
    fn a_folder_without_photographs_is_an_error_with_its_path() {
        let cases: [(&[&str], &str); 3] = [
            (&[], "no class folders with photographs"),
            (
                &["1.jpg"],
                "1 photograph directly in it: make a folder for each class",
            ),
            (&["a/1.heic"], "1 picture in a form that is not read"),
        ];
        for (files, expected) in cases {
            let folder = folder_of(files);
            let message = open("folder", folder.path(), None).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert!(
                message.starts_with(folder.path().to_str().unwrap()),
                "{message}"
            );
        }
        let message = open("folder", Path::new("/nowhere/at/all"), None)
            .unwrap_err()
            .to_string();
        assert!(message.contains("/nowhere/at/all"), "{message}");
    }
}
