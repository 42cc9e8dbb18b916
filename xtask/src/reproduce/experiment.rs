//! The experiments, each a list of cells: what is trained, with which seeds, and what is asked of it.

use super::ablation::ABLATIONS;
use anyhow::Result;

use super::cell::{Cell, Label, Work};
use super::fit::fit;
use super::ledger::Ledger;
use super::loss::Loss;
use super::runs::{all_layers, convergence, index_costs, last, merged, random, trials};
use super::space;
use super::suite::Suite;

/// An experiment of the specification, or the tuning before it. E2 is E1 on `imagenet-attributes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Experiment {
    Tuning,
    Classification,
    /// E1 again with nothing frozen, on sets whose other runs keep the lower layers of the trunk.
    AllLayers,
    /// The same for a multiple of the images: whether errors are those of a training that was cut short.
    Longer,
    Random,
    Map,
    Convergence,
    Concentration,
    Mixed,
    Ablation,
    IndexCost,
}

/// Whether cells that depend on trials to come are listed with the run file's own setting, for a forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    LeftOut,
    Assumed,
}

impl Experiment {
    /// All, what matters most first.
    pub(crate) const ALL: [Self; 11] = [
        Self::Tuning,
        Self::Classification,
        Self::AllLayers,
        Self::Longer,
        Self::Random,
        Self::Map,
        Self::Convergence,
        Self::Concentration,
        Self::Mixed,
        Self::Ablation,
        Self::IndexCost,
    ];

    /// Name on the command line and in the ledger.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tuning => "tuning",
            Self::Classification => "e1",
            Self::AllLayers => "e1-all-layers",
            Self::Longer => "e1-longer",
            Self::Convergence => "e3",
            Self::Concentration => "e4",
            Self::Random => "e5",
            Self::Mixed => "e6",
            Self::Map => "e7",
            Self::Ablation => "e8",
            Self::IndexCost => "e9",
        }
    }

    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// What it asks, in a few words.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Tuning => "trials, judged on validation images",
            Self::Classification => "classification error",
            Self::AllLayers => "classification error, all layers trained",
            Self::Longer => "classification error, all layers trained for longer",
            Self::Convergence => "convergence",
            Self::Concentration => "concentration of attributes",
            Self::Random => "hierarchy recovery, classes merged at random",
            Self::Mixed => "hierarchy recovery, classes of unlike kinds merged",
            Self::Map => "maps of two merged classes",
            Self::Ablation => "ablations of magnet",
            Self::IndexCost => "cost of the cluster index",
        }
    }

    /// Its cells, in the order in which they are run. A loss whose trials are not all through has none beyond tuning.
    ///
    /// # Errors
    /// If a run file cannot be read or does not take a setting.
    pub(crate) fn cells(
        self,
        suite: &Suite,
        ledger: &Ledger,
        unknown: Unknown,
    ) -> Result<Vec<Cell>> {
        let merged = match self {
            Self::Random | Self::Map | Self::Mixed => true,
            Self::Concentration => suite.attributes.is_none(),
            _ => false,
        };
        let classes = match merged {
            true => suite.set.random_groups(),
            false => suite.set.classes(),
        };
        let fitted = |cell: Cell| {
            let run = fit(cell.run, classes)?;
            Ok(Cell { run, ..cell })
        };
        let cells = self.wanted(suite, ledger, unknown).into_iter();
        cells.map(fitted).collect()
    }

    /// The cells with the settings as they were chosen.
    fn wanted(self, suite: &Suite, ledger: &Ledger, unknown: Unknown) -> Vec<Cell> {
        let seeds = suite.seeds;
        let tuned = |loss: Loss| match (ledger.best_trial(loss, suite.trials), unknown) {
            (Some((number, _)), _) => Some(space::trial(loss, suite.set.scale(), number)),
            (None, Unknown::Assumed) => Some(Vec::new()),
            (None, Unknown::LeftOut) => None,
        };
        let asked = |losses: &[Loss]| {
            let asked = losses.iter().filter(|loss| suite.losses.contains(loss));
            asked.copied().collect::<Vec<_>>()
        };
        let with_tempered = || asked(&Loss::WITH_TEMPERED);
        let with_seeds = |losses: Vec<Loss>, make: &dyn Fn(Loss, Vec<String>, u64) -> Cell| {
            let known = losses
                .into_iter()
                .filter_map(|loss| Some((loss, tuned(loss)?)));
            let known: Vec<_> = known.collect();
            // Seed by seed, so that a command that is cut short has been fair.
            let all = (0..seeds).flat_map(|seed| known.iter().map(move |one| (one, seed)));
            all.map(|((loss, sets), seed)| make(*loss, sets.clone(), seed))
                .collect::<Vec<_>>()
        };
        let label = |loss, setting: &str, seed| Label::new(self, loss, setting, seed);
        match self {
            Self::Tuning => trials(suite),
            Self::Classification => with_seeds(suite.losses.clone(), &|loss, sets, seed| {
                label(loss, "tuned", seed).trains(last(suite, loss, sets))
            }),
            Self::AllLayers | Self::Longer => match suite.set.protocol().all_layers {
                None => Vec::new(),
                Some(protocol) => with_seeds(suite.losses.clone(), &|loss, sets, seed| {
                    let images = match self {
                        Self::Longer => protocol.images.1,
                        _ => protocol.images.0,
                    };
                    let run = all_layers(suite, protocol.sets, images, loss, sets);
                    label(loss, "tuned", seed).trains(run)
                }),
            },
            Self::Convergence => with_seeds(with_tempered(), &|loss, sets, seed| {
                label(loss, "tuned", seed).trains(convergence(suite, loss, sets))
            }),
            Self::Random => with_seeds(with_tempered(), &|loss, sets, seed| {
                label(loss, "tuned", seed).trains(random(suite, loss, sets, seed))
            }),
            Self::Mixed => match suite.set.mixed() {
                None => Vec::new(),
                Some(mixed) => with_seeds(with_tempered(), &|loss, sets, seed| {
                    label(loss, "tuned", seed).trains(merged(suite, loss, sets, mixed))
                }),
            },
            // With attribute labels of the test images as the paper has it; without, each fine class that training saw merged
            // with another is an attribute.
            Self::Concentration => with_seeds(with_tempered(), &|loss, sets, seed| {
                let run = match &suite.attributes {
                    Some(_) => last(suite, loss, sets),
                    None => random(suite, loss, sets, seed),
                };
                label(loss, "tuned", seed).asks(run, Work::Concentration)
            }),
            Self::Map => with_seeds(with_tempered(), &|loss, sets, seed| {
                label(loss, "tuned", seed).asks(random(suite, loss, sets, seed), Work::Map)
            })
            .into_iter()
            .filter(|cell| cell.label.seed == 0)
            .collect(),
            // Seed by seed, so that a command that is cut short has seen every ablation.
            Self::Ablation => (0..seeds)
                .flat_map(|seed| {
                    let sets = suite
                        .losses
                        .contains(&Loss::Magnet)
                        .then(|| tuned(Loss::Magnet));
                    let sets = sets.flatten();
                    let made = sets.map(|sets| {
                        let all = ABLATIONS.into_iter();
                        let cell = |(name, changes): (&str, &[&str])| {
                            let run = last(suite, Loss::Magnet, sets.clone()).with(changes);
                            label(Loss::Magnet, name, seed).trains(run)
                        };
                        all.map(cell).collect::<Vec<_>>()
                    });
                    made.unwrap_or_default()
                })
                .collect(),
            Self::IndexCost => index_costs(suite, &tuned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::{Outcome, testing};
    use super::super::options::Options;
    use super::super::set::NO_TEST;
    use super::*;

    fn suite() -> Suite {
        let options = Options::read(&["--trials", "2", "--losses", "softmax,magnet"]).unwrap();
        options.suites().remove(0)
    }

    #[test]
    fn nothing_is_reported_of_a_loss_before_its_trials_are_through() {
        let trial = |loss, name, error| {
            let outcome = Outcome {
                validation: Some(error),
                ..Outcome::default()
            };
            (Experiment::Tuning, loss, name, 0, outcome)
        };
        let ledger = testing::ledger(vec![
            trial(Loss::Magnet, "trial 0", 0.3),
            trial(Loss::Magnet, "trial 1", 0.2),
            trial(Loss::Softmax, "trial 0", 0.1),
        ]);
        let cells = |unknown| {
            Experiment::Classification
                .cells(&suite(), &ledger, unknown)
                .unwrap()
        };
        let known = cells(Unknown::LeftOut);
        let seeds: Vec<(&str, u64)> = known
            .iter()
            .map(|cell| (cell.label.loss.as_str(), cell.label.seed))
            .collect();
        assert_eq!(seeds, [("magnet", 0), ("magnet", 1), ("magnet", 2)]);
        assert_eq!(cells(Unknown::Assumed).len(), 6);
        // The better trial's settings are those of the reported run.
        let chosen = space::trial(Loss::Magnet, suite().set.scale(), 1);
        assert!(
            chosen.iter().all(|set| known[0].run.sets.contains(set)),
            "{:?}",
            known[0].run
        );
    }

    #[test]
    fn a_longer_run_differs_from_the_other_in_its_length_alone() {
        let options = Options::read(&["flowers-102", "--losses", "softmax", "--trials", "1"]);
        let suite = options.unwrap().suites().remove(0);
        let ledger = testing::ledger(Vec::new());
        let run = |experiment: Experiment| {
            let cells = experiment.cells(&suite, &ledger, Unknown::Assumed);
            cells.unwrap().remove(0).run
        };
        let (short, long) = (run(Experiment::AllLayers), run(Experiment::Longer));
        assert_eq!((short.images, long.images), (30_600, 91_800));
        let differ = short.sets.iter().zip(&long.sets).filter(|(a, b)| a != b);
        let differ: Vec<_> = differ.map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(differ, [("train.images=30600", "train.images=91800")]);
        assert_eq!(short.sets.len(), long.sets.len());
    }

    #[test]
    fn trials_look_at_validation_images_only_and_come_loss_by_loss() {
        let ledger = testing::ledger(Vec::new());
        let cells = Experiment::Tuning
            .cells(&suite(), &ledger, Unknown::LeftOut)
            .unwrap();
        let order: Vec<(&str, &str)> = cells
            .iter()
            .map(|cell| (cell.label.setting.as_str(), cell.label.loss.as_str()))
            .collect();
        assert_eq!(
            order,
            [
                ("trial 0", "softmax"),
                ("trial 0", "magnet"),
                ("trial 1", "softmax"),
                ("trial 1", "magnet")
            ]
        );
        for cell in cells {
            assert!(
                cell.run.sets.iter().any(|set| set == NO_TEST),
                "{:?}",
                cell.run
            );
            let images = cell
                .run
                .sets
                .iter()
                .filter(|set| set.starts_with("train.images="));
            assert_eq!(images.count(), 1);
        }
    }
}
