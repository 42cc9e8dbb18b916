//! From files of photographs to decoded, augmented batches.
//!
#![doc = include_str!("../README.md")]
//!
//! A [`Dataset`] reads the official lists of a set into a [`Table`]; a [`Loader`] renders rows of the table on threads, ahead
//! of the step that uses them. [`Preprocessing`] says what the network expects, [`View`] what is varied. Row numbers are
//! what samplers and evaluation exchange with this crate; it knows neither networks nor losses.
//!
//! | module | content |
//! |---|---|
//! | `sets` | one file a data set: official layout in, table out; where a protocol keeps classes for the test, the table says so by its splits |
//! | `table`, `hold_out` | rows, splits, coarse classes |
//! | `mat`, `sums`, `listing` | MATLAB 5 list files, checksums, remembered file trees |
//! | `official`, `doctor`, `broken` | the publishers' numbers; what is wrong with a folder; leaving it out |
//! | `fetch` | downloads, when asked; nothing else here uses the network |
//! | `jpeg`, `gif`, `kinds`, `pixels`, `look` | bytes to RGB: of a JPEG only the part, and at the scale, that a view needs |
//! | `photograph`, `resize`, `rotate`, `colour` | RGB to RGB |
//! | `preprocessing`, `augmentation`, `view` | which view of a photograph is asked for, and its random draws |
//! | `render`, `renderer`, `loader`, `cache` | one image, one row, many batches, kept photographs |
//!
//! # Speed
//!
//! `cargo xtask bench data FOLDER --peer PYTHON` loads the first 1200 photographs of a folder with two threads, beside torchvision's
//! `DataLoader` with two workers: train (random resized crop to 224², flip, normalise) and eval (resize to 256, centre crop,
//! normalise). Flowers-102 scaled to 256 pixels on the short side, medians of three runs of each in turn; two cores of an AMD EPYC
//! with AVX-512, nothing else running; commit 2a7ac51:
//!
//! | | lodestone | torchvision | ratio |
//! |---|---:|---:|---:|
//! | train, images/s | 3340 | 764 | 4.37 |
//! | eval, images/s | 4536 | 1104 | 4.11 |
//! | peak memory of all processes, MB | 79 | 1663 | 0.05 |

// A test without its files says that it was skipped.
#![cfg_attr(test, allow(clippy::print_stderr))]

mod augmentation;
mod broken;
mod cache;
mod colour;
mod decode;
mod doctor;
mod draws;
mod error;
#[cfg(feature = "download")]
mod fetch;
#[doc(hidden)]
pub mod fuzzing;
mod gif;
mod hold_out;
mod jpeg;
mod kinds;
mod listing;
mod loader;
mod look;
pub mod mat;
mod official;
#[cfg(test)]
mod parity;
mod photograph;
mod pixels;
mod preprocessing;
mod render;
mod renderer;
mod resize;
mod rotate;
mod sets;
mod sums;
mod table;
mod view;
mod window;

pub use augmentation::{Augmentation, Erasing, RandomCrop};
pub use broken::find_broken;
pub use cache::{CacheConfig, CacheContent, CachePlace};
pub use colour::Jitter;
pub use decode::decode;
pub use doctor::{
    ClassCount, Count, Finding, FindingKind, Group, Leak, Report, RoleCounts, SplitCount, SumCheck,
    examine, verify_archives,
};
pub use draws::{DrawKey, Draws};
pub use error::{DataError, DecodeError};
#[cfg(feature = "download")]
pub use fetch::{FetchError, FetchProgress, UnpackLimits, fetch};
pub use hold_out::UnseenClasses;
pub use loader::{Batches, Broken, ImageBatch, Loader, LoaderConfig, MOST_THREADS, Stream};
pub use lodestone_files::{ChannelOrder, Filter, Orientation, Preprocessing};
pub use official::{Archive, Official, catalogue, official};
pub use pixels::{DecodeLimits, Pixels};
pub use render::{Images, image_from_bytes, load_image};
pub use sets::{
    Attributes, ClassProtocol, Dataset, FlowersProtocol, Regions, detect, photographs_in,
    read_attributes,
};
pub use table::{Packed, PixelBox, Roles, Row, Source, Split, Table};
pub use view::View;
