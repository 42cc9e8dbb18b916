//! Oxford Flowers-102 in its official layout.
//!
//! Nilsback and Zisserman, *Automated flower classification over a large number of classes*, ICVGIP 2008. Three ways to
//! split its 8189 photographs live in the literature, so the way is always named.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::mat_lists::MatList;
use super::names::FLOWERS;
use super::paths;
use crate::error::DataError;
use crate::table::{Row, Split, Table};

/// Which official lists are trained on and which are tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FlowersProtocol {
    /// Train on `trnid` (1020), validate on `valid` (1020), test on `tstid` (6149).
    Train,
    /// Train on `trnid` and `valid` (2040), test on `tstid` (6149).
    Trainval,
    /// The lists the other way round: train on `tstid` (6149), validate on `valid` (1020), test on `trnid` (1020).
    Swapped,
}

impl FlowersProtocol {
    /// The name in run files and results.
    pub fn name(self) -> &'static str {
        match self {
            FlowersProtocol::Train => "train",
            FlowersProtocol::Trainval => "trainval",
            FlowersProtocol::Swapped => "swapped",
        }
    }

    /// Split of the rows of `trnid`, `valid` and `tstid`.
    fn splits(self) -> [Split; 3] {
        match self {
            FlowersProtocol::Train => [Split::Train, Split::Validation, Split::Test],
            FlowersProtocol::Trainval => [Split::Train, Split::Train, Split::Test],
            FlowersProtocol::Swapped => [Split::Test, Split::Validation, Split::Train],
        }
    }
}

/// Reads `imagelabels.mat` and `setid.mat`; rows are in the order of the lists `trnid`, `valid`, `tstid`.
pub(crate) fn open(root: &Path, protocol: FlowersProtocol) -> Result<Table, DataError> {
    let label_list = MatList::open(&root.join("imagelabels.mat"))?;
    let labels = label_list.whole_numbers("labels", 1, FLOWERS.len())?;
    let set_list = MatList::open(&root.join("setid.mat"))?;
    let mut seen = vec![None; labels.len()];
    let mut rows = Vec::with_capacity(labels.len());
    for (variable, split) in ["trnid", "valid", "tstid"]
        .into_iter()
        .zip(protocol.splits())
    {
        for id in set_list.whole_numbers(variable, 1, labels.len())? {
            if let Some(earlier) = seen[id - 1].replace(variable) {
                let problem = format!("image {id} stands in {earlier} too");
                return Err(DataError::content(&set_list.path, variable, problem));
            }
            let path = PathBuf::from("jpg").join(format!("image_{id:05}.jpg"));
            rows.push(Row::file(path, labels[id - 1] - 1, split));
        }
    }
    paths::check_files(root, &rows)?;
    let names = FLOWERS.map(str::to_owned).to_vec();
    Ok(Table::of_files(
        format!("flowers-102:{}", protocol.name()),
        root,
        names,
        rows,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mat::tests::{file, whole_numbers};

    fn folder(labels: &[u16], train: &[u16], valid: &[u16], test: &[u16]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            lodestone_files::write_whole(&folder.path().join(name), |file| file.write_all(bytes))
                .unwrap();
        };
        write("imagelabels.mat", &file(&[whole_numbers("labels", labels)]));
        let sets = [("tstid", test), ("trnid", train), ("valid", valid)];
        write(
            "setid.mat",
            &file(&sets.map(|(name, ids)| whole_numbers(name, ids))),
        );
        for id in 1..=labels.len() {
            write(&format!("jpg/image_{id:05}.jpg"), b"");
        }
        folder
    }

    #[test]
    fn the_protocol_decides_which_list_is_trained_on() {
        use Split::{Test, Train, Validation};
        let folder = folder(&[77, 1, 102, 5], &[3], &[1], &[4, 2]);
        let cases = [
            (FlowersProtocol::Train, [Train, Validation, Test, Test]),
            (FlowersProtocol::Trainval, [Train, Train, Test, Test]),
            (FlowersProtocol::Swapped, [Test, Validation, Train, Train]),
        ];
        for (protocol, splits) in cases {
            let table = open(folder.path(), protocol).unwrap();
            assert_eq!(table.labels(&[0, 1, 2, 3]), [101, 76, 4, 0]);
            let found: Vec<Split> = table.rows.iter().map(|row| row.split).collect();
            assert_eq!(found, splits, "{protocol:?}");
        }
    }

    #[test]
    fn lists_that_contradict_each_other_are_errors() {
        let cases = [
            (
                folder(&[1, 103], &[1], &[2], &[]),
                "labels: element 2 is 103, not a whole number of 1..=102",
            ),
            (
                folder(&[1, 2], &[1], &[1], &[2]),
                "valid: image 1 stands in trnid too",
            ),
            (
                folder(&[1, 2], &[1], &[3], &[2]),
                "valid: element 1 is 3, not a whole number of 1..=2",
            ),
            (folder(&[1, 2], &[0], &[1], &[2]), "trnid: element 1 is 0"),
        ];
        for (folder, expected) in cases {
            let message = open(folder.path(), FlowersProtocol::Train)
                .unwrap_err()
                .to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_listed_photograph_that_is_missing_is_named() {
        let folder = folder(&[1, 2, 3], &[1], &[2], &[3]);
        std::fs::remove_file(folder.path().join("jpg/image_00002.jpg")).unwrap();
        let message = open(folder.path(), FlowersProtocol::Train)
            .unwrap_err()
            .to_string();
        assert!(message.contains("image_00002.jpg"), "{message}");
    }

    #[test]
    fn the_official_lists_have_the_published_counts() {
        let root = Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../shared/data/flowers-102"
        ));
        if !root.exists() {
            eprintln!("skipped: no copy of Flowers-102 here");
            return;
        }
        let cases = [
            (FlowersProtocol::Train, [1020, 1020, 6149]),
            (FlowersProtocol::Trainval, [2040, 0, 6149]),
            (FlowersProtocol::Swapped, [6149, 1020, 1020]),
        ];
        for (protocol, counts) in cases {
            let table = open(root, protocol).unwrap();
            let found = [Split::Train, Split::Validation, Split::Test]
                .map(|split| table.split(split).len());
            assert_eq!(found, counts, "{protocol:?}");
        }
    }
}
