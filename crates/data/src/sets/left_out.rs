//! What of a folder is not read, in words: a reader of the results must know what is missing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::listing::Tree;

/// Endings of pictures in forms that are not decoded.
const PICTURES: [&str; 26] = [
    "avif", "heic", "heif", "hif", "jxl", "jp2", "j2k", "jpx", "svg", "psd", "dng", "cr2", "cr3",
    "crw", "nef", "arw", "orf", "raf", "rw2", "pef", "tga", "dds", "exr", "hdr", "ico", "pcx",
];
/// Names or endings in one sentence.
const SHOWN: usize = 5;

/// Files that are passed over for their ending: pictures, and what else lies in the folders of a tree. Lists and readmes
/// beside the folders are nobody's loss. `part` is where the tree stands in the set.
pub(crate) fn unread(tree: &Tree, part: &Path) -> Vec<String> {
    let (pictures, others): (Vec<&PathBuf>, Vec<&PathBuf>) = tree
        .others
        .iter()
        .partition(|path| PICTURES.contains(&ending(path).as_str()));
    let inside = |path: &&PathBuf| path.components().count() > 1;
    let others: Vec<&PathBuf> = others.into_iter().filter(inside).collect();
    let mut notices = Vec::new();
    if let Some(first) = pictures.first() {
        notices.push(format!(
            "{} in a form that is not read {} left out ({}), such as {}: convert them to JPEG or PNG",
            count(pictures.len(), "picture"),
            are(pictures.len()),
            endings(&pictures),
            part.join(first).display()
        ));
    }
    if let Some(first) = others.first() {
        notices.push(format!(
            "{} with the ending of no photograph {} left out ({}), such as {}",
            count(others.len(), "file"),
            are(others.len()),
            endings(&others),
            part.join(first).display()
        ));
    }
    notices
}

/// Photographs of a tree that lie beside its class folders; `part` is where the tree stands in the set.
pub(crate) fn loose(tree: &Tree, part: &Path) -> Option<String> {
    let is_loose = |file: &&PathBuf| file.parent() == Some(Path::new(""));
    outside(tree.files.iter().filter(is_loose), part)
}

/// Photographs that lie in no class folder.
pub(crate) fn outside<'a>(
    mut files: impl Iterator<Item = &'a PathBuf>,
    part: &Path,
) -> Option<String> {
    let first = part.join(files.next()?);
    let total = 1 + files.count();
    Some(format!(
        "{} in no class folder {} left out, such as {}: put them into the folders of their classes",
        count(total, "photograph"),
        are(total),
        first.display()
    ))
}

/// Folders of classes without a photograph.
pub(crate) fn empty(folders: &[PathBuf]) -> Option<String> {
    if folders.is_empty() {
        return None;
    }
    Some(format!(
        "{} without a photograph {} left out: {}",
        count(folders.len(), "class folder"),
        are(folders.len()),
        names(folders)
    ))
}

/// The first few of some folders.
pub(crate) fn names<P: AsRef<Path>>(folders: &[P]) -> String {
    let mut text: Vec<String> = folders
        .iter()
        .take(SHOWN)
        .map(|folder| folder.as_ref().display().to_string())
        .collect();
    if folders.len() > SHOWN {
        text.push(format!("and {} more", folders.len() - SHOWN));
    }
    text.join(", ")
}

/// A number with its noun.
pub(crate) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

fn are(number: usize) -> &'static str {
    if number == 1 { "is" } else { "are" }
}

fn ending(path: &Path) -> String {
    let ending = path.extension().unwrap_or_default();
    ending.to_string_lossy().to_ascii_lowercase()
}

/// How many files have which ending, the most frequent first.
fn endings(files: &[&PathBuf]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for file in files {
        *counts.entry(ending(file)).or_default() += 1;
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut text: Vec<String> = counts
        .iter()
        .take(SHOWN)
        .map(|(ending, count)| match ending.as_str() {
            "" => format!("{count} without one"),
            ending => format!("{count} .{ending}"),
        })
        .collect();
    if counts.len() > SHOWN {
        text.push("others".to_owned());
    }
    text.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str], others: &[&str]) -> Tree {
        let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect();
        Tree {
            folders: Vec::new(),
            files: paths(files),
            others: paths(others),
        }
    }

    #[test]
    fn pictures_that_are_not_read_are_counted_with_what_to_do() {
        let others = [
            "a/1.HEIC",
            "a/2.heic",
            "a/3.avif",
            "a/1.txt",
            "a/noending",
            "readme.txt",
            "top.svg",
        ];
        assert_eq!(
            unread(&tree(&[], &others), Path::new("")),
            [
                "4 pictures in a form that is not read are left out (2 .heic, 1 .avif, 1 .svg), such as a/1.HEIC: convert them to \
                 JPEG or PNG",
                "2 files with the ending of no photograph are left out (1 without one, 1 .txt), such as a/1.txt"
            ]
        );
        assert!(unread(&tree(&["a/1.jpg"], &["labels.csv"]), Path::new("")).is_empty());
    }

    #[test]
    fn photographs_beside_the_class_folders_are_counted() {
        let tree = tree(&["a/1.jpg", "b.jpg", "c.jpg"], &[]);
        assert_eq!(
            loose(&tree, Path::new("train")).unwrap(),
            "2 photographs in no class folder are left out, such as train/b.jpg: put them into the folders of their classes"
        );
        assert!(loose(&tree.inside(Path::new("a")), Path::new("a")).is_some());
        assert_eq!(empty(&[]), None);
        let folders: Vec<PathBuf> = (0..7).map(|n| PathBuf::from(format!("c{n}"))).collect();
        assert_eq!(
            empty(&folders).unwrap(),
            "7 class folders without a photograph are left out: c0, c1, c2, c3, c4, and 2 more"
        );
    }
}
