//! GoogLeNet, Inception V3 and a small network as embedders, with weights in and out.

mod auxiliary;
mod batch_norm;
mod classifier;
mod conv_unit;
mod convnet;
mod dense;
mod embedder;
mod googlenet;
mod head;
mod inception_v3;
mod inference;
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
mod summary;
mod trunk;
mod weights;

pub use classifier::{Auxiliary, Classifier, ClassifierConfig, ClassifierOutput};
pub use convnet::ConvNetConfig;
pub use embedder::{Embedder, EmbedderConfig};
pub use googlenet::{GoogLeNetConfig, GoogLeNetForm};
pub use head::{Head, HeadConfig, HeadInitialisation, HeadKind};
pub use inception_v3::InceptionV3Config;
pub use inference::InferenceEmbedder;
pub use layer::LayerCost;
pub use model::{Distance, Model, ModelDescription};
pub use network::NetworkConfig;
pub use preprocessing::{ChannelOrder, Filter, Preprocessing};
pub use summary::Summary;
pub use trunk::{InputError, StageId, Trunk, UnknownStage};
pub use weights::{
    FileDtype, FileTensor, LoadOptions, LoadReport, Mismatch, Misshaped, WeightFile, WeightsError,
};
