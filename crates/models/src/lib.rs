//! GoogLeNet, Inception V3, ResNet and a small network as embedders, with weights in and out.
//!
#![doc = include_str!("../README.md")]
//!
//! - [`NetworkConfig`] describes a network; [`Trunk`] is one: named stages from an image to pooled features, which can be cut
//!   and frozen behind any stage.
//! - [`Embedder`] is a trunk with a [`Head`]: from an image to an embedding. [`Classifier`] is a trunk with the published
//!   classifiers.
//! - [`Embedder::load_pretrained`] reads published weights, `.safetensors`, `.pth` or `.caffemodel`, under their published names.
//! - [`Model`] is an embedder as a file that says itself how a picture is to be prepared and embeddings are to be compared.
//! - [`Summary`] tells size and cost.
//!
//! Numbers agree with torchvision's networks, and with Caffe's for the network of 2014, in use and in training; the tests
//! hold it stage by stage.
//!
//! # Running statistics
//! burn 0.22.1's batch normalisation moves the running variance towards the batch variance that divides by `n`, torch towards
//! the one that divides by `n - 1`. Here both kinds of division are told apart: a batch is normalised by the first, as in
//! both, and `running_var ← 0.9 running_var + 0.1 n / (n - 1) variance`, as in torch. A network trained here, written and read
//! by torch goes on with the running statistics it would have had there; the tests compare them after a step.
//!
//! # Speed in use
//! Without a gradient, batch normalisation is a part of the convolution before it (weights times `g / sqrt(v + epsilon)`),
//! and so is ReLU, and the sum that ends a block of ResNet: one pass over the maps instead of three or four. [`Embedder::forward`] folds anew for each batch where the layer
//! does not learn; [`Embedder::for_inference`] folds once.
//!
//! # Memory in training
//! The activations of every layer are kept for the backward pass. [`Embedder::forward_segmented`] keeps a few and computes
//! the others again; in a run file it is `model.gradient_checkpointing = true`.

mod auxiliary;
mod auxiliary_classifiers;
mod batch_norm;
mod classifier;
mod conv_unit;
mod convnet;
mod dense;
mod discriminant;
mod eigen;
mod embedder;
mod googlenet;
mod head;
mod inception_v3;
mod inference;
mod initialise;
mod layer;
mod layer_cost;
mod local_norm;
mod model;
mod network;
#[cfg(test)]
mod parity;
mod pool;
mod rescale;
mod residual;
mod resnet;
mod segmented;
mod setting;
mod summary;
mod trunk;
mod weights;
mod whiten;

pub use auxiliary_classifiers::AuxiliaryClassifiers;
pub use classifier::{Auxiliary, Classifier, ClassifierConfig, ClassifierOutput};
pub use convnet::ConvNetConfig;
pub use embedder::{Embedder, EmbedderConfig};
pub use googlenet::{GoogLeNetConfig, GoogLeNetForm};
pub use head::{Head, HeadConfig, HeadInitialisation, HeadKind};
pub use inception_v3::InceptionV3Config;
pub use inference::InferenceEmbedder;
pub use layer_cost::LayerCost;
pub use lodestone_files::{ChannelOrder, Filter, Orientation, Preprocessing};
pub use model::{Comparison, Model, ModelDescription};
pub use network::NetworkConfig;
pub use resnet::ResNetConfig;
pub use segmented::{EmbedderGradients, SegmentedPass};
pub use setting::SettingError;
pub use summary::Summary;
pub use trunk::{InputError, StageId, Trunk, UnknownStage};
pub use weights::{
    FileDtype, FileTensor, LoadOptions, LoadReport, Mismatch, Misshaped, WeightFile, WeightsError,
};
