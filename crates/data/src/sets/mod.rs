//! The data sets, one file each: official layouts in, [`Table`] out.

mod fashion_mini;
mod flowers;
mod idx;
mod image_folder;
mod mat_lists;
mod names;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::flowers::FlowersProtocol;
use crate::error::DataError;
use crate::table::Table;

/// A data set and how it is split: the `data` part of a run file.
///
/// In TOML the name picks the set: `name = "flowers-102"`, `protocol = "train"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Dataset {
    /// The embedded subset of Fashion-MNIST; needs no folder.
    FashionMini,
    /// Fashion-MNIST or MNIST idx files of a folder, plain or gzip.
    Fashion,
    /// One folder a class, with or without split folders on top.
    ImageFolder,
    /// Oxford Flowers-102: `jpg/`, `imagelabels.mat`, `setid.mat`.
    #[serde(rename = "flowers-102")]
    Flowers102 {
        /// Which lists are trained on.
        protocol: FlowersProtocol,
    },
}

impl Dataset {
    /// The name in run files.
    pub fn name(&self) -> &'static str {
        match self {
            Dataset::FashionMini => "fashion-mini",
            Dataset::Fashion => "fashion",
            Dataset::ImageFolder => "image-folder",
            Dataset::Flowers102 { .. } => "flowers-102",
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
        let folder = || {
            let root = root.ok_or_else(|| {
                let problem = format!("{} needs the folder it lies in", self.name());
                DataError::setting("dataset_root", problem)
            })?;
            let inner = root.join(self.name());
            Ok::<PathBuf, DataError>(if inner.is_dir() {
                inner
            } else {
                root.to_path_buf()
            })
        };
        match self {
            Dataset::FashionMini if root.is_none() => fashion_mini::open(self.name()),
            Dataset::FashionMini | Dataset::Fashion => idx::open(self.name(), &folder()?),
            Dataset::ImageFolder => image_folder::open(self.name(), &folder()?),
            Dataset::Flowers102 { protocol } => flowers::open(&folder()?, *protocol),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_files_name_the_set_and_its_protocol() {
        let set: Dataset =
            serde_json::from_str(r#"{"name": "flowers-102", "protocol": "trainval"}"#).unwrap();
        assert_eq!(
            set,
            Dataset::Flowers102 {
                protocol: FlowersProtocol::Trainval
            }
        );
        assert_eq!(set.name(), "flowers-102");
        let set: Dataset = serde_json::from_str(r#"{"name": "fashion-mini"}"#).unwrap();
        assert_eq!(set, Dataset::FashionMini);
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
}
