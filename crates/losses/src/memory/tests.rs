//! The memory against plain loops, and what enters and leaves it.

use burn::tensor::DType;

use super::*;
use crate::mining::NegativeChoice;
use crate::testing::{
    Matrix, assert_close, assert_close_to_largest, assert_gradient_is_slope,
    assert_shards_are_the_whole, differentiate, euclidean, numbers,
};
use crate::{
    ContrastiveLossConfig, Distance, Labels, Miner, MultiSimilarityLossConfig, NtXentLossConfig,
    Reduction, SupConLossConfig, TripletLossConfig,
};

fn losses(mining: Miner) -> Vec<MemoryLoss> {
    vec![
        MemoryLoss::Contrastive(
            ContrastiveLossConfig {
                mining,
                ..Default::default()
            }
            .init(),
        ),
        MemoryLoss::MultiSimilarity(
            MultiSimilarityLossConfig {
                mining,
                ..Default::default()
            }
            .init(),
        ),
        MemoryLoss::NtXent(
            NtXentLossConfig {
                mining,
                ..Default::default()
            }
            .init(),
        ),
        MemoryLoss::SupCon(
            SupConLossConfig {
                mining,
                ..Default::default()
            }
            .init(),
        ),
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
    for loss in losses(Miner::All) {
        let alone = differentiate(&x, |x| match &loss {
            MemoryLoss::Contrastive(loss) => loss.forward(x, Labels::new(&labels)).mean,
            MemoryLoss::MultiSimilarity(loss) => loss.forward(x, Labels::new(&labels)).mean,
            MemoryLoss::NtXent(loss) => loss.forward(x, Labels::new(&labels)).mean,
            MemoryLoss::SupCon(loss) => loss.forward(x, Labels::new(&labels)).mean,
            MemoryLoss::Triplet(loss) => loss.forward(x, Labels::new(&labels)).mean,
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
fn the_miner_chooses_among_batch_and_memory() {
    let (old, new) = (Matrix::random(6, 3, 5), Matrix::random(5, 3, 6));
    let (old_labels, new_labels) = ([0, 1, 2, 0, 1, 2], [0, 1, 2, 0, 1]);
    let config = TripletLossConfig {
        distance: Distance::Euclidean,
        reduction: Reduction::Mean,
        mining: Miner::Hard,
        ..Default::default()
    };
    let remembering = |dtype| {
        let mut memory = CrossBatchMemory::new(MemoryLoss::Triplet(config.init()), 16);
        memory.forward(old.leaf(dtype), &old_labels);
        memory
    };
    // By plain loops: per anchor of the batch the farthest positive and the nearest negative of both.
    let mut total = 0.0;
    for i in 0..5 {
        let in_batch = (0..5).filter(|&j| j != i);
        let others = in_batch
            .map(|j| (new.row(j), new_labels[j]))
            .chain((0..6).map(|j| (old.row(j), old_labels[j])));
        let (mut positive, mut negative) = (0.0, f64::MAX);
        for (other, label) in others {
            let d = euclidean(new.row(i), other);
            if label == new_labels[i] {
                positive = f64::max(positive, d);
            } else {
                negative = f64::min(negative, d);
            }
        }
        total += f64::max(0.0, positive - negative + 0.2) / 5.0;
    }
    let forward = |x: Tensor<2>| remembering(x.dtype()).forward(x, &new_labels);
    let (value, _) = differentiate(&new, |x| forward(x).mean);
    assert_close(&[value], &[total], 1e-5, 0.0);
    assert_gradient_is_slope(&new, |x| forward(x).mean);
    assert_eq!(forward(new.leaf(DType::F32)).per_example.dims(), [5]);
}

#[test]
fn every_miner_goes_with_every_loss_and_a_memory() {
    let (old, new) = (Matrix::random(9, 3, 15), Matrix::random(8, 3, 16));
    let labels = [0, 1, 2, 0, 1, 2, 0, 1, 2];
    let miners = [
        Miner::All,
        Miner::Hard,
        Miner::SemiHard { margin: 0.5 },
        Miner::SemiHardNearest { margin: 0.5 },
        Miner::SemiHardOrFarthest,
        Miner::EasyPositive {
            negatives: NegativeChoice::SemiHard,
        },
        Miner::DistanceWeighted {
            nearest: 0.5,
            farthest: 1.4,
            seed: 3,
        },
        Miner::MultiSimilarity { epsilon: 0.1 },
    ];
    for mining in miners {
        for loss in losses(mining) {
            let name = format!("{loss:?}");
            let mut memory = CrossBatchMemory::new(loss, 7);
            memory.forward(old.leaf(DType::F32), &labels);
            assert_shards_are_the_whole(&name, &new, |x| {
                memory.clone().forward(x, &labels[..8]).mean
            });
        }
    }
}

#[test]
fn the_memory_holds_the_newest_and_no_more_than_its_capacity() {
    let mut memory = CrossBatchMemory::new(losses(Miner::All).remove(0), 5);
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
