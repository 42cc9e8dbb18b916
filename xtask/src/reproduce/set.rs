//! The data sets on which losses are compared, what is asked on each, and how.

use std::path::PathBuf;

use super::loss::{Loss, Scale};
use crate::process::root;

/// A data set of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Set {
    FashionMini,
    OxfordIiitPet,
    Flowers102,
    StanfordDogs,
}

/// What is asked of the losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Task {
    /// Test images of the classes that are trained on.
    Closed,
    /// Test images of classes that are not.
    Unseen,
    /// What size, temperature, own mean and optimiser do to magnet, all else equal.
    Cause,
    /// Trained on merged classes, tested on those below them.
    Hierarchy,
    /// Nothing frozen.
    AllLayers,
}

impl Task {
    pub(crate) const ALL: [Self; 5] = [
        Self::Closed,
        Self::Unseen,
        Self::Cause,
        Self::Hierarchy,
        Self::AllLayers,
    ];

    /// Name on the command line and in the ledger.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Unseen => "unseen",
            Self::Cause => "cause",
            Self::Hierarchy => "hierarchy",
            Self::AllLayers => "all-layers",
        }
    }

    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name)
    }

    /// The task whose search gave the settings.
    pub(crate) fn searched(self) -> Self {
        if self.is_searched() {
            self
        } else {
            Self::Closed
        }
    }

    /// Whether settings are searched for it, rather than taken from [`Closed`](Self::Closed) or given.
    pub(crate) fn is_searched(self) -> bool {
        matches!(self, Self::Closed | Self::Unseen)
    }
}

/// What a run of the search has set: judged on held-out images alone, at the end, the test images never embedded.
pub(crate) const TRIAL: [&str; 2] = ["evaluation.test=false", "train.valid_period=1000000000"];
/// What a run that is reported has set: there is nothing to choose along its way.
pub(crate) const REPORTED: [&str; 1] = ["train.valid_period=0"];
const FLOWERS: &str = "data.set={name=\"flowers-102\",protocol=\"trainval\"}";

impl Set {
    pub(crate) const ALL: [Self; 4] = [
        Self::FashionMini,
        Self::OxfordIiitPet,
        Self::Flowers102,
        Self::StanfordDogs,
    ];

    /// Name on the command line and of the folder under `datasets`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FashionMini => "fashion-mini",
            Self::OxfordIiitPet => "oxford-iiit-pet",
            Self::Flowers102 => "flowers-102",
            Self::StanfordDogs => "stanford-dogs",
        }
    }

    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.name() == name)
    }

    pub(crate) fn scale(self) -> Scale {
        match self {
            Self::FashionMini => Scale::Small,
            _ => Scale::Photographs,
        }
    }

    /// Its folder in the repository.
    pub(crate) fn folder(self) -> PathBuf {
        root().join("datasets").join(self.name())
    }

    /// What every run of the set starts from, relative to the workspace.
    pub(crate) fn base(self) -> String {
        format!("datasets/{}/base.toml", self.name())
    }

    /// What is asked on it.
    pub(crate) fn tasks(self) -> &'static [Task] {
        match self {
            Self::FashionMini => &[Task::Closed, Task::Cause],
            Self::OxfordIiitPet => &[Task::Closed, Task::Unseen, Task::Hierarchy],
            Self::Flowers102 => &[Task::Closed, Task::Unseen, Task::Hierarchy, Task::AllLayers],
            Self::StanfordDogs => &[Task::Closed, Task::Unseen],
        }
    }

    /// The losses of a task, in the order in which they are run.
    pub(crate) fn losses(self, task: Task) -> Vec<Loss> {
        match (self, task) {
            (Self::StanfordDogs, _) => Loss::FOUR.to_vec(),
            (_, Task::Closed) => Loss::ALL.to_vec(),
            (_, Task::Unseen) => Loss::UNSEEN.to_vec(),
            (_, Task::Cause) => vec![Loss::Magnet],
            (_, Task::Hierarchy | Task::AllLayers) => Loss::FOUR.to_vec(),
        }
    }

    /// Images of a run at full length; trials begin with a quarter of it.
    pub(crate) fn images(self) -> u64 {
        match self {
            Self::FashionMini => 12_000,
            Self::OxfordIiitPet => 20_000,
            Self::Flowers102 => 20_400,
            Self::StanfordDogs => 40_000,
        }
    }

    /// Seeds of what is reported.
    pub(crate) fn seeds(self, task: Task) -> u64 {
        match (self, task) {
            (Self::StanfordDogs, _) | (_, Task::Cause | Task::Hierarchy | Task::AllLayers) => 3,
            _ => 5,
        }
    }

    /// Classes of the set, and those of its half that unseen classes leave to training.
    fn classes(self) -> (usize, usize) {
        match self {
            Self::FashionMini => (10, 5),
            Self::OxfordIiitPet => (37, 19),
            Self::Flowers102 => (102, 51),
            Self::StanfordDogs => (120, 60),
        }
    }

    /// Classes that a run trains on.
    pub(crate) fn trained_classes(self, task: Task, trial: bool) -> usize {
        let (all, half) = self.classes();
        match task {
            Task::Unseen if trial => half - (0.2 * half as f64).round() as usize,
            Task::Unseen => half,
            _ => all,
        }
    }

    /// Settings of a trial, and of a run that is reported, beside [`TRIAL`] and [`REPORTED`].
    pub(crate) fn protocol(self, task: Task, trial: bool) -> Vec<String> {
        let unseen = || format!("data.unseen={{first={}}}", self.classes().1);
        let mut sets = Vec::new();
        match (task, trial) {
            (Task::Unseen, true) => sets.extend([unseen(), "data.validation_classes=0.2".into()]),
            (Task::Unseen, false) => sets.push(unseen()),
            // Flowers-102 has official validation photographs, which reported runs train on as well.
            (_, true) if self != Self::Flowers102 => sets.push("data.validation=0.2".into()),
            _ => {}
        }
        if self == Self::Flowers102 && (task == Task::Unseen || !trial) {
            sets.push(FLOWERS.into());
        }
        sets
    }

    /// Sides of photographs in pixels, of which softmax alone chooses on held-out photographs before anything else is run.
    /// Nothing to choose where there is none or one.
    pub(crate) fn image_sizes(self) -> &'static [u32] {
        match self {
            Self::OxfordIiitPet => &[128, 224],
            _ => &[],
        }
    }

    /// Ways of merging classes, by name: settings, and how many merged classes there are.
    pub(crate) fn mergings(self, seed: u64) -> Vec<(&'static str, String, usize)> {
        match self {
            Self::OxfordIiitPet => {
                let given = "data.coarse={kind=\"given\"}".to_owned();
                vec![
                    ("cat or dog", given, 2),
                    ("a cat with two dogs", mixed_pets(), 12),
                ]
            }
            Self::Flowers102 => {
                let pairs = format!("data.coarse={{kind=\"random\",groups=51,seed={seed}}}");
                vec![("random pairs", pairs, 51)]
            }
            _ => Vec::new(),
        }
    }

    /// Images a second that are trained on, before anything was measured.
    pub(crate) fn rate(self) -> f64 {
        match self {
            Self::FashionMini => 3500.0,
            Self::OxfordIiitPet => 400.0,
            Self::Flowers102 | Self::StanfordDogs => 230.0,
        }
    }

    /// Seconds that a run takes beside its steps, before anything was measured: reading, judging.
    pub(crate) fn overhead(self) -> f64 {
        match self {
            Self::FashionMini => 1.5,
            _ => 20.0,
        }
    }
}

/// Twelve merged classes, each a cat and two dogs by the alphabet, the last with a third: no merged class has a look of its own.
fn mixed_pets() -> String {
    const CATS: [&str; 12] = [
        "Abyssinian",
        "Bengal",
        "Birman",
        "Bombay",
        "British Shorthair",
        "Egyptian Mau",
        "Maine Coon",
        "Persian",
        "Ragdoll",
        "Russian Blue",
        "Siamese",
        "Sphynx",
    ];
    const DOGS: [&str; 25] = [
        "american bulldog",
        "american pit bull terrier",
        "basset hound",
        "beagle",
        "boxer",
        "chihuahua",
        "english cocker spaniel",
        "english setter",
        "german shorthaired",
        "great pyrenees",
        "havanese",
        "japanese chin",
        "keeshond",
        "leonberger",
        "miniature pinscher",
        "newfoundland",
        "pomeranian",
        "pug",
        "saint bernard",
        "samoyed",
        "scottish terrier",
        "shiba inu",
        "staffordshire bull terrier",
        "wheaten terrier",
        "yorkshire terrier",
    ];
    let merged = CATS.iter().enumerate().map(|(place, cat)| {
        let end = if place == 11 { 25 } else { 2 * place + 2 };
        let dogs = DOGS[2 * place..end].iter();
        let names: Vec<String> = std::iter::once(cat)
            .chain(dogs)
            .map(|name| format!("\"{name}\""))
            .collect();
        format!("[{}]", names.join(","))
    });
    let merged: Vec<String> = merged.collect();
    format!(
        "data.coarse={{kind=\"listed\",merged=[{}]}}",
        merged.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_and_every_set_has_its_base() {
        for set in Set::ALL {
            assert_eq!(Set::of(set.name()), Some(set));
            assert!(root().join(set.base()).exists(), "{}", set.base());
        }
        for task in Task::ALL {
            assert_eq!(Task::of(task.name()), Some(task));
        }
    }

    #[test]
    fn a_trial_never_trains_on_what_it_is_judged_by() {
        let sets = |set: Set, task, trial| set.protocol(task, trial);
        assert_eq!(
            sets(Set::OxfordIiitPet, Task::Closed, true),
            ["data.validation=0.2"]
        );
        assert!(sets(Set::OxfordIiitPet, Task::Closed, false).is_empty());
        assert!(sets(Set::Flowers102, Task::Closed, true).is_empty());
        assert_eq!(sets(Set::Flowers102, Task::Closed, false), [FLOWERS]);
        assert_eq!(
            sets(Set::Flowers102, Task::Unseen, true),
            [
                "data.unseen={first=51}",
                "data.validation_classes=0.2",
                FLOWERS
            ]
        );
        assert_eq!(Set::OxfordIiitPet.trained_classes(Task::Unseen, true), 15);
    }

    #[test]
    fn mixed_pets_hold_every_breed_once() {
        let text = mixed_pets();
        assert_eq!(text.matches('"').count(), 2 * 37 + 2);
        assert_eq!(text.matches('[').count(), 13);
    }
}
