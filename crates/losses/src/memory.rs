//! Cross-batch memory: Wang et al., *Cross-Batch Memory for Embedding Learning*, CVPR 2020.

use burn::tensor::Tensor;

use crate::output::LossOutput;
use crate::pair_matrix::PairLoss;
use crate::pairs::{ContrastiveLoss, MultiSimilarityLoss, NtXentLoss, SupConLoss};
use crate::relation::{ChosenPairs, Relation};
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
/// both ends of a pair. All pairs count, whatever miner the loss was made with.
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
    pub fn forward(&mut self, embeddings: Tensor<2>, labels: &[usize]) -> LossOutput {
        let rows = self.loss.prepare(embeddings);
        let mut columns = rows.clone();
        let mut column_labels = labels.to_vec();
        if let Some(memory) = &self.embeddings {
            columns = Tensor::cat(vec![columns, memory.clone()], 0);
            column_labels.extend(&self.labels);
        }
        let relation = Relation::new(labels, &column_labels, &rows.device());
        let output = LossOutput::of_pairs(self.loss.between(rows.clone(), columns, &relation));
        self.remember(rows.inner(), labels);
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
    fn prepare(&self, embeddings: Tensor<2>) -> Tensor<2> {
        match self {
            MemoryLoss::Contrastive(loss) => loss.prepare(embeddings),
            MemoryLoss::MultiSimilarity(loss) => loss.prepare(embeddings),
            MemoryLoss::NtXent(loss) => loss.prepare(embeddings),
            MemoryLoss::SupCon(loss) => loss.prepare(embeddings),
            MemoryLoss::Triplet(loss) => loss.prepare(embeddings),
        }
    }

    fn between(&self, rows: Tensor<2>, columns: Tensor<2>, relation: &Relation<'_>) -> PairLoss {
        let all = ChosenPairs::new(relation, None);
        match self {
            MemoryLoss::Contrastive(loss) => loss.between(rows, columns, all),
            MemoryLoss::MultiSimilarity(loss) => loss.between(rows, columns, all),
            MemoryLoss::NtXent(loss) => loss.between(rows, columns, all),
            MemoryLoss::SupCon(loss) => loss.between(rows, columns, all),
            MemoryLoss::Triplet(loss) => loss.between(rows, columns, relation),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;

    use super::*;
    use crate::testing::{Matrix, assert_close, assert_close_to_largest, differentiate, numbers};
    use crate::{
        ContrastiveLossConfig, Distance, Labels, Miner, MultiSimilarityLossConfig,
        NtXentLossConfig, Reduction, SupConLossConfig, TripletLossConfig,
    };

    fn losses() -> Vec<MemoryLoss> {
        let mining = Miner::All;
        vec![
            MemoryLoss::Contrastive(ContrastiveLossConfig::default().init()),
            MemoryLoss::MultiSimilarity(
                MultiSimilarityLossConfig {
                    mining,
                    ..Default::default()
                }
                .init(),
            ),
            MemoryLoss::NtXent(NtXentLossConfig::default().init()),
            MemoryLoss::SupCon(SupConLossConfig::default().init()),
            MemoryLoss::Triplet(
                TripletLossConfig {
                    mining,
                    ..Default::default()
                }
                .init(),
            ),
        ]
    }

    #[test]
    fn an_empty_memory_leaves_the_loss_of_the_batch() {
        let (x, labels) = (Matrix::random(8, 4, 1), [0, 1, 2, 0, 1, 2, 0, 1]);
        for loss in losses() {
            let alone = differentiate(&x, |x| match &loss {
                MemoryLoss::Contrastive(loss) => loss.forward(x, &Labels::new(&labels)).mean,
                MemoryLoss::MultiSimilarity(loss) => loss.forward(x, &Labels::new(&labels)).mean,
                MemoryLoss::NtXent(loss) => loss.forward(x, &Labels::new(&labels)).mean,
                MemoryLoss::SupCon(loss) => loss.forward(x, &Labels::new(&labels)).mean,
                MemoryLoss::Triplet(loss) => loss.forward(x, &Labels::new(&labels)).mean,
            });
            let (value, slope) = differentiate(&x, |x| {
                CrossBatchMemory::new(loss.clone(), 5)
                    .forward(x, &labels)
                    .mean
            });
            assert_close(&[value], &[alone.0], 1e-6, 0.0);
            assert_close_to_largest("memory", &slope.values, &alone.1.values, 1e-6);
        }
    }

    #[test]
    fn earlier_batches_are_positives_and_negatives_without_gradient() {
        let (old, new) = (Matrix::random(3, 2, 5), Matrix::random(2, 2, 6));
        let (old_labels, new_labels) = ([0, 1, 2], [0, 1]);
        let config = ContrastiveLossConfig {
            distance: Distance::Euclidean,
            negative_margin: 5.0,
            reduction: Reduction::Mean,
            ..Default::default()
        };
        let mut memory = CrossBatchMemory::new(MemoryLoss::Contrastive(config.init()), 16);
        memory.forward(old.leaf(DType::F32), &old_labels);
        // By plain loops: anchors of the new batch against new and old.
        let all = |i: usize| {
            if i < 2 {
                (new.row(i), new_labels[i])
            } else {
                (old.row(i - 2), old_labels[i - 2])
            }
        };
        let (mut positive, mut negative) = (Vec::new(), Vec::new());
        for i in 0..2 {
            for j in (0..5).filter(|&j| j != i) {
                let ((a, of_a), (b, of_b)) = (all(i), all(j));
                let d = a
                    .iter()
                    .zip(b)
                    .map(|(a, b)| (a - b).powi(2))
                    .sum::<f64>()
                    .sqrt();
                if of_a == of_b {
                    positive.push(d)
                } else {
                    negative.push(f64::max(0.0, 5.0 - d))
                }
            }
        }
        let mean = |terms: &[f64]| terms.iter().sum::<f64>() / terms.len() as f64;
        let (value, slope) = differentiate(&new, |x| memory.clone().forward(x, &new_labels).mean);
        assert_close(&[value], &[mean(&positive) + mean(&negative)], 1e-5, 0.0);
        assert!(slope.values.iter().any(|&g| g != 0.0));
    }

    #[test]
    fn the_memory_holds_the_newest_and_no_more_than_its_capacity() {
        let mut memory = CrossBatchMemory::new(losses().remove(0), 5);
        for step in 0..4 {
            let x = Matrix::of(&[[1.0, f64::from(step)], [2.0, f64::from(step)]]);
            memory.forward(x.leaf(DType::F32), &[step as usize, 9]);
        }
        assert_eq!((memory.len(), &memory.labels), (5, &vec![3, 9, 2, 9, 1]));
        assert_eq!(
            memory.embeddings.as_ref().map(|kept| kept.dims()),
            Some([5, 2])
        );
        // Rows are stored as compared: of unit length.
        let newest = numbers(memory.embeddings.clone().unwrap().narrow(0, 0, 1));
        assert_close(&newest, &[0.1f64.sqrt(), 0.9f64.sqrt()], 1e-6, 0.0);
        memory.clear();
        assert!(memory.is_empty());
    }
}
