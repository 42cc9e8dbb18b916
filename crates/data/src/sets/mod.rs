//! The data sets, one file each: official layouts in, [`Table`] out.

mod any_folder;
mod attributes;
pub(crate) mod cars;
pub(crate) mod cub;
mod detect;
mod dogs;
mod fashion_mini;
mod flowers;
pub(crate) mod idx;
mod image_folder;
mod imagenet;
pub(crate) mod in_shop;
mod layout;
mod left_out;
mod mat_lists;
mod names;
pub(crate) mod oml;
mod paths;
pub(crate) mod pets;
pub(crate) mod products;
mod protocol;
mod text_lists;
pub(crate) mod voc;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::any_folder::photographs_in;
pub use self::attributes::{Attributes, read_attributes};
pub use self::detect::detect;
pub use self::flowers::FlowersProtocol;
pub use self::protocol::ClassProtocol;
pub use self::voc::Regions;
use crate::error::DataError;
use crate::table::Table;

/// A data set and how it is split: the `data` part of a run file.
///
/// In TOML the name picks the set: `name = "flowers-102"`, `protocol = "train"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
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
    /// CUB-200-2011: `images/`, `images.txt` and the lists beside it.
    #[serde(rename = "cub-200-2011")]
    Cub2002011 {
        /// Whether the test classes are trained on.
        #[serde(default)]
        protocol: ClassProtocol,
        /// Whether photographs are cut to the bird.
        #[serde(default)]
        regions: Regions,
    },
    /// Cars196: `car_ims/` and `cars_annos.mat`, or `cars_train/`, `cars_test/` and `devkit/`.
    Cars196 {
        /// Whether the test classes are trained on.
        #[serde(default)]
        protocol: ClassProtocol,
        /// Whether photographs are cut to the car.
        #[serde(default)]
        regions: Regions,
    },
    /// Stanford Online Products: `Ebay_train.txt`, `Ebay_test.txt` and a folder of photographs for each kind of product.
    StanfordOnlineProducts,
    /// In-Shop Clothes Retrieval of DeepFashion: `Eval/list_eval_partition.txt`, `img/`.
    InShop {
        /// Whether photographs are cut to the clothing.
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
            Dataset::Cub2002011 { .. } => "cub-200-2011",
            Dataset::Cars196 { .. } => "cars196",
            Dataset::StanfordOnlineProducts => "stanford-online-products",
            Dataset::InShop { .. } => "in-shop",
            Dataset::Imagenet { .. } => "imagenet",
        }
    }

    /// The folder that everything in the publisher's archive lies in, if it has one.
    fn folder_in_archive(&self) -> Option<&'static str> {
        match self {
            Dataset::Cub2002011 { .. } => Some("CUB_200_2011"),
            Dataset::StanfordOnlineProducts => Some("Stanford_Online_Products"),
            _ => None,
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

    /// Where the lists of the set lie: its folder, or the one that its archive was unpacked into there.
    fn lists(&self, root: &Path) -> PathBuf {
        let folder = self.folder(root);
        match self.folder_in_archive().map(|name| folder.join(name)) {
            Some(inner) if inner.is_dir() => inner,
            _ => folder,
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
            Ok::<PathBuf, DataError>(self.lists(root))
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
            Dataset::Cub2002011 { protocol, regions } => cub::open(&folder()?, *protocol, *regions),
            Dataset::Cars196 { protocol, regions } => cars::open(&folder()?, *protocol, *regions),
            Dataset::StanfordOnlineProducts => products::open(&folder()?),
            Dataset::InShop { regions } => in_shop::open(&folder()?, *regions),
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
                Dataset::Cub2002011 {
                    protocol: ClassProtocol::Metric,
                    regions: whole,
                },
                r#"{"name":"cub-200-2011"}"#,
            ),
            (
                Dataset::Cars196 {
                    protocol: ClassProtocol::Closed,
                    regions: Regions::Annotated,
                },
                r#"{"name":"cars196","protocol":"closed","regions":"annotated"}"#,
            ),
            (
                Dataset::StanfordOnlineProducts,
                r#"{"name":"stanford-online-products"}"#,
            ),
            (Dataset::InShop { regions: whole }, r#"{"name":"in-shop"}"#),
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

    #[test]
    fn an_archive_may_have_brought_a_folder_of_its_own() {
        let set = Dataset::from_name("sop").unwrap();
        for inner in [
            "Stanford_Online_Products",
            "stanford-online-products/Stanford_Online_Products",
        ] {
            let outer = tempfile::tempdir().unwrap();
            let inner = outer.path().join(inner);
            std::fs::create_dir_all(inner.parent().unwrap()).unwrap();
            std::fs::rename(products::tests::folder().keep(), &inner).unwrap();
            for root in [outer.path(), &inner] {
                let table = set.open(Some(root)).unwrap();
                assert_eq!((table.rows.len(), &table.root), (5, &inner));
                assert_eq!(detect(root).unwrap(), (set.clone(), root.to_path_buf()));
            }
        }
    }
}
