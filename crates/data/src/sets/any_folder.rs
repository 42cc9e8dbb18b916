//! All photographs below a folder, with or without classes: what is to be embedded and not trained on.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::layout::Contents;
use super::left_out;
use crate::error::DataError;
use crate::listing::tree;
use crate::table::{Row, Split, Table};

/// Every photograph below `folder`, sorted by path, as a test row. Its class is the first folder on its way, behind that of
/// a split; a photograph outside of such folders has the class of the empty name.
///
/// # Errors
/// If the folder cannot be read, or holds no photograph.
pub fn photographs_in(folder: &Path) -> Result<Table, DataError> {
    let tree = tree(folder, None)?;
    let notices = left_out::unread(&tree, Path::new(""));
    if tree.files.is_empty() {
        let mut problem = "there are no images in it".to_owned();
        for notice in notices {
            problem += &format!("; {notice}");
        }
        return Err(DataError::content(folder, "folder", problem));
    }
    let splits = Contents::of(&tree, Path::new("")).splits();
    let class = |path: &PathBuf| {
        let folders = path.parent().unwrap_or(Path::new(""));
        let is_split = |name: &OsStr| splits.iter().any(|&(split, _)| split == name);
        let mut names = folders.iter().skip_while(|name| is_split(name));
        names
            .next()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let mut names: Vec<String> = tree.files.iter().map(class).collect();
    names.sort();
    names.dedup();
    let row = |path: &PathBuf| {
        let label = names.partition_point(|name| *name < class(path));
        Row::file(path, label, Split::Test)
    };
    let rows = tree.files.iter().map(row).collect();
    let mut table = Table::of_files("images", folder, names.clone(), rows);
    table.notices = notices;
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets::image_folder::tests::{folder_of, listing};

    fn classes(files: &[&str]) -> Vec<(String, String)> {
        let folder = folder_of(files);
        let table = photographs_in(folder.path()).unwrap();
        let rows = listing(&table).into_iter();
        rows.map(|(path, label, _)| (path, table.class_names[label].clone()))
            .collect()
    }

    #[test]
    fn the_class_is_the_first_folder_behind_that_of_a_split() {
        type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);
        let cases: [Case; 3] = [
            (
                &[
                    "b/1.jpg",
                    "a/deep/2.gif",
                    "3.png",
                    "a/@eaDir/2.gif/thumb.jpg",
                ],
                &[("3.png", ""), ("a/deep/2.gif", "a"), ("b/1.jpg", "b")],
            ),
            (
                &["Train/a/1.jpg", "Test/a/2.jpg", "Test/3.jpg"],
                &[
                    ("Test/3.jpg", ""),
                    ("Test/a/2.jpg", "a"),
                    ("Train/a/1.jpg", "a"),
                ],
            ),
            (
                &["bus/1.jpg", "train/2.jpg"],
                &[("bus/1.jpg", "bus"), ("train/2.jpg", "train")],
            ),
        ];
        for (files, expected) in cases {
            let expected: Vec<_> = expected
                .iter()
                .map(|&(path, class)| (path.to_owned(), class.to_owned()))
                .collect();
            assert_eq!(classes(files), expected, "{files:?}");
        }
    }

    #[test]
    fn a_folder_without_photographs_says_what_lies_there_instead() {
        let folder = folder_of(&["a/1.heic"]);
        let message = photographs_in(folder.path()).unwrap_err().to_string();
        assert!(
            message.contains("there are no images in it; 1 picture in a form that is not read"),
            "{message}"
        );
    }
}
