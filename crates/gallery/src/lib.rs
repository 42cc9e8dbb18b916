//! Embedded photographs in a file that is searched, grown and shrunk without training.
//!
//! A [`Gallery`] holds embeddings with the path and the class of each, and what follows from them: cluster centres of each class,
//! which vote for the class of a query (kNC), and how far known and unknown photographs lie from what is nearest, which says
//! when to answer "unknown". A class that nobody trained on is a class as soon as it has rows.
//!
//! ```
//! use lodestone_eval::Rows;
//! use lodestone_gallery::{Entry, Gallery, Settings};
//!
//! let mut gallery = Gallery::new(1, Settings::default());
//! let shelf = |path: &str, class: &str| Entry { path: path.into(), class: class.into() };
//! let cups = ["a.jpg", "b.jpg", "c.jpg"].map(|path| shelf(path, "cups"));
//! let plates = ["d.jpg", "e.jpg", "f.jpg"].map(|path| shelf(path, "plates"));
//! gallery.add(Rows::new(&[0.0, 0.1, 0.2], 1).unwrap(), &cups)?;
//! gallery.add(Rows::new(&[5.0, 5.1, 5.2], 1).unwrap(), &plates)?;
//!
//! let answers = gallery.search(Rows::new(&[0.12, 20.0], 1).unwrap(), 2, 0.95)?;
//! assert_eq!(answers[0].nearest[0].path, "b.jpg");
//! assert_eq!(answers[0].classes[0].class_name, "cups");
//! assert_eq!((answers[0].unknown, answers[1].unknown), (Some(false), Some(true)));
//! # Ok::<(), lodestone_gallery::GalleryError>(())
//! ```
//!
//! # The file
//!
//! One `.safetensors` file, so that other programs can read it: `embeddings` `[n, dim]` f32, `keys` `[n]` (numbers that a row keeps
//! for life), `labels` `[n]`, `path_bytes` and `path_ends` (UTF-8 paths after each other and where each ends), `centres` and
//! `centre_labels`, `known` and `unknown` (squared distances of the calibration), and the rest as JSON in the metadata. A gallery
//! that is searched by a graph has a file of usearch beside it, whose keys are `keys`.

mod calibration;
mod centres;
mod error;
mod file;
mod gallery;
#[cfg(feature = "graph")]
mod graph;
mod search;
mod settings;

pub use error::GalleryError;
pub use gallery::{Entry, Gallery};
#[cfg(feature = "graph")]
pub use graph::Graph;
pub use search::{Answer, ClassVote, Near};
pub use settings::{Kind, Settings};
