//! What the publishers say about the sets: archives with their sums, and how many photographs each split holds.
//!
//! `verify` holds a folder against these numbers, `fetch` downloads what may be downloaded. Sums marked as unpublished were
//! taken from several public loaders that agree.

use serde::Serialize;

use crate::sets::{ClassProtocol, Dataset, FlowersProtocol};
use crate::table::Split;

/// One file as the publisher hands it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Archive {
    /// File name.
    pub name: &'static str,
    /// Address of the folder it is published in; `None` where the publisher hands it out to nobody who just asks.
    pub site: Option<&'static str>,
    /// MD5 of the file, in hexadecimal.
    pub md5: &'static str,
    /// Folder below the set's own into which it is unpacked; `None` for a list that is kept as it is.
    pub unpack_to: Option<&'static str>,
}

impl Archive {
    /// Address of the file, if everybody can have it.
    pub fn url(&self) -> Option<String> {
        self.site.map(|site| format!("{site}/{}", self.name))
    }
}

/// A set as its publisher describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Official {
    /// The name in run files.
    pub name: &'static str,
    /// What has to lie in its folder.
    pub layout: &'static str,
    /// Number of classes; 0 where the user decides.
    pub classes: usize,
    /// Photographs of training, validation and test under the protocol; empty where the user decides.
    pub rows: Vec<(Split, usize)>,
    /// Classes with a photograph in training and in test, where the protocol says how many.
    pub split_classes: Vec<(Split, usize)>,
    /// Photographs that ask and that are looked for, where the protocol prescribes them.
    pub roles: Option<[usize; 2]>,
    /// Files of the publisher.
    pub archives: &'static [Archive],
    /// Files that come out of the archives, with the MD5 of their content, as it is or decompressed from a `.gz` beside it.
    pub files: &'static [(&'static str, &'static str)],
    /// What the user does where there is no address to download from.
    pub by_hand: Option<&'static str>,
    /// Terms of use, as far as they are known.
    pub licence: &'static str,
    /// Whether the sums come from the publisher or from loaders that agree.
    pub sums_published: bool,
}

const FLOWERS: [Archive; 3] = [
    Archive {
        name: "102flowers.tgz",
        site: Some("https://www.robots.ox.ac.uk/~vgg/data/flowers/102"),
        md5: "52808999861908f626f3c1f4e79d11fa",
        unpack_to: Some(""),
    },
    Archive {
        name: "imagelabels.mat",
        site: Some("https://www.robots.ox.ac.uk/~vgg/data/flowers/102"),
        md5: "e0620be6f572b9609742df49c70aed4d",
        unpack_to: None,
    },
    Archive {
        name: "setid.mat",
        site: Some("https://www.robots.ox.ac.uk/~vgg/data/flowers/102"),
        md5: "a5357ecc9cb78c4bef273ce3793fc85c",
        unpack_to: None,
    },
];

const PETS: [Archive; 2] = [
    Archive {
        name: "images.tar.gz",
        site: Some("https://www.robots.ox.ac.uk/~vgg/data/pets/data"),
        md5: "5c4f3ee8e5d25df40f4fd59a7f44e54c",
        unpack_to: Some(""),
    },
    Archive {
        name: "annotations.tar.gz",
        site: Some("https://www.robots.ox.ac.uk/~vgg/data/pets/data"),
        md5: "95a8c909bbe2e81eed6a22bccdf3f68f",
        unpack_to: Some(""),
    },
];

const DOGS: [Archive; 3] = [
    Archive {
        name: "images.tar",
        site: Some("http://vision.stanford.edu/aditya86/ImageNetDogs"),
        md5: "1bb1f2a596ae7057f99d7d75860002ef",
        unpack_to: Some(""),
    },
    Archive {
        name: "annotation.tar",
        site: Some("http://vision.stanford.edu/aditya86/ImageNetDogs"),
        md5: "4298cc0031f6bc6e74612ac83b5988e2",
        unpack_to: Some(""),
    },
    Archive {
        name: "lists.tar",
        site: Some("http://vision.stanford.edu/aditya86/ImageNetDogs"),
        md5: "edbb9f16854ec66506b5f09b583e0656",
        unpack_to: Some(""),
    },
];

const DOGS_LISTS: [(&str, &str); 3] = [
    ("file_list.mat", "ce0676c9520e4b7e1d43221cd9c647b0"),
    ("train_list.mat", "d37f459eacccfa4d299373dffba9648d"),
    ("test_list.mat", "66f60c285efbc3ce2fb7893bd26c6b80"),
];

const FASHION_SITE: &str = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com";
const FASHION: [Archive; 4] = [
    idx(
        "train-images-idx3-ubyte.gz",
        FASHION_SITE,
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    ),
    idx(
        "train-labels-idx1-ubyte.gz",
        FASHION_SITE,
        "25c81989df183df01b3e8a0aad5dffbe",
    ),
    idx(
        "t10k-images-idx3-ubyte.gz",
        FASHION_SITE,
        "bef4ecab320f06d8554ea6380940ec79",
    ),
    idx(
        "t10k-labels-idx1-ubyte.gz",
        FASHION_SITE,
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
];
/// Debian hands out the same content, compressed anew.
const FASHION_CONTENT: [(&str, &str); 4] = [
    (
        "train-images-idx3-ubyte",
        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    ),
    (
        "train-labels-idx1-ubyte",
        "9018921c3c673c538a1fc5bad174d6f9",
    ),
    ("t10k-images-idx3-ubyte", "8181f5470baa50b63fa0f6fddb340f0a"),
    ("t10k-labels-idx1-ubyte", "15d484375f8d13e6eb1aabb0c3f46965"),
];

const MNIST_SITE: &str = "https://ossci-datasets.s3.amazonaws.com/mnist";
const MNIST: [Archive; 4] = [
    idx(
        "train-images-idx3-ubyte.gz",
        MNIST_SITE,
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    ),
    idx(
        "train-labels-idx1-ubyte.gz",
        MNIST_SITE,
        "d53e105ee54ea40749a09fcbcd1e9432",
    ),
    idx(
        "t10k-images-idx3-ubyte.gz",
        MNIST_SITE,
        "9fb629c4189551a2d022fa330f9573f3",
    ),
    idx(
        "t10k-labels-idx1-ubyte.gz",
        MNIST_SITE,
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
];

/// One idx file as it is handed out: kept, and read without being unpacked.
const fn idx(name: &'static str, site: &'static str, md5: &'static str) -> Archive {
    Archive {
        name,
        site: Some(site),
        md5,
        unpack_to: None,
    }
}

const IMAGENET: [Archive; 3] = [
    Archive {
        name: "ILSVRC2012_img_train.tar",
        site: None,
        md5: "1d675b47d978889d74fa0da5fadfb00e",
        unpack_to: Some("train"),
    },
    Archive {
        name: "ILSVRC2012_img_val.tar",
        site: None,
        md5: "29b22e2961454d5413ddabcf34fc5622",
        unpack_to: Some("val"),
    },
    Archive {
        name: "ILSVRC2012_devkit_t12.tar.gz",
        site: None,
        md5: "fa75699e90414af021442c21a62c3abf",
        unpack_to: Some(""),
    },
];

const CUB: [Archive; 1] = [Archive {
    name: "CUB_200_2011.tgz",
    site: Some("https://data.caltech.edu/records/65de6-vp158/files"),
    md5: "97eceeb196236b17998738112f37df78",
    unpack_to: Some(""),
}];

const CARS: [Archive; 2] = [
    Archive {
        name: "car_ims.tgz",
        site: None,
        md5: "d5c8f0aa497503f355e17dc7886c3f14",
        unpack_to: Some(""),
    },
    Archive {
        name: "cars_annos.mat",
        site: None,
        md5: "b407c6086d669747186bd1d764ff9dbc",
        unpack_to: None,
    },
];
/// The later layout, which is read as well.
const CARS_LATER: [(&str, &str); 4] = [
    ("cars_train.tgz", "065e5b463ae28d29e77c1b4b166cfe61"),
    ("cars_test.tgz", "4ce7ebf6a94d07f1952d94dd34c4d501"),
    ("car_devkit.tgz", "c3b158d763b6e2245038c8ad08e45376"),
    (
        "cars_test_annos_withlabels.mat",
        "b0a2b23655a3edd16d84508592a98d10",
    ),
];

const PRODUCTS: [Archive; 1] = [Archive {
    name: "Stanford_Online_Products.zip",
    site: Some("http://ftp.cs.stanford.edu/cs/cvgl"),
    md5: "7f73d41a2f44250d4779881525aea32e",
    unpack_to: Some(""),
}];

/// What the publisher of a set says about it.
pub fn official(set: &Dataset) -> Official {
    use Split::{Test, Train, Validation};
    let own = |layout| Official {
        name: set.name(),
        layout,
        classes: 0,
        rows: Vec::new(),
        split_classes: Vec::new(),
        roles: None,
        archives: &[],
        files: &[],
        by_hand: None,
        licence: "yours to know",
        sums_published: true,
    };
    let fashion = |layout, per_split: [usize; 2]| Official {
        classes: 10,
        rows: vec![(Train, per_split[0]), (Test, per_split[1])],
        licence: "MIT, Zalando SE 2017",
        ..own(layout)
    };
    match set {
        Dataset::FashionMini => fashion("nothing: it is part of the program", [4000, 1000]),
        Dataset::Fashion => Official {
            archives: &FASHION,
            files: &FASHION_CONTENT,
            ..fashion(IDX_LAYOUT, [60_000, 10_000])
        },
        Dataset::Mnist => Official {
            archives: &MNIST,
            licence: "CC BY-SA 3.0, LeCun and Cortes",
            ..fashion(IDX_LAYOUT, [60_000, 10_000])
        },
        Dataset::ImageFolder => {
            own("CLASS/any/depth/photograph, or train/ and val/ or test/ of such")
        }
        Dataset::Oml { .. } => own(
            "a CSV or Parquet table: label, path, split [, is_query, is_gallery, category, sequence, \
                 x_1, x_2, y_1, y_2]",
        ),
        Dataset::Flowers102 { protocol } => Official {
            classes: 102,
            rows: match protocol {
                FlowersProtocol::Train => vec![(Train, 1020), (Validation, 1020), (Test, 6149)],
                FlowersProtocol::Trainval => vec![(Train, 2040), (Test, 6149)],
                FlowersProtocol::Swapped => vec![(Train, 6149), (Validation, 1020), (Test, 1020)],
            },
            archives: &FLOWERS,
            licence: "none stated; the photographs belong to their photographers",
            ..own("jpg/image_00001.jpg .., imagelabels.mat, setid.mat")
        },
        Dataset::OxfordIiitPet { .. } => Official {
            classes: 37,
            rows: vec![(Train, 3680), (Test, 3669)],
            archives: &PETS,
            licence: "CC BY-SA 4.0 on the page, research only in the archive's README; the stricter holds",
            ..own("images/Breed_1.jpg .., annotations/{trainval,test}.txt, annotations/xmls/")
        },
        Dataset::StanfordDogs { .. } => Official {
            classes: 120,
            rows: vec![(Train, 12_000), (Test, 8580)],
            archives: &DOGS,
            files: &DOGS_LISTS,
            licence: "ImageNet's: non-commercial research and education",
            sums_published: false,
            ..own("Images/nXXXXXXXX-Breed/, Annotation/, train_list.mat, test_list.mat")
        },
        Dataset::Cub2002011 { protocol, .. } => {
            let (rows, classes) = match protocol {
                ClassProtocol::Metric => ([5864, 5924], [100, 100]),
                ClassProtocol::Closed => ([5994, 5794], [200, 200]),
            };
            Official {
                classes: 200,
                rows: halves(rows),
                split_classes: halves(classes),
                archives: &CUB,
                licence: "none was found; the photographs belong to their photographers",
                sums_published: false,
                ..own(
                    "images/001.Species/, images.txt, image_class_labels.txt, classes.txt, \
                     train_test_split.txt, bounding_boxes.txt",
                )
            }
        }
        Dataset::Cars196 { protocol, .. } => {
            let (rows, classes) = match protocol {
                ClassProtocol::Metric => ([8054, 8131], [98, 98]),
                ClassProtocol::Closed => ([8144, 8041], [196, 196]),
            };
            Official {
                classes: 196,
                rows: halves(rows),
                split_classes: halves(classes),
                archives: &CARS,
                files: &CARS_LATER,
                by_hand: Some(
                    "the publisher's addresses are gone; put the archives there from a copy, or \
                     unpack there cars_train.tgz, cars_test.tgz and car_devkit.tgz beside \
                     cars_test_annos_withlabels.mat",
                ),
                licence: "none was found; the photographs belong to their photographers",
                sums_published: false,
                ..own(
                    "car_ims/, cars_annos.mat, or cars_train/, cars_test/, devkit/ and \
                     cars_test_annos_withlabels.mat",
                )
            }
        }
        Dataset::StanfordOnlineProducts => Official {
            classes: 22_634,
            rows: halves([59_551, 60_502]),
            split_classes: halves([11_318, 11_316]),
            archives: &PRODUCTS,
            licence: "none was found; the photographs belong to their sellers",
            sums_published: false,
            ..own("bicycle_final/ .. toaster_final/, Ebay_train.txt, Ebay_test.txt")
        },
        Dataset::InShop { .. } => Official {
            classes: 7982,
            rows: halves([25_882, 26_830]),
            split_classes: halves([3997, 3985]),
            roles: Some([14_218, 12_612]),
            by_hand: Some(
                "ask the publisher for the benchmark as \
                 https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/InShopRetrieval.html says, and \
                 unpack img.zip beside Eval/ and Anno/",
            ),
            licence: "non-commercial research and education",
            ..own(
                "img/, Eval/list_eval_partition.txt, Anno/list_bbox_inshop.txt for the rectangles",
            )
        },
        Dataset::Imagenet {
            classes: None,
            attributes: None,
        } => Official {
            classes: 1000,
            rows: vec![(Train, 1_281_167), (Test, 50_000)],
            archives: &IMAGENET,
            by_hand: IMAGENET_BY_HAND,
            licence: "non-commercial research and education, after registration",
            ..own(IMAGENET_LAYOUT)
        },
        Dataset::Imagenet { .. } => Official {
            archives: &IMAGENET,
            by_hand: IMAGENET_BY_HAND,
            licence: "non-commercial research and education, after registration",
            ..own(IMAGENET_LAYOUT)
        },
    }
}

/// A number for training and one for test.
fn halves([train, test]: [usize; 2]) -> Vec<(Split, usize)> {
    vec![(Split::Train, train), (Split::Test, test)]
}

const IDX_LAYOUT: &str = "{train,t10k}-images-idx3-ubyte[.gz], {train,t10k}-labels-idx1-ubyte[.gz]";
const IMAGENET_LAYOUT: &str =
    "train/nXXXXXXXX/, val/nXXXXXXXX/ or val/*.JPEG with ILSVRC2012_devkit_t12/data/";

const IMAGENET_BY_HAND: Option<&str> =
    Some("register at https://image-net.org and put the archives into the folder");

/// Every set with its usual protocol, for a list of what there is.
pub fn catalogue() -> Vec<Official> {
    let mut sets = Dataset::usual();
    let table = "table.csv".into();
    sets.insert(4, Dataset::Oml { table });
    sets.iter().map(official).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_md5_and_names_stay_in_their_folder() {
        for set in catalogue() {
            for archive in set.archives {
                assert_eq!(archive.md5.len(), 32, "{}", archive.name);
                assert!(archive.md5.bytes().all(|digit| digit.is_ascii_hexdigit()));
                assert!(!archive.name.contains('/'));
                if let Some(url) = archive.url() {
                    assert!(url.starts_with("http"), "{url}");
                }
            }
        }
    }

    #[test]
    fn the_embedded_set_has_its_numbers() {
        let set = Dataset::FashionMini;
        let table = set.open(None).unwrap();
        let official = official(&set);
        assert_eq!(table.classes(), official.classes);
        for (split, count) in official.rows {
            assert_eq!(table.split(split).len(), count, "{split:?}");
        }
    }
}
