//! A first run file for a data set: settings that are known to work for photographs of its size and number.
//!
//! The settings are those of the run files under `datasets/`, which were run: of fashion-mini for a small network with random weights,
//! of Flowers-102 for a pretrained one. What depends on the data is the network, the size of the batch and the length of the run.

use std::path::{Path, PathBuf};

use lodestone_data::{Dataset, UnseenClasses};
use lodestone_models::{ConvNetConfig, NetworkConfig, WeightFile};
use serde::Serialize;
use toml::Value;

use crate::config::survey::Survey;
use crate::error::TrainError;

/// Which loss the run file is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// A classifier; its features serve as embedding.
    Softmax,
    /// Photographs of a class nearer to each other than to others, in triplets.
    Triplet,
    /// Clusters within each class, which the report then shows.
    Magnet,
    /// Each class has a representative, to which its photographs are drawn and from which others are pushed.
    ProxyAnchor,
}

impl Goal {
    /// Each of them.
    pub const ALL: [Self; 4] = [
        Self::Softmax,
        Self::Triplet,
        Self::Magnet,
        Self::ProxyAnchor,
    ];

    /// The default without `--loss`: triplet for a small network with random weights, magnet with a temperature for a pretrained
    /// one. Both learn on the sets that the settings come from; that they are ahead of other losses is not shown.
    fn suited(network: &NetworkConfig) -> Self {
        match network {
            NetworkConfig::ConvNet(_) => Self::Triplet,
            NetworkConfig::GoogLeNet(_)
            | NetworkConfig::InceptionV3(_)
            | NetworkConfig::ResNet18(_)
            | NetworkConfig::ResNet34(_)
            | NetworkConfig::ResNet50(_) => Self::Magnet,
        }
    }
}

/// What only the user knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wishes {
    /// The loss; without, one that suits the network.
    pub goal: Option<Goal>,
    /// Pretrained weights; the network is read off them.
    pub weights: Option<PathBuf>,
    /// Classes that are only tested on, beside those that have test photographs alone.
    pub unseen: Option<UnseenClasses>,
    /// Threads that decode photographs; 0 for two.
    pub threads: usize,
}

/// The text of a run file for `set`, which lies at `root`; [`run_file::parse`](crate::run_file::parse) makes a configuration of it.
///
/// # Errors
/// If the weights cannot be read or belong to no network of this library.
///
/// # Example
/// ```
/// use lodestone_data::Dataset;
/// use lodestone_train::{RunConfig, Survey, Wishes, run_file, suggest};
///
/// let set = Dataset::FashionMini;
/// let survey = Survey::of(&set.open(None)?)?;
/// let text = suggest(&set, None, &survey, &Wishes::default())?;
/// let config: RunConfig = run_file::parse(&text, "suggested".as_ref(), &[])?;
/// config.validate()?;
/// assert_eq!(config.model.network.name(), "ConvNet");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn suggest(
    set: &Dataset,
    root: Option<&Path>,
    survey: &Survey,
    wishes: &Wishes,
) -> Result<String, TrainError> {
    let network = match &wishes.weights {
        Some(weights) => NetworkConfig::of_weights(&WeightFile::read(weights)?)?,
        None => NetworkConfig::ConvNet(ConvNetConfig {
            image_channels: if survey.grey { 1 } else { 3 },
            width: 24,
        }),
    };
    let goal = wishes.goal.unwrap_or_else(|| Goal::suited(&network));
    let (set, network_text) = (inline(set), inline(&network));
    let root = root.map_or_else(String::new, |root| {
        format!(
            "dataset_root = {}\n",
            Value::from(root.to_string_lossy().as_ref())
        )
    });
    let threads = match wishes.threads {
        0 => 2,
        threads => threads,
    };
    let unseen = wishes.unseen.as_ref().map_or_else(String::new, |unseen| {
        format!("unseen = {}\n", inline(unseen))
    });
    let held_out = HeldOut::new(survey, wishes);
    let HeldOut {
        validation,
        validation_classes,
    } = held_out;
    let run = Run::new(survey, &network, &held_out);
    let augmentation = match network {
        NetworkConfig::ConvNet(_) => "flip_probability = 0.5\n",
        NetworkConfig::GoogLeNet(_)
        | NetworkConfig::InceptionV3(_)
        | NetworkConfig::ResNet18(_)
        | NetworkConfig::ResNet34(_)
        | NetworkConfig::ResNet50(_) => {
            "flip_probability = 0.5\nrotation_degrees = 15.0\nrandom_crop = { scale = [0.35, 1.0], ratio = [0.75, 1.3333] }\n"
        }
    };
    let model = model(survey, &network, goal, wishes.weights.as_deref());
    let head = head(survey, &network, goal);
    let loss = loss(&network, goal);
    let sampler = sampler(survey, goal);
    let Run {
        images,
        valid_period,
        rates,
        warm_up_steps,
    } = run;
    let [trunk, head_rate] = rates;
    Ok(format!(
        "seed = 0\n\n[data]\nset = {set}\n{root}{unseen}validation = {validation}\nvalidation_classes = {validation_classes}\nthreads = {threads}\n\n\
         [data.augmentation]\n{augmentation}\n[model]\nnetwork = {network_text}\n{model}\n[model.head]\n{head}\n{loss}\n{sampler}\n\
         [optimizer]\nrule = {{ kind = \"adam\" }}\ntrunk_rate = {trunk}\nhead_rate = {head_rate}\nloss_rate = {head_rate}\n\n\
         [schedule]\nwarm_up_steps = {warm_up_steps}\n\n[train]\nimages = {images}\nvalid_period = {valid_period}\n"
    ))
}

/// Images in a batch, whatever the loss.
const BATCH: usize = 48;

/// How long, and how fast.
struct Run {
    images: usize,
    valid_period: usize,
    /// Of trunk and head.
    rates: [f64; 2],
    warm_up_steps: usize,
}

impl Run {
    fn new(survey: &Survey, network: &NetworkConfig, held_out: &HeldOut) -> Self {
        let from_nothing = matches!(network, NetworkConfig::ConvNet(_));
        // From nothing many passes are needed; the two blocks of a pretrained network are soon where they stay.
        let (passes, least, most) = match from_nothing {
            true => (30, 12_000, 300_000),
            false => (16, 4_000, 60_000),
        };
        let images = (passes * survey.train).clamp(least, most);
        let validates = held_out.any() || survey.validation > 0;
        Self {
            images,
            valid_period: if validates {
                (images / BATCH / 5).max(1)
            } else {
                0
            },
            rates: match from_nothing {
                true => [0.003, 0.003],
                false => [0.0001, 0.001],
            },
            warm_up_steps: if from_nothing { 0 } else { 50 },
        }
    }
}

/// What is held out of training to choose the best step, as shares of each class and of the classes.
struct HeldOut {
    validation: f64,
    validation_classes: f64,
}

impl HeldOut {
    /// A fifth of the classes where classes are asked for that training does not see; of each class where nothing else could say
    /// how good the run is.
    fn new(survey: &Survey, wishes: &Wishes) -> Self {
        let nothing = survey.test == 0 && survey.validation == 0;
        let of_classes = wishes.unseen.is_some() && survey.validation == 0 && survey.classes >= 10;
        Self {
            validation: if nothing && survey.class_sizes[1] >= 5 {
                0.2
            } else {
                0.0
            },
            validation_classes: if of_classes { 0.2 } else { 0.0 },
        }
    }

    fn any(&self) -> bool {
        self.validation > 0.0 || self.validation_classes > 0.0
    }
}

fn model(survey: &Survey, network: &NetworkConfig, goal: Goal, weights: Option<&Path>) -> String {
    let weights = weights.map_or_else(String::new, |path| {
        format!(
            "weights = {}\n",
            Value::from(path.to_string_lossy().as_ref())
        )
    });
    match network {
        NetworkConfig::ConvNet(_) => {
            // Twice the usual side for photographs: four times the work, and what tells them apart is still seen.
            let side = if survey.side < 48 { 28 } else { 56 };
            format!("{weights}image_size = {side}\n")
        }
        NetworkConfig::GoogLeNet(_) => pretrained(&weights, "maxpool4", goal),
        NetworkConfig::InceptionV3(_) => pretrained(&weights, "Mixed_6e", goal),
        NetworkConfig::ResNet18(_) | NetworkConfig::ResNet34(_) | NetworkConfig::ResNet50(_) => {
            pretrained(&weights, "layer3", goal)
        }
    }
}

/// The last of a pretrained network's blocks learn, on what the others made of each photograph.
fn pretrained(weights: &str, stage: &str, goal: Goal) -> String {
    let calibrate = goal == Goal::Magnet;
    format!(
        "{weights}freeze_until = \"{stage}\"\nfrozen_views = 6\nbatch_norm = \"frozen\"\ncalibrate_head = {calibrate}\n"
    )
}

fn head(survey: &Survey, network: &NetworkConfig, goal: Goal) -> String {
    let small = matches!(network, NetworkConfig::ConvNet(_));
    let (size, initialise) = match (small, goal) {
        (true, Goal::Magnet) => (64, "unit_variance"),
        (true, _) => (64, "uniform"),
        // As many directions as the classes span, and room to search in where they are few.
        (false, Goal::Magnet) => ((survey.classes - 1).clamp(64, 512), "discriminant"),
        (false, _) => (256, "uniform"),
    };
    let dropout = match goal {
        Goal::Softmax if !small => 0.4,
        Goal::ProxyAnchor if !small => 0.2,
        _ => 0.0,
    };
    let normalise = matches!(goal, Goal::Triplet | Goal::ProxyAnchor);
    format!(
        "embedding_size = {size}\nkind = \"linear\"\nnormalise = {normalise}\ndropout = {dropout:?}\ninitialise = \"{initialise}\"\n"
    )
}

fn loss(network: &NetworkConfig, goal: Goal) -> &'static str {
    match (network, goal) {
        (_, Goal::Softmax) => "[loss]\nkind = \"softmax\"\n",
        (_, Goal::Triplet) => "[loss]\nkind = \"triplet\"\n",
        // Chosen by a few trials on fashion-mini and on Flowers-102; the authors' are 32, 0.1 and 100.
        (NetworkConfig::ConvNet(_), Goal::ProxyAnchor) => {
            "[loss]\nkind = \"proxy_anchor\"\nalpha = 11.0\nmargin = 0.13\nlearning_rate_factor = 17.0\n"
        }
        (_, Goal::ProxyAnchor) => {
            "[loss]\nkind = \"proxy_anchor\"\nalpha = 19.0\nmargin = 0.19\nlearning_rate_factor = 1.5\n"
        }
        (_, Goal::Magnet) => {
            "[loss]\nkind = \"magnet\"\ngap = 7.0\n# The paper's loss has 1.\ntemperature = 0.1\n"
        }
    }
}

fn sampler(survey: &Survey, goal: Goal) -> String {
    match goal {
        Goal::Softmax | Goal::ProxyAnchor => {
            let size = BATCH.min(survey.train);
            format!("[sampler]\nkind = \"shuffled\"\nbatch_size = {size}\n")
        }
        Goal::Triplet => {
            let classes = survey.classes.min(BATCH / 4);
            let images = BATCH / classes;
            format!(
                "[sampler]\nkind = \"per-class\"\nclasses_per_batch = {classes}\nimages_per_class = {images}\n"
            )
        }
        Goal::Magnet => {
            // A cluster should have the examples that a batch draws from it.
            let examples = 8;
            let clusters = (survey.class_sizes[1] / (2 * examples)).clamp(1, 3);
            // A seed cluster, and imposters from the clusters of the other classes.
            let others = (survey.classes - 1) * clusters;
            let in_batch = (BATCH / examples).min(others + 1);
            format!(
                "[index]\nclusters_per_class = {clusters}\n\n[sampler]\nkind = \"neighbourhood\"\nclusters_per_batch = {in_batch}\n\
                 examples_per_cluster = {examples}\n"
            )
        }
    }
}

/// A value as it stands behind `=` in a run file.
fn inline(value: &impl Serialize) -> String {
    // Enums of names, numbers and texts only: there is nothing that TOML cannot hold.
    Value::try_from(value).map_or_else(|_| String::new(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use lodestone_models::{Auxiliary, ClassifierConfig, ResNetConfig};

    use super::*;
    use crate::{RunConfig, run_file};

    fn survey(classes: usize, size: usize, side: usize, grey: bool) -> Survey {
        Survey {
            classes,
            unseen: 0,
            train: classes * size,
            validation: 0,
            test: 0,
            class_sizes: [size; 3],
            side,
            grey,
            looked_at: 10,
        }
    }

    fn suggested(survey: &Survey, goal: Goal) -> RunConfig {
        let wishes = Wishes {
            goal: Some(goal),
            ..Wishes::default()
        };
        let root = Path::new("my \"photo\" graphs ü");
        let text = suggest(&Dataset::ImageFolder, Some(root), survey, &wishes).unwrap();
        let config: RunConfig = run_file::parse(&text, Path::new("s"), &[]).unwrap();
        config.validate().unwrap();
        assert_eq!(config.data.dataset_root.as_deref(), Some(root));
        config
    }

    #[test]
    fn every_goal_has_settings_that_fit_small_and_large_sets() {
        for goal in Goal::ALL {
            for (classes, size) in [(2, 1), (2, 9), (37, 100), (1000, 50)] {
                let survey = survey(classes, size, 300, false);
                let config = suggested(&survey, goal);
                let labels: Vec<usize> = (0..survey.train).map(|row| row % classes).collect();
                let classes = lodestone_sampling::Classes::new(&labels).unwrap();
                let plan = config.sampler.init(&classes, 0).unwrap();
                plan.check_settings(&config.index).unwrap();
                assert!(config.train.images >= 12_000 && config.train.images <= 300_000);
            }
        }
    }

    #[test]
    fn the_network_follows_the_photographs() {
        let network = |survey: &Survey| {
            let config = suggested(survey, Goal::Triplet);
            let preprocessing = config.preprocessing();
            (
                config.model.network.clone(),
                preprocessing.mean.len(),
                preprocessing.crop,
            )
        };
        let convnet = |image_channels| {
            NetworkConfig::ConvNet(ConvNetConfig {
                image_channels,
                width: 24,
            })
        };
        assert_eq!(network(&survey(5, 20, 28, true)), (convnet(1), 1, 28));
        assert_eq!(network(&survey(5, 20, 400, false)), (convnet(3), 3, 56));
    }

    #[test]
    fn the_network_is_that_of_the_weights_and_its_last_layer_learns() {
        let folder = tempfile::tempdir().unwrap();
        let weights = folder.path().join("published.pth");
        let network = NetworkConfig::ResNet18(ResNetConfig {});
        let published = ClassifierConfig {
            network: network.clone(),
            classes: 10,
            dropout: 0.0,
            auxiliary: Auxiliary::Without,
        };
        let published = published.init(0, &Device::flex());
        published
            .write_weights(&weights, &Default::default())
            .unwrap();
        let wishes = Wishes {
            weights: Some(weights.clone()),
            ..Wishes::default()
        };
        let survey = survey(5, 20, 400, false);
        let text = suggest(
            &Dataset::ImageFolder,
            Some(Path::new("photographs")),
            &survey,
            &wishes,
        );
        let config: RunConfig = run_file::parse(&text.unwrap(), Path::new("s"), &[]).unwrap();
        config.validate().unwrap();
        assert_eq!(config.model.network, network);
        assert_eq!(config.model.weights, Some(weights));
        assert_eq!(config.model.freeze_until.as_deref(), Some("layer3"));
        assert_eq!(config.preprocessing().crop, 224);
    }

    #[test]
    fn some_of_each_class_is_held_out_where_nothing_else_is() {
        let some = survey(5, 20, 400, false);
        let config = suggested(&some, Goal::Triplet);
        assert_eq!(config.data.validation, 0.2);
        assert_eq!(config.train.valid_period, 50);
        let tested = Survey { test: 10, ..some };
        let config = suggested(&tested, Goal::Triplet);
        assert_eq!(
            (config.data.validation, config.train.valid_period),
            (0.0, 0)
        );
    }
}
