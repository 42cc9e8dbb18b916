//! Weights in and out of files.
//!
//! A network lists its tensors as [`Slot`]s under the names of the published files; reading and writing know nothing else
//! about it. Published names are those of torchvision, or of Caffe for the network that came from there.

pub(crate) mod caffe;
mod contents;
mod error;
mod file;
mod load;
mod pth;
mod slot;
#[cfg(test)]
mod tests;
mod write;

pub use contents::{FileDtype, FileTensor, WeightFile};
pub use error::{Mismatch, Misshaped, WeightsError};
pub use load::{LoadOptions, LoadReport};
pub(crate) use load::{LoadRules, load};
pub(crate) use slot::Slot;
pub(crate) use write::write;
