//! The closed list of losses, with the one call that a training loop makes.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::labels::Labels;
use crate::magnet::MagnetLoss;
use crate::output::LossOutput;
use crate::pairs::{ContrastiveLoss, KlPairwiseLoss, MultiSimilarityLoss, NtXentLoss, SupConLoss};
use crate::proxies::{ProxyAnchorLoss, ProxyNcaLoss, RepMetLoss, SoftTripleLoss};
use crate::softmax::{ArcFaceLoss, CosFaceLoss, NormalizedSoftmaxLoss, SoftmaxLoss};
use crate::triplet::TripletLoss;

/// A loss made from a [`LossConfig`](crate::LossConfig). A burn module: losses with parameters are trained with the
/// network.
#[derive(Module, Debug)]
pub enum Loss {
    /// See [`ArcFaceLoss`]; also with several centres a class.
    ArcFace(ArcFaceLoss),
    /// See [`ContrastiveLoss`].
    Contrastive(ContrastiveLoss),
    /// See [`CosFaceLoss`].
    CosFace(CosFaceLoss),
    /// See [`KlPairwiseLoss`].
    KlPairwise(KlPairwiseLoss),
    /// See [`MagnetLoss`].
    Magnet(MagnetLoss),
    /// See [`MultiSimilarityLoss`].
    MultiSimilarity(MultiSimilarityLoss),
    /// See [`NormalizedSoftmaxLoss`].
    NormalizedSoftmax(NormalizedSoftmaxLoss),
    /// See [`NtXentLoss`].
    NtXent(NtXentLoss),
    /// See [`ProxyAnchorLoss`].
    ProxyAnchor(ProxyAnchorLoss),
    /// See [`ProxyNcaLoss`].
    ProxyNca(ProxyNcaLoss),
    /// See [`RepMetLoss`].
    RepMet(RepMetLoss),
    /// See [`SoftTripleLoss`].
    SoftTriple(SoftTripleLoss),
    /// See [`SoftmaxLoss`].
    Softmax(SoftmaxLoss),
    /// See [`SupConLoss`].
    SupCon(SupConLoss),
    /// See [`TripletLoss`].
    Triplet(TripletLoss),
}

impl Loss {
    /// Loss of a batch of embeddings `[batch, dim]`.
    ///
    /// # Panics
    /// As the loss itself: if embeddings and labels differ in length, if a label is not below the number of classes of a
    /// loss that learns them, and for magnet if all clusters share one class.
    pub fn forward<'a>(&self, embeddings: Tensor<2>, labels: impl Into<Labels<'a>>) -> LossOutput {
        let labels: Labels<'a> = labels.into();
        match self {
            Loss::ArcFace(loss) => loss.forward(embeddings, labels),
            Loss::Contrastive(loss) => loss.forward(embeddings, labels),
            Loss::CosFace(loss) => loss.forward(embeddings, labels),
            Loss::KlPairwise(loss) => loss.forward(embeddings, labels),
            Loss::Magnet(loss) => {
                let (clusters, cluster_classes) = labels.clusters();
                loss.forward(embeddings, &clusters, &cluster_classes)
            }
            Loss::MultiSimilarity(loss) => loss.forward(embeddings, labels),
            Loss::NormalizedSoftmax(loss) => loss.forward(embeddings, labels),
            Loss::NtXent(loss) => loss.forward(embeddings, labels),
            Loss::ProxyAnchor(loss) => loss.forward(embeddings, labels),
            Loss::ProxyNca(loss) => loss.forward(embeddings, labels),
            Loss::RepMet(loss) => loss.forward(embeddings, labels),
            Loss::SoftTriple(loss) => loss.forward(embeddings, labels),
            Loss::Softmax(loss) => loss.forward(embeddings, labels),
            Loss::SupCon(loss) => loss.forward(embeddings, labels),
            Loss::Triplet(loss) => loss.forward(embeddings, labels),
        }
    }

    /// Score of each class `[batch, classes]`, for losses that learn the classes; the highest is the prediction.
    pub fn logits(&self, embeddings: Tensor<2>) -> Option<Tensor<2>> {
        match self {
            Loss::ArcFace(loss) => Some(loss.logits(embeddings)),
            Loss::CosFace(loss) => Some(loss.logits(embeddings)),
            Loss::NormalizedSoftmax(loss) => Some(loss.logits(embeddings)),
            Loss::ProxyAnchor(loss) => Some(loss.logits(embeddings)),
            Loss::ProxyNca(loss) => Some(loss.logits(embeddings)),
            Loss::RepMet(loss) => Some(loss.logits(embeddings)),
            Loss::SoftTriple(loss) => Some(loss.logits(embeddings)),
            Loss::Softmax(loss) => Some(loss.logits(embeddings)),
            Loss::Contrastive(_)
            | Loss::KlPairwise(_)
            | Loss::Magnet(_)
            | Loss::MultiSimilarity(_)
            | Loss::NtXent(_)
            | Loss::SupCon(_)
            | Loss::Triplet(_) => None,
        }
    }
}
