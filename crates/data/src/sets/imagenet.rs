//! ImageNet ILSVRC-2012: a train tree, and a validation tree or the flat folder with the devkit's list.
//!
//! Russakovsky et al., *ImageNet Large Scale Visual Recognition Challenge*, IJCV 2015. The label is the rank of the WordNet id
//! among the class folders, as everywhere since Caffe, and not the devkit's own number.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use lodestone_files::read_text;

use super::attributes::read_attributes;
use super::image_folder::{class_folders, class_rows};
use super::layout::{Contents, split_of};
use super::left_out;
use super::mat_lists::MatList;
use crate::error::DataError;
use crate::listing::{Tree, tree};
use crate::mat::Value;
use crate::table::{Row, Split, Table};

/// Where the devkit's `data` folder may lie below the root.
const DEVKITS: [&str; 2] = ["ILSVRC2012_devkit_t12/data", "data"];

/// Reads `train/` and `val/` below `root`. The validation photographs are the test split.
///
/// All classes are taken, or those that the file `classes` lists, one WordNet id a line, or those with a photograph in the
/// attribute file `attributes`. Class folders without a photograph are left out.
pub(crate) fn open(
    root: &Path,
    classes: Option<&Path>,
    attributes: Option<&Path>,
    listings: Option<&Path>,
) -> Result<Table, DataError> {
    let train_part = part(root, Split::Train)?.unwrap_or_else(|| "train".into());
    let train_root = root.join(&train_part);
    let train = tree(&train_root, listings)?;
    let folders = class_folders(&train_root, &train)?;
    if folders.is_empty() {
        return Err(DataError::content(
            &train_root,
            "folder",
            "no class folders in it",
        ));
    }
    if let Some(folder) = folders.iter().find(|folder| !is_wordnet_id(folder)) {
        let path = train_root.join(folder);
        return Err(DataError::content(
            &path,
            "class folder",
            "the name is no WordNet id like n01440764",
        ));
    }
    let mut ids = match (classes, attributes) {
        (Some(file), _) => chosen(&root.join(file), &folders)?,
        (None, Some(file)) => annotated(&root.join(file), &folders)?,
        (None, None) => folders,
    };
    let val = match part(root, Split::Validation)? {
        Some(folder) => {
            let val = tree(&root.join(&folder), listings)?;
            Some((folder, val))
        }
        None => None,
    };
    let filled: Vec<&OsStr> = std::iter::once(&train)
        .chain(val.iter().map(|(_, val)| val))
        .flat_map(|tree| Contents::of(tree, Path::new("")).folders.into_keys())
        .collect();
    let empty: Vec<PathBuf> = ids
        .extract_if(.., |id| !filled.contains(&OsStr::new(id)))
        .map(|id| train_part.join(id))
        .collect();
    let mut notices: Vec<String> = left_out::loose(&train, &train_part).into_iter().collect();
    notices.extend(left_out::empty(&empty));
    notices.extend(left_out::unread(&train, &train_part));
    let devkit = DEVKITS
        .iter()
        .map(|folder| root.join(folder))
        .find(|folder| folder.is_dir());
    let synsets = devkit
        .as_deref()
        .map(|folder| synsets(&folder.join("meta.mat")))
        .transpose()?;
    let mut rows = class_rows(&train_part, train, &ids, Split::Train);
    if let Some((folder, val)) = val {
        let val_root = root.join(&folder);
        let in_classes = |file: &PathBuf| {
            let class = file.iter().next().and_then(OsStr::to_str);
            class.is_some_and(is_wordnet_id)
        };
        if val.files.iter().any(in_classes) {
            let outside = val.files.iter().filter(|file| !in_classes(file));
            notices.extend(left_out::outside(outside, &folder));
            notices.extend(left_out::unread(&val, &folder));
            rows.extend(class_rows(&folder, val, &ids, Split::Test));
        } else {
            let (devkit, synsets) = devkit.as_deref().zip(synsets.as_ref()).ok_or_else(|| {
                let problem = format!("its photographs are not in class folders, and {} is not there to say their classes", DEVKITS[0]);
                DataError::content(&val_root, "folder", problem)
            })?;
            notices.extend(left_out::unread(&val, &folder));
            rows.extend(flat_rows(
                &root.join(&folder),
                &folder,
                val,
                devkit,
                synsets,
                &ids,
            )?);
        }
    }
    let words: BTreeMap<&str, &str> = synsets
        .iter()
        .flat_map(BTreeMap::values)
        .map(|synset| (synset.id.as_str(), synset.words.as_str()))
        .collect();
    let names = ids.iter().map(|id| {
        words
            .get(id.as_str())
            .map_or(id.clone(), |&name| name.into())
    });
    let mut table = Table::of_files("imagenet", root, names.collect(), rows);
    table.class_ids = ids;
    table.notices = notices;
    Ok(table)
}

/// The folder of a split, by the name that everybody gives it if there are several.
fn part(root: &Path, split: Split) -> Result<Option<PathBuf>, DataError> {
    let unreadable = |source| DataError::read(root, source);
    let mut parts = Vec::new();
    for entry in std::fs::read_dir(root).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        if split_of(&name) == Some(split) && root.join(&name).is_dir() {
            parts.push(PathBuf::from(name));
        }
    }
    let usual = [Path::new("train"), Path::new("val")];
    Ok(parts
        .into_iter()
        .min_by_key(|name| (!usual.contains(&name.as_path()), name.clone())))
}

fn is_wordnet_id(name: &str) -> bool {
    name.len() == 9
        && name.starts_with('n')
        && name[1..].bytes().all(|digit| digit.is_ascii_digit())
}

/// The ids of a list file, sorted; each must have a folder.
fn chosen(file: &Path, folders: &[String]) -> Result<Vec<String>, DataError> {
    let mut ids = Vec::new();
    for (number, line) in read_text(file)?.lines().enumerate() {
        // Words after the id are welcome.
        let Some(id) = line.split_whitespace().next() else {
            continue;
        };
        let place = format!("line {}", number + 1);
        if folders
            .binary_search_by(|folder| folder.as_str().cmp(id))
            .is_err()
        {
            return Err(DataError::content(
                file,
                place,
                format!("{id:?} has no folder in train"),
            ));
        }
        if ids.iter().any(|known| known == id) {
            return Err(DataError::content(
                file,
                place,
                format!("{id:?} stands there twice"),
            ));
        }
        ids.push(id.to_owned());
    }
    ids.sort();
    Ok(ids)
}

/// The classes that have photographs in an attribute file, as the paper's experiment takes them.
fn annotated(file: &Path, folders: &[String]) -> Result<Vec<String>, DataError> {
    let known = read_attributes(file)?.class_ids();
    let ids: Vec<String> = known
        .iter()
        .filter(|id| folders.binary_search(id).is_ok())
        .cloned()
        .collect();
    if ids.is_empty() {
        let problem = format!("none of its {} classes has a folder in train", known.len());
        return Err(DataError::content(file, "images", problem));
    }
    Ok(ids)
}

struct Synset {
    id: String,
    words: String,
}

/// The classes that have photographs of their own, by the devkit's number.
fn synsets(path: &Path) -> Result<BTreeMap<usize, Synset>, DataError> {
    let file = MatList::open(path)?;
    let column = |name: &str| file.field("synsets", name);
    let columns = column("ILSVRC2012_ID")?
        .iter()
        .zip(column("WNID")?)
        .zip(column("words")?)
        .zip(column("num_children")?);
    let mut synsets = BTreeMap::new();
    for (position, (((number, id), words), children)) in columns.enumerate() {
        match (number, id, words, children) {
            (
                Value::Numbers(number),
                Value::Text(id),
                Value::Text(words),
                Value::Numbers(children),
            ) if number.len() == 1 && children.len() == 1 && number[0] >= 1.0 => {
                if children[0] == 0.0 {
                    let synset = Synset {
                        id: id.clone(),
                        words: words.clone(),
                    };
                    synsets.insert(number[0] as usize, synset);
                }
            }
            _ => {
                let place = format!("synsets element {}", position + 1);
                return Err(DataError::content(
                    path,
                    place,
                    "its fields are not number, text, text, number",
                ));
            }
        }
    }
    Ok(synsets)
}

/// Line i of the ground truth is the devkit's number of the i-th photograph by name. They may lie in folders of no meaning,
/// such as `all`.
fn flat_rows(
    val_root: &Path,
    part: &Path,
    val: Tree,
    devkit: &Path,
    synsets: &BTreeMap<usize, Synset>,
    ids: &[String],
) -> Result<Vec<Row>, DataError> {
    let path = devkit.join("ILSVRC2012_validation_ground_truth.txt");
    let text = read_text(&path)?;
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() != val.files.len() {
        let problem = format!(
            "{} lines for {} photographs in {}",
            lines.len(),
            val.files.len(),
            val_root.display()
        );
        return Err(DataError::content(&path, "length", problem));
    }
    let mut files = val.files;
    files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    let mut rows = Vec::new();
    for (number, (line, file)) in lines.into_iter().zip(files).enumerate() {
        let synset = line
            .trim()
            .parse()
            .ok()
            .and_then(|class: usize| synsets.get(&class));
        let synset = synset.ok_or_else(|| {
            let problem = format!("{line:?} is the number of no class in meta.mat");
            DataError::content(&path, format!("line {}", number + 1), problem)
        })?;
        // Classes that were not chosen are left out.
        if let Ok(label) = ids.binary_search(&synset.id) {
            rows.push(Row::file(part.join(file), label, Split::Test));
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mat::tests::{file, structures, text, whole_numbers};
    use crate::sets::attributes::tests::annotations;
    use crate::sets::image_folder::tests::{folder_of, listing};

    const TRAIN: [&str; 3] = [
        "train/n00000002/b.JPEG",
        "train/n00000001/a.JPEG",
        "train/n00000003/c.JPEG",
    ];

    fn devkit(folder: &Path, truth: &str) {
        let synset = |number, id, words, children| {
            [
                whole_numbers("", &[number]),
                text("", id),
                text("", words),
                whole_numbers("", &[children]),
            ]
        };
        let synsets = [
            synset(2, "n00000001", "tench, Tinca tinca", 0),
            synset(1, "n00000002", "goldfish", 0),
            synset(3, "n00000003", "shark", 0),
            synset(1001, "n00000009", "fish", 3),
        ]
        .concat();
        let fields = ["ILSVRC2012_ID", "WNID", "words", "num_children"];
        let meta = file(&[structures("synsets", &fields, &synsets)]);
        let folder = folder.join(DEVKITS[0]);
        lodestone_files::write_whole(&folder.join("meta.mat"), |file| file.write_all(&meta))
            .unwrap();
        let path = folder.join("ILSVRC2012_validation_ground_truth.txt");
        lodestone_files::write_whole(&path, |file| file.write_all(truth.as_bytes())).unwrap();
    }

    #[test]
    fn a_flat_validation_folder_is_labelled_by_the_devkit() {
        let folder =
            folder_of(&[&TRAIN[..], &["val/v2.JPEG", "val/v1.JPEG", "val/v3.JPEG"]].concat());
        devkit(folder.path(), "1\n3\n2\n");
        let table = open(folder.path(), None, None, None).unwrap();
        assert_eq!(
            table.class_names,
            ["tench, Tinca tinca", "goldfish", "shark"]
        );
        assert_eq!(table.class_ids, ["n00000001", "n00000002", "n00000003"]);
        let test: Vec<_> = listing(&table)
            .into_iter()
            .filter(|row| row.2 == Split::Test)
            .collect();
        let expected = [("val/v1.JPEG", 1), ("val/v2.JPEG", 2), ("val/v3.JPEG", 0)];
        assert_eq!(
            test,
            expected.map(|(path, label)| (path.to_owned(), label, Split::Test))
        );
    }

    #[test]
    fn validation_photographs_in_one_folder_are_labelled_like_flat_ones() {
        let folder = folder_of(
            &[
                &TRAIN[..],
                &["val/all/v2.JPEG", "val/all/v1.JPEG", "val/more/v0.JPEG"],
            ]
            .concat(),
        );
        let message = open(folder.path(), None, None, None)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("val: folder: its photographs are not in class folders"),
            "{message}"
        );
        devkit(folder.path(), "3\n1\n2\n");
        let table = open(folder.path(), None, None, None).unwrap();
        let expected = [
            ("val/more/v0.JPEG", 2, Split::Test),
            ("val/all/v1.JPEG", 1, Split::Test),
            ("val/all/v2.JPEG", 0, Split::Test),
        ];
        assert_eq!(
            listing(&table)[3..],
            expected.map(|(path, label, split)| (path.to_owned(), label, split))
        );
    }

    #[test]
    fn what_is_not_read_is_said_and_splits_are_known_in_any_case() {
        let folder = folder_of(&[
            "Train/n00000001/a.JPEG",
            "Train/n00000002/b.JPEG",
            "Train/n00000003/readme.txt",
            "Validation/n00000001/x.JPEG",
            "Validation/rest/y.JPEG",
        ]);
        let table = open(folder.path(), None, None, None).unwrap();
        assert_eq!(table.class_ids, ["n00000001", "n00000002"]);
        let expected = [
            ("Train/n00000001/a.JPEG", 0, Split::Train),
            ("Train/n00000002/b.JPEG", 1, Split::Train),
            ("Validation/n00000001/x.JPEG", 0, Split::Test),
        ];
        assert_eq!(
            listing(&table),
            expected.map(|(path, label, split)| (path.to_owned(), label, split))
        );
        assert_eq!(
            table.notices,
            [
                "1 class folder without a photograph is left out: Train/n00000003",
                "1 file with the ending of no photograph is left out (1 .txt), such as Train/n00000003/readme.txt",
                "1 photograph in no class folder is left out, such as Validation/rest/y.JPEG: put them into the folders of their classes",
            ]
        );
    }

    #[test]
    fn a_byte_order_mark_in_front_of_a_list_is_no_part_of_it() {
        let folder = folder_of(&[&TRAIN[..], &["val/v1.JPEG"]].concat());
        let write = |name: &str, text: &str| {
            let bytes = [b"\xef\xbb\xbf", text.as_bytes()].concat();
            let path = folder.path().join(name);
            lodestone_files::write_whole(&path, |file| file.write_all(&bytes)).unwrap();
        };
        devkit(folder.path(), "");
        write(
            &format!("{}/ILSVRC2012_validation_ground_truth.txt", DEVKITS[0]),
            "3\r\n",
        );
        write("three.txt", "n00000001\r\nn00000002\r\nn00000003\r\n");
        let table = open(folder.path(), Some(Path::new("three.txt")), None, None).unwrap();
        assert_eq!(table.labels(&[0, 1, 2, 3]), [0, 1, 2, 2]);
    }

    #[test]
    fn a_list_of_classes_ranks_those_alone() {
        let folder = folder_of(
            &[
                &TRAIN[..],
                &["val/n00000001/x.JPEG", "val/n00000003/y.JPEG"],
            ]
            .concat(),
        );
        let list = folder.path().join("ninety.txt");
        lodestone_files::write_whole(&list, |file| {
            file.write_all(b"n00000003 shark\nn00000002\n")
        })
        .unwrap();
        let table = open(folder.path(), Some(Path::new("ninety.txt")), None, None).unwrap();
        let expected = [
            ("train/n00000002/b.JPEG", 0, Split::Train),
            ("train/n00000003/c.JPEG", 1, Split::Train),
            ("val/n00000003/y.JPEG", 1, Split::Test),
        ];
        assert_eq!(
            listing(&table),
            expected.map(|(path, label, split)| (path.to_owned(), label, split))
        );
    }

    #[test]
    fn an_attribute_file_chooses_the_classes_it_has_photographs_of() {
        let folder = folder_of(&[&TRAIN[..], &["val/n00000003/y.JPEG"]].concat());
        let write = |images: &[&str]| {
            let bytes = annotations(images);
            let path = folder.path().join("attrann.mat");
            lodestone_files::write_whole(&path, |file| file.write_all(&bytes)).unwrap();
            open(folder.path(), None, Some(Path::new("attrann.mat")), None)
        };
        let table = write(&["n00000003_1", "n00000002_5", "n09999999_1"]).unwrap();
        assert_eq!(table.class_ids, ["n00000002", "n00000003"]);
        assert_eq!(table.labels(&[0, 1, 2]), [0, 1, 1]);
        let message = write(&["n09999999_1"]).unwrap_err().to_string();
        assert!(
            message.contains("attrann.mat: images: none of its 1 classes has a folder"),
            "{message}"
        );
    }

    #[test]
    fn what_contradicts_the_layout_is_named() {
        let flat = || folder_of(&[&TRAIN[..], &["val/v1.JPEG"]].concat());
        let with_devkit = |truth: &str| {
            let folder = flat();
            devkit(folder.path(), truth);
            folder
        };
        let cases = [
            (
                folder_of(&["train/cats/a.JPEG"]),
                "cats: class folder: the name is no WordNet id",
            ),
            (
                flat(),
                "val: folder: its photographs are not in class folders",
            ),
            (with_devkit("1\n2\n"), "2 lines for 1 photographs"),
            (
                with_devkit("1001\n"),
                "line 1: \"1001\" is the number of no class",
            ),
            (with_devkit("x\n"), "line 1: \"x\""),
        ];
        for (folder, expected) in cases {
            let message = open(folder.path(), None, None, None)
                .unwrap_err()
                .to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
