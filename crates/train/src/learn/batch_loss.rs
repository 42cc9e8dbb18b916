//! The loss of a batch as its plan wants it: over the whole batch, or over weighted neighbourhoods.

use burn::tensor::Tensor;
use lodestone_losses::{
    ImportanceMagnetLossConfig, Labels, Loss, LossConfig, LossOutput, LossReading, Neighbourhood,
    WeightedMean,
};
use lodestone_sampling::{Batch, PlanConfig};
use rand::RngExt;

use crate::config::run_config::RunConfig;
use crate::random::{Purpose, generator};

/// Loss of `embeddings` `[batch, dim]`, whose classes are `labels`; `draw` is the batch's number, for random miners.
pub(crate) fn forward(
    loss: &Loss,
    embeddings: Tensor<2>,
    batch: &Batch,
    labels: &[usize],
    draw: usize,
    config: &RunConfig,
) -> LossOutput {
    if let (LossConfig::Magnet(magnet), PlanConfig::Importance(_) | PlanConfig::Union(_)) =
        (&config.loss, &config.sampler)
    {
        // The plan has made its ratios into final weights, clipped and normalised: `S` draws, each with proposal `1 / S`,
        // count with exactly these weights under the unbiased mean `Σ (probability / proposal) L / S`.
        let proposal = 1.0 / batch.neighbourhoods.len() as f64;
        let drawn = batch.neighbourhoods.iter();
        let neighbourhoods: Vec<Neighbourhood> = drawn
            .map(|drawn| Neighbourhood {
                clusters: drawn.clusters.clone(),
                probability: f64::from(drawn.weight),
                proposal,
            })
            .collect();
        let weighted = ImportanceMagnetLossConfig {
            gap: magnet.gap,
            temperature: magnet.temperature,
            own_mean: magnet.own_mean,
            mean: WeightedMean::Unbiased,
            clip: false,
        };
        return weighted.init().forward(
            embeddings,
            &batch.clusters,
            &batch.cluster_classes,
            &neighbourhoods,
        );
    }
    // The run's seed has a say beside the miner's own, so that seeds of a comparison differ in this too.
    let draw = generator(config.seed, Purpose::Miner, draw).random();
    let labels = Labels::new(labels).with_draw(draw);
    if batch.clusters.is_empty() {
        loss.forward(embeddings, labels)
    } else {
        loss.forward(
            embeddings,
            labels.with_clusters(&batch.clusters, &batch.cluster_classes),
        )
    }
}

/// The readings of several batches as one: means of mean and statistics, all examples.
pub(crate) fn join(readings: Vec<LossReading>) -> LossReading {
    let share = 1.0 / readings.len() as f32;
    let mut readings = readings.into_iter();
    let Some(first) = readings.next() else {
        return LossReading {
            mean: 0.0,
            per_example: Vec::new(),
            statistics: Vec::new(),
        };
    };
    if share == 1.0 {
        return first;
    }
    let mut joined = first;
    for reading in readings {
        joined.mean += reading.mean;
        joined.per_example.extend(reading.per_example);
        for ((_, sum), (_, value)) in joined.statistics.iter_mut().zip(reading.statistics) {
            *sum += value;
        }
    }
    joined.mean *= share;
    joined
        .statistics
        .iter_mut()
        .for_each(|(_, sum)| *sum *= share);
    joined
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};
    use lodestone_losses::Statistic;
    use lodestone_sampling::Neighbourhood as Drawn;

    use super::*;
    use crate::testing::small_config;

    #[test]
    fn weighted_neighbourhoods_are_weighted_sums_of_the_losses_of_their_slices() {
        let config = small_config(&[
            "loss={kind=\"magnet\"}",
            "sampler={kind=\"union\",clusters_per_neighbourhood=2,examples_per_cluster=3}",
        ]);
        let device = Device::flex();
        device.seed(3);
        let loss = config.loss.init(4, 3, &device);
        let embeddings = Tensor::random([9, 4], Distribution::Normal(0.0, 1.0), &device);
        // Three clusters of three; the two neighbourhoods share cluster 1.
        let drawn = |clusters: &[usize], weight| Drawn {
            clusters: clusters.to_vec(),
            weight,
        };
        let batch = Batch {
            rows: (0..9).collect(),
            clusters: (0..9).map(|row| row / 3).collect(),
            cluster_classes: vec![0, 1, 2],
            cluster_ids: vec![4, 5, 6],
            neighbourhoods: vec![drawn(&[0, 1], 0.8), drawn(&[2, 1], 0.2)],
            ..Batch::default()
        };
        let labels: Vec<usize> = (0..9).map(|row| row / 3).collect();
        let output = forward(&loss, embeddings.clone(), &batch, &labels, 0, &config).read();

        let mut expected = 0.0;
        let mut level = 0.0;
        for neighbourhood in &batch.neighbourhoods {
            let (rows, clusters) = batch.slice(neighbourhood);
            let slice: Vec<_> = rows
                .iter()
                .map(|&row| embeddings.clone().narrow(0, row, 1))
                .collect();
            let classes: Vec<usize> = rows.iter().map(|&row| labels[row]).collect();
            let of_clusters: Vec<usize> = neighbourhood
                .clusters
                .iter()
                .map(|&cluster| batch.cluster_classes[cluster])
                .collect();
            let labels = Labels::new(&classes).with_clusters(&clusters, &of_clusters);
            let alone = loss.forward(Tensor::cat(slice, 0), labels).read();
            expected += neighbourhood.weight * alone.mean;
            level += neighbourhood.weight * alone.get(Statistic::CollapseLevel).unwrap();
        }
        assert!(
            (output.mean - expected).abs() < 1e-5 * expected,
            "{} is not {expected}",
            output.mean
        );
        // What a collapsed loss stands at is weighted as the loss is.
        let told = output.get(Statistic::CollapseLevel).unwrap();
        assert!((told - level).abs() < 1e-5 * level, "{told} is not {level}");
    }

    #[test]
    fn several_batches_read_as_their_mean() {
        let reading = |mean, examples: &[f32]| LossReading {
            mean,
            per_example: examples.to_vec(),
            statistics: vec![(lodestone_losses::Statistic::Active, mean / 4.0)],
        };
        let joined = join(vec![reading(1.0, &[1.0]), reading(3.0, &[2.0, 4.0])]);
        assert_eq!(
            (joined.mean, joined.per_example),
            (2.0, vec![1.0, 2.0, 4.0])
        );
        assert_eq!(joined.statistics[0].1, 0.5);
    }
}
