//! Any folder of photographs: one folder a class, with or without `train` and `val` or `test` on top.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::error::DataError;
use crate::table::{Row, Split, Table};

/// Endings of files that are taken for images, as torchvision's folder reader has them. The content decides the format.
const ENDINGS: [&str; 9] = [
    "jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp",
];
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
pub(crate) fn open(name: &str, root: &Path) -> Result<Table, DataError> {
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
    let mut classes = BTreeSet::new();
    for (part, _) in &parts {
        classes.extend(class_folders(&root.join(part))?);
    }
    let classes: Vec<String> = classes.into_iter().collect();
    if classes.is_empty() {
        return Err(DataError::content(root, "folder", "no class folders in it"));
    }
    let mut rows = Vec::new();
    for (part, split) in parts {
        for class in class_folders(&root.join(&part))? {
            // Every class of this part was put into the sorted list above.
            let label = classes.binary_search(&class).unwrap_or_default();
            let folder = part.join(&class);
            let files = image_files(root, &folder)?;
            if files.is_empty() {
                let path = root.join(folder);
                return Err(DataError::content(
                    &path,
                    "class folder",
                    "no image file in it",
                ));
            }
            rows.extend(files.into_iter().map(|file| Row::file(file, label, split)));
        }
    }
    Ok(Table::of_files(name, root, classes, rows))
}

/// Names of the folders below `path` that are classes, sorted by bytes.
pub(crate) fn class_folders(path: &Path) -> Result<Vec<String>, DataError> {
    let mut names = Vec::new();
    for entry in entries(path)? {
        if !path.join(&entry).is_dir() {
            continue;
        }
        let name = entry.into_os_string().into_string().map_err(|name| {
            DataError::content(&path.join(name), "class folder", "the name is not UTF-8")
        })?;
        names.push(name);
    }
    Ok(names)
}

/// Image files at any depth below `root/folder`, as paths relative to `root`, sorted by bytes.
///
/// Links to folders are followed; a link that leads back to a folder it stands in is an error.
pub(crate) fn image_files(root: &Path, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    walk(root, folder, &mut Vec::new(), &mut files)?;
    files.sort();
    Ok(files)
}

fn walk(
    root: &Path,
    folder: &Path,
    ancestors: &mut Vec<PathBuf>,
    files: &mut Vec<PathBuf>,
) -> Result<(), DataError> {
    let path = root.join(folder);
    let real = path
        .canonicalize()
        .map_err(|source| DataError::read(&path, source))?;
    if ancestors.contains(&real) {
        let problem = format!("leads back to {}", real.display());
        return Err(DataError::content(&path, "link loop", problem));
    }
    ancestors.push(real);
    for entry in entries(&path)? {
        let relative = folder.join(&entry);
        if path.join(&entry).is_dir() {
            walk(root, &relative, ancestors, files)?;
        } else if has_image_ending(&entry) {
            files.push(relative);
        }
    }
    ancestors.pop();
    Ok(())
}

/// Names in a folder, sorted; hidden files, among them the `._` files of macOS, are left out.
fn entries(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|source| DataError::read(path, source))? {
        let name = entry
            .map_err(|source| DataError::read(path, source))?
            .file_name();
        if !name.as_encoded_bytes().starts_with(b".") {
            names.push(PathBuf::from(name));
        }
    }
    names.sort();
    Ok(names)
}

fn has_image_ending(path: &Path) -> bool {
    path.extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| {
            ENDINGS
                .iter()
                .any(|known| known.eq_ignore_ascii_case(ending))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Source;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            lodestone_files::write_whole(&folder.path().join(file), |_| Ok(())).unwrap();
        }
        folder
    }

    fn listing(table: &Table) -> Vec<(String, usize, Split)> {
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
        let folder = tree(&[
            "b/2.JPG",
            "b/deep/er/1.png",
            "a/-x y.webp",
            "a/é\n.bmp",
            "a/._1.jpg",
            "a/n.txt",
            "r.jpg",
        ]);
        let table = open("folder", folder.path()).unwrap();
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
        let table = open(
            "folder",
            tree(&["train/b/1.jpg", "val/a/1.jpg", "val/b/2.jpg"]).path(),
        )
        .unwrap();
        let expected = [
            ("train/b/1.jpg".to_owned(), 1, Split::Train),
            ("val/a/1.jpg".to_owned(), 0, Split::Test),
            ("val/b/2.jpg".to_owned(), 1, Split::Test),
        ];
        assert_eq!(listing(&table), expected);
        let table = open(
            "folder",
            tree(&["train/a/1.jpg", "val/a/1.jpg", "test/a/2.jpg"]).path(),
        );
        let splits: Vec<Split> = table.unwrap().rows.iter().map(|row| row.split).collect();
        assert_eq!(splits, [Split::Train, Split::Validation, Split::Test]);
    }

    #[test]
    fn empty_folders_are_errors_with_their_path() {
        let folder = tree(&["a/1.jpg", "b/readme.txt"]);
        let message = open("folder", folder.path()).unwrap_err().to_string();
        assert!(
            message.contains("b: class folder: no image file in it"),
            "{message}"
        );
        let message = open("folder", tree(&[]).path()).unwrap_err().to_string();
        assert!(message.contains("no class folders"), "{message}");
        let message = open("folder", Path::new("/nowhere/at/all"))
            .unwrap_err()
            .to_string();
        assert!(message.contains("/nowhere/at/all"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_loop_is_an_error_and_an_honest_link_is_followed() {
        let folder = tree(&["a/1.jpg"]);
        let outside = tree(&["2.jpg"]);
        std::os::unix::fs::symlink(outside.path(), folder.path().join("a/linked")).unwrap();
        assert_eq!(open("folder", folder.path()).unwrap().rows.len(), 2);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("a/loop")).unwrap();
        let message = open("folder", folder.path()).unwrap_err().to_string();
        assert!(message.contains("link loop"), "{message}");
    }
}
