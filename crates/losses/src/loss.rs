//! The closed list of losses, with the one call that a training loop makes.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::labels::Labels;
use crate::magnet::MagnetLoss;
use crate::output::LossOutput;
use crate::softmax::SoftmaxLoss;
use crate::triplet::TripletLoss;

/// A loss made from a [`LossConfig`](crate::LossConfig). A burn module: losses with parameters are trained with the
/// network.
#[derive(Module, Debug)]
pub enum Loss {
    /// See [`MagnetLoss`].
    Magnet(MagnetLoss),
    /// See [`SoftmaxLoss`].
    Softmax(SoftmaxLoss),
    /// See [`TripletLoss`].
    Triplet(TripletLoss),
}

impl Loss {
    /// Loss of a batch of embeddings `[batch, dim]`.
    ///
    /// # Panics
    /// As the loss itself: if embeddings and labels differ in length, and for magnet if all clusters share one class.
    pub fn forward(&self, embeddings: Tensor<2>, labels: &Labels<'_>) -> LossOutput {
        match self {
            Loss::Magnet(loss) => {
                let (clusters, classes) = labels.clusters();
                loss.forward(embeddings, &clusters, &classes)
            }
            Loss::Softmax(loss) => loss.forward(embeddings, labels.classes()),
            Loss::Triplet(loss) => loss.forward(embeddings, labels),
        }
    }

    /// Score of each class `[batch, classes]`, for losses that learn a classifier; the highest is the prediction.
    pub fn logits(&self, embeddings: Tensor<2>) -> Option<Tensor<2>> {
        match self {
            Loss::Softmax(loss) => Some(loss.logits(embeddings)),
            Loss::Magnet(_) | Loss::Triplet(_) => None,
        }
    }
}
