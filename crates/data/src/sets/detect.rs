//! Which data set lies in a folder, by what its layout alone has.

use std::path::{Path, PathBuf};

use lodestone_files::folder_of;

use super::flowers::FlowersProtocol;
use super::protocol::ClassProtocol;
use super::{Dataset, Regions};
use crate::error::DataError;

impl Dataset {
    /// The set of a name as people write it, with its usual protocol: the name in run files, or a shorter one such as `pets` or
    /// `cub`. A table of open-metric-learning has no usual file, so it is not among them.
    pub fn from_name(name: &str) -> Option<Dataset> {
        let full = match name {
            "pets" => "oxford-iiit-pet",
            "dogs" => "stanford-dogs",
            "flowers" => "flowers-102",
            "cub" => "cub-200-2011",
            "cars" => "cars196",
            "sop" => "stanford-online-products",
            other => other,
        };
        Dataset::usual().into_iter().find(|set| set.name() == full)
    }

    /// Every set with its usual protocol, but for a table of open-metric-learning.
    pub(crate) fn usual() -> Vec<Dataset> {
        vec![
            Dataset::FashionMini,
            Dataset::Fashion,
            Dataset::Mnist,
            Dataset::ImageFolder,
            flowers(),
            pets(),
            dogs(),
            cub(),
            cars(),
            Dataset::StanfordOnlineProducts,
            in_shop(),
            imagenet(),
        ]
    }
}

fn flowers() -> Dataset {
    Dataset::Flowers102 {
        protocol: FlowersProtocol::Train,
    }
}

fn pets() -> Dataset {
    Dataset::OxfordIiitPet {
        regions: Regions::Whole,
    }
}

fn dogs() -> Dataset {
    Dataset::StanfordDogs {
        regions: Regions::Whole,
    }
}

fn cub() -> Dataset {
    Dataset::Cub2002011 {
        protocol: ClassProtocol::Metric,
        regions: Regions::Whole,
    }
}

fn cars() -> Dataset {
    Dataset::Cars196 {
        protocol: ClassProtocol::Metric,
        regions: Regions::Whole,
    }
}

fn in_shop() -> Dataset {
    Dataset::InShop {
        regions: Regions::Whole,
    }
}

fn imagenet() -> Dataset {
    Dataset::Imagenet {
        classes: None,
        attributes: None,
    }
}

/// The set that lies at `path`, and the root to open it with. A file is a table of open-metric-learning; a folder is what
/// its lists say, and an image folder when it has none. MNIST and Fashion-MNIST have the same files; the second is assumed.
///
/// # Errors
/// If there is nothing at `path`.
pub fn detect(path: &Path) -> Result<(Dataset, PathBuf), DataError> {
    let metadata = std::fs::metadata(path).map_err(|source| DataError::read(path, source))?;
    if metadata.is_file() {
        let set = Dataset::Oml {
            table: PathBuf::from(path.file_name().unwrap_or_default()),
        };
        return Ok((set, folder_of(path).to_path_buf()));
    }
    let marked: [(Dataset, &[&str]); 9] = [
        (flowers(), &["setid.mat"]),
        (pets(), &["annotations/trainval.txt"]),
        (dogs(), &["train_list.mat"]),
        (cub(), &["image_class_labels.txt"]),
        (cars(), &["cars_annos.mat", "devkit/cars_meta.mat"]),
        (Dataset::StanfordOnlineProducts, &["Ebay_train.txt"]),
        (in_shop(), &super::in_shop::LISTS),
        (
            Dataset::Fashion,
            &["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"],
        ),
        (
            imagenet(),
            &["ILSVRC2012_devkit_t12", "train/n01440764", "val/n01440764"],
        ),
    ];
    let set = marked.into_iter().find(|(set, marks)| {
        let folder = set.lists(path);
        marks.iter().any(|mark| folder.join(mark).exists())
    });
    let set = set.map_or(Dataset::ImageFolder, |(set, _)| set);
    Ok((set, path.to_path_buf()))
}

#[cfg(test)]
mod tests {
    use super::super::image_folder::tests::folder_of;
    use super::*;

    #[test]
    fn a_set_is_known_by_its_lists_in_its_folder_or_the_one_above() {
        let cases = [
            ("setid.mat", "flowers-102"),
            ("flowers-102/setid.mat", "flowers-102"),
            ("annotations/trainval.txt", "oxford-iiit-pet"),
            ("stanford-dogs/train_list.mat", "stanford-dogs"),
            ("CUB_200_2011/image_class_labels.txt", "cub-200-2011"),
            ("cars_annos.mat", "cars196"),
            ("cars196/devkit/cars_meta.mat", "cars196"),
            ("Ebay_train.txt", "stanford-online-products"),
            ("Eval/list_eval_partition.txt", "in-shop"),
            ("in-shop/list_eval_partition.txt", "in-shop"),
            ("train-images-idx3-ubyte.gz", "fashion"),
            ("train/n01440764/a.JPEG", "imagenet"),
            ("train/cats/a.jpg", "image-folder"),
        ];
        for (file, expected) in cases {
            let folder = folder_of(&[file]);
            let (set, root) = detect(folder.path()).unwrap();
            assert_eq!((set.name(), &*root), (expected, folder.path()), "{file}");
        }
        let folder = folder_of(&["t.csv"]);
        let (set, root) = detect(&folder.path().join("t.csv")).unwrap();
        let table = "t.csv".into();
        assert_eq!((set, &*root), (Dataset::Oml { table }, folder.path()));
        // Named from the folder it lies in, as tests run in that of the crate.
        let (set, root) = detect(Path::new("Cargo.toml")).unwrap();
        let table = "Cargo.toml".into();
        assert_eq!((set, &*root), (Dataset::Oml { table }, Path::new(".")));
        let message = detect(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(message.contains("/nowhere"), "{message}");
    }

    #[test]
    fn short_names_mean_the_sets() {
        for (short, full) in [
            ("pets", "oxford-iiit-pet"),
            ("dogs", "stanford-dogs"),
            ("flowers", "flowers-102"),
            ("cub", "cub-200-2011"),
            ("cars", "cars196"),
            ("sop", "stanford-online-products"),
            ("imagenet", "imagenet"),
        ] {
            assert_eq!(Dataset::from_name(short).unwrap().name(), full);
            assert_eq!(Dataset::from_name(full).unwrap().name(), full);
        }
        assert_eq!(Dataset::from_name("oml"), None);
    }
}
