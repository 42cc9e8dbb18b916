//! The data sets, one file each: official layouts in, [`Table`] out.

mod attributes;
mod detect;
mod dogs;
mod fashion_mini;
mod flowers;
pub(crate) mod idx;
mod image_folder;
mod imagenet;
mod mat_lists;
mod names;
pub(crate) mod oml;
mod paths;
pub(crate) mod pets;
pub(crate) mod voc;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::attributes::{Attributes, read_attributes};
pub use self::detect::detect;
pub use self::flowers::FlowersProtocol;

pub use self::voc::Regions;
use crate::error::DataError;
use crate::table::Table;

/// A data set and how it is split: the `data` part of a run file.
///
/// In TOML the name picks the set: `name = "flowers-102"`, `protocol = "train"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Dataset {
    /// The embedded subset of Fashion-MNIST; needs no folder.
    FashionMini,
    /// Fashion-MNIST as idx files of a folder, plain or gzip.
    Fashion,
    /// MNIST's digits as idx files of a folder, plain or gzip.
    Mnist,
    /// One folder a class, with or without split folders on top.
    ImageFolder,
    /// A CSV or Parquet table in the format of open-metric-learning.
    Oml {
        /// The table, relative to the root.
        table: PathBuf,
    },
    /// Oxford Flowers-102: `jpg/`, `imagelabels.mat`, `setid.mat`.
    #[serde(rename = "flowers-102")]
    Flowers102 {
        /// Which lists are trained on.
        protocol: FlowersProtocol,
    },
    /// Oxford-IIIT Pet: `images/`, `annotations/`; trained on trainval (3680), tested on test (3669).
    OxfordIiitPet {
        /// Whether photographs are cut to the head; the test photographs have no boxes.
        #[serde(default)]
        regions: Regions,
    },
    /// Stanford Dogs: `Images/`, `Annotation/`, `train_list.mat`, `test_list.mat`.
    StanfordDogs {
        /// Whether photographs are cut to the dog.
        #[serde(default)]
        regions: Regions,
    },
    /// ImageNet ILSVRC-2012: `train/`, `val/` as a tree or flat beside the devkit.
    Imagenet {
        /// File of WordNet ids, one a line, if not all classes are wanted; relative to the root.
        #[serde(default)]
        classes: Option<PathBuf>,
        /// Attribute file (release 1.0), relative to the root: without a list of `classes`, those that it has annotated
        /// photographs of are taken.
        #[serde(default)]
        attributes: Option<PathBuf>,
    },
}

impl Dataset {
    /// The name in run files.
    pub fn name(&self) -> &'static str {
        match self {
            Dataset::FashionMini => "fashion-mini",
            Dataset::Fashion => "fashion",
            Dataset::Mnist => "mnist",
            Dataset::ImageFolder => "image-folder",
            Dataset::Oml { .. } => "oml",
            Dataset::Flowers102 { .. } => "flowers-102",
            Dataset::OxfordIiitPet { .. } => "oxford-iiit-pet",
            Dataset::StanfordDogs { .. } => "stanford-dogs",
            Dataset::Imagenet { .. } => "imagenet",
        }
    }

    /// The folder of the set: `root`, or the one in it that is called like the set, as torchvision unpacks it.
    pub fn folder(&self, root: &Path) -> PathBuf {
        let inner = root.join(self.name());
        if inner.is_dir() {
            inner
        } else {
            root.to_path_buf()
        }
    }

    /// Reads the lists of the set below `root`; images are not decoded yet.
    ///
    /// `root` is the folder of the set itself, or one that holds it under its name, as torchvision unpacks it.
    ///
    /// # Errors
    /// [`DataError`] naming the file and the place in it. Without a folder, everything but
    /// [`FashionMini`](Dataset::FashionMini) is an error.
    pub fn open(&self, root: Option<&Path>) -> Result<Table, DataError> {
        self.open_listed(root, None)
    }

    /// Like [`open`](Self::open), but remembers the files of big folders in the folder `listings`, so that ImageNet's 1.28
    /// million are not searched for again as long as no folder of the tree changes.
    ///
    /// # Errors
    /// As [`open`](Self::open), or if a listing cannot be written.
    pub fn open_listed(
        &self,
        root: Option<&Path>,
        listings: Option<&Path>,
    ) -> Result<Table, DataError> {
        let folder = || {
            let root = root.ok_or_else(|| {
                let problem = format!("{} needs the folder it lies in", self.name());
                DataError::setting("dataset_root", problem)
            })?;
            Ok::<PathBuf, DataError>(self.folder(root))
        };
        match self {
            Dataset::FashionMini if root.is_none() => fashion_mini::open(self.name()),
            Dataset::FashionMini | Dataset::Fashion => {
                idx::open(self.name(), &folder()?, &idx::FASHION_CLASSES)
            }
            Dataset::Mnist => idx::open(self.name(), &folder()?, &idx::DIGITS),
            Dataset::ImageFolder => image_folder::open(self.name(), &folder()?, listings),
            Dataset::Oml { table } => oml::open(&folder()?, table),
            Dataset::Flowers102 { protocol } => flowers::open(&folder()?, *protocol),
            Dataset::OxfordIiitPet { regions } => pets::open(&folder()?, *regions),
            Dataset::StanfordDogs { regions } => dogs::open(&folder()?, *regions),
            Dataset::Imagenet {
                classes,
                attributes,
            } => imagenet::open(
                &folder()?,
                classes.as_deref(),
                attributes.as_deref(),
                listings,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_files_name_the_set_and_its_protocol() {
        let whole = Regions::Whole;
        let cases = [
            (Dataset::FashionMini, r#"{"name":"fashion-mini"}"#),
            (Dataset::Fashion, r#"{"name":"fashion"}"#),
            (Dataset::ImageFolder, r#"{"name":"image-folder"}"#),
            (
                Dataset::Oml {
                    table: "t.csv".into(),
                },
                r#"{"name":"oml","table":"t.csv"}"#,
            ),
            (
                Dataset::Flowers102 {
                    protocol: FlowersProtocol::Trainval,
                },
                r#"{"name":"flowers-102","protocol":"trainval"}"#,
            ),
            (
                Dataset::OxfordIiitPet { regions: whole },
                r#"{"name":"oxford-iiit-pet"}"#,
            ),
            (
                Dataset::StanfordDogs { regions: whole },
                r#"{"name":"stanford-dogs"}"#,
            ),
            (
                Dataset::Imagenet {
                    classes: None,
                    attributes: None,
                },
                r#"{"name":"imagenet"}"#,
            ),
        ];
        for (set, text) in cases {
            assert_eq!(serde_json::from_str::<Dataset>(text).unwrap(), set);
            assert!(
                serde_json::to_string(&set).unwrap().contains(set.name()),
                "{text}"
            );
        }
        let wrong = serde_json::from_str::<Dataset>(r#"{"name": "flowers"}"#).unwrap_err();
        assert!(wrong.to_string().contains("flowers-102"), "{wrong}");
    }

    #[test]
    fn a_set_without_its_folder_is_an_error_with_its_name() {
        let message = Dataset::ImageFolder.open(None).unwrap_err().to_string();
        assert_eq!(
            message,
            "dataset_root: image-folder needs the folder it lies in"
        );
        Dataset::FashionMini.open(None).unwrap();
    }

    #[test]
    fn the_folder_may_be_the_set_or_hold_it() {
        let folder = pets::tests::folder("pug_1 37 2 25\n", "pug_2 37 2 25\n", &["pug_1", "pug_2"]);
        let set = Dataset::OxfordIiitPet {
            regions: Regions::Whole,
        };
        assert_eq!(set.open(Some(folder.path())).unwrap().rows.len(), 2);
        let outer = tempfile::tempdir().unwrap();
        std::fs::rename(folder.path(), outer.path().join("oxford-iiit-pet")).unwrap();
        assert_eq!(set.open(Some(outer.path())).unwrap().rows.len(), 2);
        std::mem::forget(folder);
    }
}
