//! GoogLeNet, Inception V3 and a small network as embedders, with weights in and out.

mod batch_norm;
mod conv_unit;
mod convnet;
mod dense;
mod embedder;
mod googlenet;
mod head;
mod initialise;
mod layer;
mod local_norm;
mod model;
mod network;
#[cfg(test)]
#[allow(clippy::print_stderr, reason = "a skipped test says why")]
mod parity;
mod pool;
mod preprocessing;
mod rescale;
mod trunk;
mod weights;

pub use convnet::ConvNetConfig;
pub use embedder::{Embedder, EmbedderConfig};
pub use googlenet::{GoogLeNetConfig, GoogLeNetForm};
pub use head::{Head, HeadConfig, HeadInitialisation, HeadKind};
pub use layer::LayerCost;
pub use model::{Distance, Model, ModelDescription};
pub use network::NetworkConfig;
pub use preprocessing::{ChannelOrder, Filter, Preprocessing};
pub use trunk::{InputError, StageId, Trunk, UnknownStage};
pub use weights::{
    FileDtype, FileTensor, LoadOptions, LoadReport, Mismatch, Misshaped, WeightFile, WeightsError,
};
