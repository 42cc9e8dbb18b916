//! What a step reads from its device: everything in one transfer, in one place.
//!
//! Work for a device is queued; a transfer makes the host wait until all of it is done. The next batch is therefore uploaded
//! before the transfer, and there is no second one.

use burn::tensor::Tensor;
use lodestone_losses::{LossOutput, LossReading};

/// Counts the transfers of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Transfers(usize);

/// Numbers of a batch on the host.
pub(crate) struct OnHost {
    pub(crate) reading: LossReading,
    /// `[batch, dim]`, row-major, where they were asked for.
    pub(crate) embeddings: Option<Vec<f32>>,
    /// Whether all gradients are finite; true if their norm was not read.
    pub(crate) gradients_are_finite: bool,
}

impl Transfers {
    /// Reads what a loss says of a batch, and in the same transfer the embeddings and the squared norm of the gradients
    /// where they are given.
    pub(crate) fn read(
        &mut self,
        output: &LossOutput,
        embeddings: Option<Tensor<2>>,
        squared_norm: Option<Tensor<1>>,
    ) -> OnHost {
        self.0 += 1;
        let asked = (embeddings.is_some(), squared_norm.is_some());
        let flat = embeddings.map(|embeddings| embeddings.flatten::<1>(0, 1));
        let more = squared_norm.into_iter().chain(flat).collect();
        let (reading, mut more) = output.read_with(more);
        let embeddings = if asked.0 { more.pop() } else { None };
        let norm = if asked.1 { more.pop() } else { None };
        OnHost {
            reading,
            embeddings,
            gradients_are_finite: norm.is_none_or(|norm| norm[0].is_finite()),
        }
    }

    /// How many there were.
    pub(crate) fn count(self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use burn::tensor::Device;
    use lodestone_losses::LossConfig;

    use crate::testing::small_config;
    use crate::{Event, Observer, Places, Trainer};

    /// What each step waited for.
    #[derive(Default)]
    struct Waits(Vec<usize>);

    impl Observer for Waits {
        fn on(&mut self, event: Event<'_>) {
            if let Event::Step(report) = event {
                self.0.push(report.transfers);
            }
        }

        fn elapsed(&self) -> Duration {
            Duration::ZERO
        }
    }

    #[test]
    fn a_step_of_any_loss_waits_for_its_device_once() {
        for kind in LossConfig::KINDS {
            let loss = format!("loss={{kind=\"{kind}\"}}");
            // Looks at the embeddings in some steps, and keeps them all for the index in others.
            let sampler =
                "sampler={kind=\"neighbourhood\",clusters_per_batch=3,examples_per_cluster=4}";
            let index = "index={clusters_per_class=1}";
            let settings = [
                loss.as_str(),
                sampler,
                index,
                "train.look_period=2",
                "train.refresh_source=\"fused\"",
                "evaluation.test=false",
            ];
            let config = small_config(&settings);
            let folder = tempfile::tempdir().unwrap();
            let table = config.data.set.open(None).unwrap();
            let places = Places {
                run: folder.path().join("run"),
                cache: folder.path().join("cache"),
            };
            let mut waits = Waits::default();
            let trainer = Trainer::new(config, table, places, Device::flex()).unwrap();
            trainer.run(&mut waits).unwrap();
            let seen: BTreeSet<usize> = waits.0.iter().copied().collect();
            assert_eq!((waits.0.len(), seen), (8, BTreeSet::from([1])), "{kind}");
        }
    }
}
