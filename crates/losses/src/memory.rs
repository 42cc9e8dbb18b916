//! Cross-batch memory: Wang et al., *Cross-Batch Memory for Embedding Learning*, CVPR 2020.

use burn::tensor::Tensor;

use crate::candidates::Candidates;
use crate::labels::Labels;
use crate::on_pairs::OnPairs;
use crate::output::LossOutput;
use crate::pairs::{ContrastiveLoss, MultiSimilarityLoss, NtXentLoss, SupConLoss};
use crate::triplet::TripletLoss;

/// A loss that can compare a batch with a memory.
#[derive(Clone, Debug)]
pub enum MemoryLoss {
    /// See [`ContrastiveLoss`].
    Contrastive(ContrastiveLoss),
    /// See [`MultiSimilarityLoss`].
    MultiSimilarity(MultiSimilarityLoss),
    /// See [`NtXentLoss`].
    NtXent(NtXentLoss),
    /// See [`SupConLoss`].
    SupCon(SupConLoss),
    /// See [`TripletLoss`].
    Triplet(TripletLoss),
}

/// Compares each batch with itself and with the embeddings of the latest batches, which are kept as constants.
///
/// Embeddings drift slowly, so old ones serve as extra positives and negatives at the cost of a few rows of memory:
/// `capacity × dim` numbers, never more. Anchors are the examples of the batch; within the batch gradients flow through
/// both ends of a pair. The miner that the loss was made with chooses among batch and memory.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::{ContrastiveLossConfig, CrossBatchMemory, MemoryLoss};
///
/// let device = Device::flex();
/// let loss = MemoryLoss::Contrastive(ContrastiveLossConfig::default().init());
/// let mut memory = CrossBatchMemory::new(loss, 3);
/// let batch = Tensor::<2>::from_data([[1.0, 0.0], [0.0, 1.0]], &device);
/// // Alone, the batch has no positive pair; with its twin in memory it has two.
/// memory.forward(batch.clone(), &[0, 1]);
/// assert_eq!(memory.len(), 2);
/// memory.forward(batch, &[0, 1]);
/// assert_eq!(memory.len(), 3);
/// ```
#[derive(Clone, Debug)]
pub struct CrossBatchMemory {
    loss: MemoryLoss,
    capacity: usize,
    embeddings: Option<Tensor<2>>,
    labels: Vec<usize>,
}

impl CrossBatchMemory {
    /// An empty memory of at most `capacity` embeddings.
    pub fn new(loss: MemoryLoss, capacity: usize) -> Self {
        CrossBatchMemory {
            loss,
            capacity,
            embeddings: None,
            labels: Vec::new(),
        }
    }

    /// Number of embeddings held.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether no embedding is held.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Forgets all embeddings, as after a jump of the network.
    pub fn clear(&mut self) {
        self.embeddings = None;
        self.labels.clear();
    }

    /// Loss of a batch against itself and the memory; then the batch enters the memory and the oldest embeddings leave it.
    ///
    /// # Shapes
    /// - embeddings: `[batch, dim]`
    /// - labels: `[batch]`
    ///
    /// # Panics
    /// If the batch is empty or the lengths differ.
    pub fn forward<'a>(
        &mut self,
        embeddings: Tensor<2>,
        labels: impl Into<Labels<'a>>,
    ) -> LossOutput {
        let labels: Labels<'a> = labels.into();
        let classes = labels.classes();
        let loss = self.loss.on_pairs();
        let rows = loss.prepare(embeddings);
        let mut columns = rows.clone();
        let mut column_labels = classes.to_vec();
        if let Some(memory) = &self.embeddings {
            columns = Tensor::cat(vec![columns, memory.clone()], 0);
            column_labels.extend(&self.labels);
        }
        let among = Candidates::new(rows.clone(), columns, classes, &column_labels);
        let output = LossOutput::of_pairs(loss.between(&among, labels.draw()));
        self.remember(rows.inner(), classes);
        output
    }

    /// Newest first.
    fn remember(&mut self, rows: Tensor<2>, labels: &[usize]) {
        let mut kept_labels = labels.to_vec();
        kept_labels.append(&mut self.labels);
        kept_labels.truncate(self.capacity);
        let all = match self.embeddings.take() {
            None => rows,
            Some(memory) => Tensor::cat(vec![rows, memory], 0),
        };
        self.embeddings = (!kept_labels.is_empty()).then(|| all.narrow(0, 0, kept_labels.len()));
        self.labels = kept_labels;
    }
}

impl MemoryLoss {
    fn on_pairs(&self) -> &dyn OnPairs {
        match self {
            MemoryLoss::Contrastive(loss) => loss,
            MemoryLoss::MultiSimilarity(loss) => loss,
            MemoryLoss::NtXent(loss) => loss,
            MemoryLoss::SupCon(loss) => loss,
            MemoryLoss::Triplet(loss) => loss,
        }
    }
}

#[cfg(test)]
mod tests;
