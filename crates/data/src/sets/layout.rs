//! Which folders of a tree hold the classes: those on top, those inside the splits on top, or those of a folder that holds
//! nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::left_out::{count, names, unread};
use crate::error::DataError;
use crate::listing::Tree;
use crate::table::Split;

/// The split that a folder on top means by its name, in any case and with or without a `set` behind it: `Train`,
/// `training_set`, `val`, `valid`, `Validation`, `TEST`, `testing`.
pub(crate) fn split_of(name: &OsStr) -> Option<Split> {
    let name = name.to_str()?.to_ascii_lowercase();
    let stem = name.strip_suffix("set").unwrap_or(&name);
    match stem.trim_end_matches(['_', '-', ' ']) {
        "train" | "training" => Some(Split::Train),
        "val" | "valid" | "validation" => Some(Split::Validation),
        "test" | "testing" => Some(Split::Test),
        _ => None,
    }
}

/// A folder whose folders are classes, and the split of their photographs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SplitFolder {
    pub(crate) folder: PathBuf,
    pub(crate) split: Split,
}

/// Where the classes of a tree lie.
#[derive(Debug)]
pub(crate) struct Layout {
    /// In the order training, validation, test.
    pub(crate) parts: Vec<SplitFolder>,
    /// What was decided that might have been meant otherwise.
    pub(crate) notices: Vec<String>,
}

/// Where photographs lie below a folder.
#[derive(Default)]
pub(crate) struct Contents<'a> {
    /// Photographs directly in it.
    loose: usize,
    /// Its folders that hold photographs, at any depth.
    pub(crate) folders: BTreeMap<&'a OsStr, Folder<'a>>,
}

/// One of the folders of a folder.
#[derive(Default)]
pub(crate) struct Folder<'a> {
    /// Photographs directly in it.
    direct: usize,
    /// Its own folders that hold photographs.
    inner: BTreeSet<&'a OsStr>,
}

impl Folder<'_> {
    /// Whether it looks like a folder of classes and not like a class.
    fn is_deep(&self) -> bool {
        self.direct == 0 && self.inner.len() > 1
    }
}

impl<'a> Contents<'a> {
    pub(crate) fn of(tree: &'a Tree, below: &Path) -> Self {
        let mut contents = Contents::default();
        for file in &tree.files {
            let Ok(path) = file.strip_prefix(below) else {
                continue;
            };
            let mut names = path.iter();
            match (names.next(), names.next(), names.next()) {
                (Some(_), None, _) => contents.loose += 1,
                (Some(folder), Some(_), None) => {
                    contents.folders.entry(folder).or_default().direct += 1;
                }
                (Some(folder), Some(inner), Some(_)) => {
                    contents
                        .folders
                        .entry(folder)
                        .or_default()
                        .inner
                        .insert(inner);
                }
                (None, _, _) => {}
            }
        }
        contents
    }

    /// The folders that mean splits, if this is a folder of splits: such a folder holds folders of photographs, so that a
    /// class of trains stays a class.
    pub(crate) fn splits(&self) -> Vec<(&'a OsStr, Split)> {
        let named: Vec<_> = self
            .folders
            .iter()
            .filter_map(|(&name, folder)| Some((name, split_of(name)?, folder)))
            .collect();
        if named.iter().all(|(_, _, folder)| folder.inner.is_empty()) {
            return Vec::new();
        }
        named
            .into_iter()
            .map(|(name, split, _)| (name, split))
            .collect()
    }

    /// The names of the folders that mean no split.
    fn unsplit(&self) -> Vec<&'a OsStr> {
        let names = self.folders.keys().copied();
        names.filter(|name| split_of(name).is_none()).collect()
    }
}

/// Finds the folders of classes below `root`.
///
/// # Errors
/// If there are no photographs in class folders, or if folders may be read in two ways.
pub(crate) fn layout(root: &Path, tree: &Tree) -> Result<Layout, DataError> {
    let top = deeper(tree, Path::new(""));
    let contents = Contents::of(tree, &top);
    let wrong = |(folder, problem): Wrong<'_>| {
        DataError::content(&root.join(&top).join(folder), "folder", problem)
    };
    if contents.folders.is_empty() {
        let mut problem = "no class folders with photographs in it".to_owned();
        if contents.loose > 0 {
            let loose = count(contents.loose, "photograph");
            problem += &format!("; {loose} directly in it: make a folder for each class");
        }
        for notice in unread(tree, Path::new("")) {
            problem += &format!("; {notice}");
        }
        return Err(DataError::content(root, "folder", problem));
    }
    let mut notices = Vec::new();
    if top != Path::new("") {
        notices.push(format!(
            "the set is taken from its folder {}",
            top.display()
        ));
    }
    let (splits, others) = (contents.splits(), contents.unsplit());
    if splits.is_empty() {
        if others.is_empty() {
            let name = contents.folders.keys().next().copied().unwrap_or_default();
            return Err(wrong((name, flat(contents.folders[name].direct))));
        }
        class_notices(&contents, &mut notices).map_err(wrong)?;
        let (folder, split) = (top, Split::Train);
        let parts = vec![SplitFolder { folder, split }];
        return Ok(Layout { parts, notices });
    }
    let kinds: BTreeSet<Split> = splits.iter().map(|&(_, split)| split).collect();
    if !others.is_empty() {
        if kinds.len() == 1 || !kinds.contains(&Split::Train) {
            let problem = format!(
                "the name says a split, but beside it lie photographs in {}: move those into a folder `train`, or out of the set",
                names(&others)
            );
            return Err(wrong((splits[0].0, problem)));
        }
        notices.push(format!(
            "photographs beside the splits are left out, in {}",
            names(&others)
        ));
    }
    let parts = split_parts(&top, tree, &contents, splits).map_err(wrong)?;
    Ok(Layout { parts, notices })
}

/// What is wrong with a folder, or is to be known of it.
type Wrong<'a> = (&'a OsStr, String);

fn flat(photographs: usize) -> String {
    let photographs = count(photographs, "photograph");
    format!(
        "{photographs} directly in it and none in class folders: put them into the folders of their classes"
    )
}

/// What may be meant otherwise where the folders on top are classes.
fn class_notices<'a>(contents: &Contents<'a>, notices: &mut Vec<String>) -> Result<(), Wrong<'a>> {
    let folders = &contents.folders;
    for name in folders.keys().filter(|name| split_of(name).is_some()) {
        notices.push(format!(
            "{} is taken for a class and not for a split, as its photographs lie directly in it",
            name.display()
        ));
    }
    let deep: Vec<&OsStr> = folders
        .iter()
        .filter(|(_, folder)| folder.is_deep())
        .map(|(&name, _)| name)
        .collect();
    let inner = |name: &OsStr| {
        let inner: Vec<&OsStr> = folders[name].inner.iter().copied().collect();
        names(&inner)
    };
    let is_shallow = |folder: &Folder<'_>| folder.direct > 0;
    if let ([one], 2) = (&deep[..], folders.len())
        && folders.values().any(is_shallow)
    {
        let other = folders.keys().find(|&name| name != one).copied();
        let problem = format!(
            "its photographs lie in folders of their own ({}), those of {} directly in it: name the folder that holds the \
             classes, or give all classes the same depth",
            inner(one),
            other.unwrap_or_default().display()
        );
        return Err((one, problem));
    }
    if let Some(first) = deep.first() {
        notices.push(format!(
            "the photographs of {} lie in folders of their own and count as one class, such as those of {} in {}",
            match deep.len() {
                1 => "1 class".to_owned(),
                many => format!("{many} classes"),
            },
            first.display(),
            inner(first)
        ));
    }
    Ok(())
}

/// The splits in their order. Where there is no test split, what is called validation is tested on.
fn split_parts<'a>(
    top: &Path,
    tree: &Tree,
    contents: &Contents<'a>,
    mut splits: Vec<(&'a OsStr, Split)>,
) -> Result<Vec<SplitFolder>, Wrong<'a>> {
    splits.sort_by_key(|&(name, split)| (split, name));
    let has_test = splits.iter().any(|&(_, split)| split == Split::Test);
    let mut parts = Vec::new();
    let mut trained: BTreeSet<&OsStr> = BTreeSet::new();
    for (name, named) in splits {
        let held = &contents.folders[name];
        if held.inner.is_empty() {
            return Err((name, flat(held.direct)));
        }
        let folder = top.join(name);
        let inner = deeper(tree, &folder);
        // A part of one class may have folders inside that.
        let is_class = inner.strip_prefix(&folder).is_ok_and(|path| {
            path.iter()
                .next()
                .is_some_and(|class| trained.contains(class))
        });
        let folder = if is_class { folder } else { inner };
        let classes = Contents::of(tree, &folder).folders;
        if named == Split::Train {
            trained.extend(classes.keys());
        } else if let (1, Some(&only)) = (classes.len(), classes.keys().next())
            && trained.len() > 1
            && !trained.contains(only)
        {
            let problem = format!(
                "all photographs lie in its folder {}, which is no class of the training photographs: put them into the folders of \
                 their classes",
                only.display()
            );
            return Err((name, problem));
        }
        let split = match named {
            Split::Validation if !has_test => Split::Test,
            other => other,
        };
        parts.push(SplitFolder { folder, split });
    }
    Ok(parts)
}

/// The folder below `from` that holds several folders of photographs or one of a split, where all on the way to it hold
/// nothing but the next; else `from`. A split has no splits inside, so that `train/train` is one.
fn deeper(tree: &Tree, from: &Path) -> PathBuf {
    let in_split = from
        .file_name()
        .is_some_and(|name| split_of(name).is_some());
    let mut at = from.to_path_buf();
    loop {
        let contents = Contents::of(tree, &at);
        let mut folders = contents.folders.keys();
        match (folders.next(), folders.next(), contents.loose) {
            (Some(only), None, 0) if in_split || contents.splits().is_empty() => at.push(only),
            (Some(_), _, 0) => return at,
            _ => return from.to_path_buf(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> Tree {
        Tree {
            files: files.iter().map(PathBuf::from).collect(),
            ..Tree::default()
        }
    }

    fn parts(files: &[&str]) -> Vec<(String, Split)> {
        let layout = layout(Path::new("set"), &tree(files)).unwrap();
        let parts = layout.parts.into_iter();
        parts
            .map(|part| (part.folder.to_str().unwrap().to_owned(), part.split))
            .collect()
    }

    #[test]
    fn names_of_splits_are_known_in_any_case() {
        let cases = [
            ("train", Some(Split::Train)),
            ("TRAIN", Some(Split::Train)),
            ("Training", Some(Split::Train)),
            ("training_set", Some(Split::Train)),
            ("val", Some(Split::Validation)),
            ("Valid", Some(Split::Validation)),
            ("Validation", Some(Split::Validation)),
            ("valset", Some(Split::Validation)),
            ("Test", Some(Split::Test)),
            ("testing", Some(Split::Test)),
            ("test-set", Some(Split::Test)),
            ("set", None),
            ("trains", None),
            ("test tube", None),
            ("sunset", None),
        ];
        for (name, expected) in cases {
            assert_eq!(split_of(OsStr::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn folders_called_like_splits_are_splits() {
        use Split::{Test, Train, Validation};
        type Case<'a> = (&'a [&'a str], &'a [(&'a str, Split)]);
        let cases: [Case; 7] = [
            (
                &["Train/a/1", "Train/b/1", "Test/a/2"],
                &[("Train", Train), ("Test", Test)],
            ),
            (
                &["TRAIN/a/1", "Validation/a/2", "testing/a/3"],
                &[
                    ("TRAIN", Train),
                    ("Validation", Validation),
                    ("testing", Test),
                ],
            ),
            (
                &["training/a/1", "VAL/a/2"],
                &[("training", Train), ("VAL", Test)],
            ),
            (&["train/a/1", "train/b/1"], &[("train", Train)]),
            (&["test/a/1", "test/b/1"], &[("test", Test)]),
            // As archives of archives unpack.
            (
                &[
                    "train/train/a/1",
                    "train/train/b/1",
                    "test/test/a/1",
                    "test/test/b/1",
                ],
                &[("train/train", Train), ("test/test", Test)],
            ),
            // One class of the test photographs has folders of its own.
            (
                &["train/a/1", "train/b/1", "test/a/x/1", "test/a/y/1"],
                &[("train", Train), ("test", Test)],
            ),
        ];
        for (files, expected) in cases {
            let expected: Vec<_> = expected
                .iter()
                .map(|&(folder, split)| (folder.to_owned(), split))
                .collect();
            assert_eq!(parts(files), expected, "{files:?}");
        }
    }

    #[test]
    fn a_class_of_trains_stays_a_class() {
        let layout = layout(Path::new("set"), &tree(&["bus/1", "car/1", "train/1"])).unwrap();
        assert_eq!(layout.parts[0].folder, Path::new(""));
        assert_eq!(
            layout.notices,
            [
                "train is taken for a class and not for a split, as its photographs lie directly in it"
            ]
        );
    }

    #[test]
    fn a_folder_around_the_set_is_stepped_into() {
        let cases: [(&[&str], &str); 5] = [
            (&["photos/a/1", "photos/b/1"], "photos"),
            (&["x/y/a/1", "x/y/b/1"], "x/y"),
            (&["x/train/a/1", "x/train/b/1"], "x/train"),
            // One class, at whatever depth, and one with photographs beside its folders.
            (&["a/deep/er/1"], ""),
            (&["a/1", "a/x/1", "a/y/1"], ""),
        ];
        for (files, expected) in cases {
            assert_eq!(parts(files)[0].0, expected, "{files:?}");
        }
        let layout = layout(Path::new("set"), &tree(&["photos/a/1", "photos/b/1"])).unwrap();
        assert_eq!(layout.notices, ["the set is taken from its folder photos"]);
    }

    #[test]
    fn folders_that_can_be_read_in_two_ways_are_refused() {
        let cases: [(&[&str], &str); 7] = [
            (
                &["photos/a/1", "photos/b/1", "samples/1"],
                "set/photos: folder: its photographs lie in folders of their own (a, b), those of samples directly",
            ),
            (
                &["train/a/1", "train/b/1", "val/1", "val/2"],
                "set/val: folder: 2 photographs directly in it and none in class folders",
            ),
            (
                &["train/a/1", "train/b/1", "val/all/1"],
                "set/val: folder: all photographs lie in its folder all, which is no class",
            ),
            (
                &["train/1", "test/2"],
                "set/test: folder: 1 photograph directly in it",
            ),
            (
                &["train/a/1", "train/b/1", "bus/1"],
                "set/train: folder: the name says a split, but beside it lie photographs in bus",
            ),
            (
                &["test/a/1", "test/b/1", "c/1"],
                "set/test: folder: the name says a split",
            ),
            (
                &["1", "2"],
                "no class folders with photographs in it; 2 photographs directly in it",
            ),
        ];
        for (files, expected) in cases {
            let message = layout(Path::new("set"), &tree(files))
                .unwrap_err()
                .to_string();
            assert!(message.contains(expected), "{files:?}: {message}");
        }
    }

    #[test]
    fn what_is_beside_the_splits_and_inside_the_classes_is_said() {
        let notices = |files: &[&str]| layout(Path::new("set"), &tree(files)).unwrap().notices;
        assert_eq!(
            notices(&["train/a/1", "test/a/1", "extra/1"]),
            ["photographs beside the splits are left out, in extra"]
        );
        assert_eq!(
            notices(&["cats/2019/1", "cats/2020/1", "dogs/1", "pigs/1"]),
            [
                "the photographs of 1 class lie in folders of their own and count as one class, such as those of cats in 2019, 2020"
            ]
        );
        assert!(notices(&["a/1", "b/deep/er/1"]).is_empty());
    }
}
