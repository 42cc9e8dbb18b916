//! Any folder of photographs: one folder a class, with or without `train` and `val` or `test` on top.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::error::DataError;
use crate::listing::{Tree, tree};
use crate::table::{Row, Split, Table};

/// Folder names that mean a split when they stand on top.
const SPLITS: [(&str, Split); 5] = [
    ("train", Split::Train),
    ("val", Split::Validation),
    ("valid", Split::Validation),
    ("validation", Split::Validation),
    ("test", Split::Test),
];

/// Opens a folder whose first level is classes, or splits of classes; without splits every row is training.
///
/// With `train` and only one other split folder, that one is the test split, whatever its name.
pub(crate) fn open(name: &str, root: &Path, listings: Option<&Path>) -> Result<Table, DataError> {
    let mut parts: Vec<(PathBuf, Split)> = SPLITS
        .iter()
        .map(|&(folder, split)| (PathBuf::from(folder), split))
        .filter(|(folder, _)| root.join(folder).is_dir())
        .collect();
    if !parts.iter().any(|&(_, split)| split == Split::Train) {
        parts = vec![(PathBuf::new(), Split::Train)];
    }
    if !parts.iter().any(|&(_, split)| split == Split::Test) {
        for (_, split) in &mut parts {
            if *split == Split::Validation {
                *split = Split::Test;
            }
        }
    }
    let mut trees = Vec::new();
    let mut classes = BTreeSet::new();
    for (part, split) in parts {
        let tree = tree(&root.join(&part), listings)?;
        classes.extend(class_folders(&root.join(&part), &tree)?);
        trees.push((part, split, tree));
    }
    let classes: Vec<String> = classes.into_iter().collect();
    if classes.is_empty() {
        return Err(DataError::content(root, "folder", "no class folders in it"));
    }
    let mut rows = Vec::new();
    for (part, split, tree) in trees {
        rows.extend(class_rows(root, &part, tree, &classes, split)?);
    }
    Ok(Table::of_files(name, root, classes, rows))
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
///
/// A class folder of the tree without a file is an error.
pub(crate) fn class_rows(
    root: &Path,
    part: &Path,
    tree: Tree,
    classes: &[String],
    split: Split,
) -> Result<Vec<Row>, DataError> {
    let mut filled = vec![false; classes.len()];
    let mut rows = Vec::with_capacity(tree.files.len());
    for file in tree.files {
        let mut components = file.components();
        let class = components
            .next()
            .and_then(|class| class.as_os_str().to_str());
        let known = class.and_then(|class| {
            classes
                .binary_search_by(|name| name.as_str().cmp(class))
                .ok()
        });
        if let (Some(label), Some(_)) = (known, components.next()) {
            filled[label] = true;
            rows.push(Row::file(part.join(file), label, split));
        }
    }
    for folder in tree.folders {
        let name = folder.to_str().unwrap_or_default();
        if classes
            .binary_search_by(|class| class.as_str().cmp(name))
            .is_ok_and(|label| !filled[label])
        {
            let path = root.join(part).join(folder);
            return Err(DataError::content(
                &path,
                "class folder",
                "no image file in it",
            ));
        }
    }
    Ok(rows)
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
    fn empty_folders_are_errors_with_their_path() {
        let folder = folder_of(&["a/1.jpg", "b/readme.txt"]);
        let message = open("folder", folder.path(), None).unwrap_err().to_string();
        assert!(
            message.contains("b: class folder: no image file in it"),
            "{message}"
        );
        let message = open("folder", folder_of(&[]).path(), None)
            .unwrap_err()
            .to_string();
        assert!(message.contains("no class folders"), "{message}");
        let message = open("folder", Path::new("/nowhere/at/all"), None)
            .unwrap_err()
            .to_string();
        assert!(message.contains("/nowhere/at/all"), "{message}");
    }
}
