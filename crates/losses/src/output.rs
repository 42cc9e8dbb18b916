//! What a loss returns: the value to differentiate, the value of every example, and numbers to watch.

use burn::tensor::{DType, Tensor};

use crate::pair_matrix::PairLoss;

/// Result of one forward pass of a loss.
///
/// Everything stays on the device until [`LossOutput::read`], which fetches all of it in a single transfer.
#[derive(Clone, Debug)]
pub struct LossOutput {
    /// The loss `[1]`; the only part that carries a gradient.
    pub mean: Tensor<1>,
    /// Loss of each example `[batch]`, without gradient, so that keeping it does not keep the graph. Where a loss
    /// counts pairs or triplets, these are averaged over those of the example as anchor.
    pub per_example: Tensor<1>,
    /// Numbers a user watches.
    pub statistics: Statistics,
}

impl LossOutput {
    /// The output of a loss on pairs or triplets.
    pub(crate) fn of_pairs(loss: PairLoss) -> Self {
        LossOutput {
            mean: loss.mean,
            per_example: loss.per_row,
            statistics: Statistics::default()
                .with(Statistic::Active, loss.active)
                .with(Statistic::Counted, loss.counted),
        }
    }

    /// Copies mean, per-example losses and statistics to the host in one transfer.
    pub fn read(&self) -> LossReading {
        self.read_with(Vec::new()).0
    }

    /// The same, and the values of further tensors in the same transfer: each transfer makes the host wait for all that the
    /// device still has to do.
    pub fn read_with(&self, more: Vec<Tensor<1>>) -> (LossReading, Vec<Vec<f32>>) {
        let lengths: Vec<usize> = more.iter().map(|tensor| tensor.dims()[0]).collect();
        let mut parts = vec![self.mean.clone().inner(), self.per_example.clone()];
        parts.extend(
            self.statistics
                .entries
                .iter()
                .map(|(_, value)| value.clone()),
        );
        parts.extend(more);
        let parts = parts
            .into_iter()
            .map(|part| part.cast(DType::F32))
            .collect();
        let examples = self.per_example.dims()[0];
        let numbers = Tensor::cat(parts, 0).into_data();
        let numbers: Vec<f32> = numbers.iter::<f32>().collect();
        let (own, mut rest) = numbers.split_at(1 + examples + self.statistics.entries.len());
        let reading = LossReading {
            mean: own[0],
            per_example: own[1..=examples].to_vec(),
            statistics: (self.statistics.entries.iter().map(|(name, _)| *name))
                .zip(own[1 + examples..].iter().copied())
                .collect(),
        };
        let more = lengths.into_iter().map(|length| {
            let (values, left) = rest.split_at(length);
            rest = left;
            values.to_vec()
        });
        (reading, more.collect())
    }
}

/// A [`LossOutput`] on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct LossReading {
    /// The loss.
    pub mean: f32,
    /// Loss of each example of the batch.
    pub per_example: Vec<f32>,
    /// Name and value of each statistic, in the order in which the loss reports them.
    pub statistics: Vec<(Statistic, f32)>,
}

impl LossReading {
    /// Value of one statistic, if the loss reports it.
    pub fn get(&self, statistic: Statistic) -> Option<f32> {
        self.statistics
            .iter()
            .find(|(name, _)| *name == statistic)
            .map(|(_, value)| *value)
    }
}

/// Statistics of one forward pass, still on the device.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    entries: Vec<(Statistic, Tensor<1>)>,
}

impl Statistics {
    /// Adds one number `[1]`; its gradient is dropped.
    pub(crate) fn with(mut self, name: Statistic, value: Tensor<1>) -> Self {
        self.entries.push((name, value.inner()));
        self
    }

    /// Value of one statistic `[1]`, if the loss reports it.
    pub fn get(&self, statistic: Statistic) -> Option<Tensor<1>> {
        self.entries
            .iter()
            .find(|(name, _)| *name == statistic)
            .map(|(_, value)| value.clone())
    }

    /// The statistics that are reported, in order.
    pub fn names(&self) -> impl Iterator<Item = Statistic> + '_ {
        self.entries.iter().map(|(name, _)| *name)
    }
}

/// A number worth a curve beside the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Statistic {
    /// Magnet: variance of the batch, the squared radius of a cluster, in squared units of the embedding.
    Variance,
    /// Magnet: share of examples whose loss is 0 because their own cluster wins by the gap.
    HingedOut,
    /// Magnet: mean over the examples of (squared distance to the nearest imposter − to the own mean) / (2·temperature·variance),
    /// in nats, with the own mean that the loss takes; to be compared with the gap.
    ImposterGap,
    /// Magnet: the loss if all exponents were 0, gap + ln(M - 1) for M clusters of M classes, in nats; with siblings the
    /// mean over the examples of gap + ln(clusters of other classes). A loss that stays here has collapsed: see
    /// [`pinned_level`](crate::pinned_level).
    CollapseLevel,
    /// Magnet: 1 if the variance had to be raised to its floor, which means that every example sits on its own mean.
    VarianceFloored,
    /// Magnet, importance-weighted: effective number of neighbourhoods, (Σw)² / Σw².
    EffectiveSampleSize,
    /// Share of pairs or triplets with a loss above 0, among those that count.
    Active,
    /// Number of pairs or triplets that count.
    Counted,
    /// Classifying losses: share of examples whose class has the highest score.
    Accuracy,
}

impl Statistic {
    /// A stable name for a column of a log.
    pub fn name(self) -> &'static str {
        match self {
            Statistic::Variance => "variance",
            Statistic::HingedOut => "hinged_out",
            Statistic::ImposterGap => "imposter_gap",
            Statistic::CollapseLevel => "collapse_level",
            Statistic::VarianceFloored => "variance_floored",
            Statistic::EffectiveSampleSize => "effective_sample_size",
            Statistic::Active => "active",
            Statistic::Counted => "counted",
            Statistic::Accuracy => "accuracy",
        }
    }
}
