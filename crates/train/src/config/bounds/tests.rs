//! Every number of every kind of run file, at its extremes: of meaning, or refused in a line that names it.

use std::collections::BTreeSet;
use std::path::Path;

use lodestone_data::Dataset;
use lodestone_losses::LossConfig;
use lodestone_sampling::Classes;
use toml::Value;

use crate::config::explain::numeric_keys;
use crate::config::run_config::RunConfig;
use crate::config::run_file;
use crate::input::parts::Parts;
use crate::testing::small_config;

/// Settings that together have every number that a run file can hold.
fn every_setting() -> Vec<Vec<String>> {
    let losses = LossConfig::KINDS.map(|kind| format!("loss={{kind=\"{kind}\"}}"));
    let more = [
        "loss={kind=\"triplet\",mining={kind=\"semi_hard\",margin=0.2}}",
        "loss={kind=\"triplet\",mining={kind=\"semi_hard_nearest\",margin=0.2}}",
        "loss={kind=\"triplet\",mining={kind=\"distance_weighted\",nearest=0.5,farthest=1.4,seed=1}}",
        "loss={kind=\"triplet\",mining={kind=\"multi_similarity\",epsilon=0.1}}",
        "sampler={kind=\"shuffled\"}",
        "sampler={kind=\"balanced\"}",
        "sampler={kind=\"hard-classes\"}",
        "sampler={kind=\"neighbourhood\"}",
        "index.per_class={Coat=4}",
        "optimizer.rule={kind=\"sgd\"}",
        "optimizer.rule={kind=\"adam-w\"}",
        "schedule.annealing={kind=\"linear\",floor=0.1}",
        "schedule.annealing={kind=\"step\",factor=0.1,at=[0.5,0.9]}",
        "schedule.annealing={kind=\"exponential\",floor=0.1}",
        "train.refresh={when=\"steps\",every=5}",
        "train.refresh={when=\"drift\",threshold=0.5,check_every=10,probe_rows=64}",
        "data.unseen={share=0.5,seed=1}",
        "data.unseen={first=5}",
        "data.coarse={kind=\"random\",groups=5}",
        "data.cache={bytes=1000}",
        "data.augmentation.random_crop={scale=[0.5,1.0],ratio=[0.75,1.33]}",
        "data.augmentation.erasing={probability=0.5,scale=[0.1,0.2],ratio=[0.75,1.33]}",
        "data.augmentation.jitter={brightness=0.1,contrast=0.1,saturation=0.1,hue=0.1}",
        "model.image_size=28",
        "model.auxiliary={weight=0.3,dropout=0.7}",
    ];
    let weighted = ["importance", "union"].map(|kind| {
        vec![
            "loss={kind=\"magnet\"}".to_owned(),
            format!("sampler={{kind=\"{kind}\"}}"),
        ]
    });
    let one = |setting: String| vec![setting];
    let plain = std::iter::once(Vec::new());
    plain
        .chain(losses.map(one))
        .chain(more.map(|setting| one(setting.to_owned())))
        .chain(weighted)
        .collect()
}

/// The number at a place of a run file: its key, and its position if the key holds a list.
struct Leaf {
    key: String,
    /// The whole value of the key, and which of its numbers is meant.
    list: Option<(Vec<Value>, usize)>,
    is_whole: bool,
}

impl Leaf {
    /// What `--set` says to give the number this value.
    fn set_to(&self, value: &str) -> String {
        match &self.list {
            None => format!("{}={value}", self.key),
            Some((values, place)) => {
                let mut texts: Vec<String> = values.iter().map(Value::to_string).collect();
                texts[*place] = value.to_owned();
                format!("{}=[{}]", self.key, texts.join(","))
            }
        }
    }
}

fn leaves(key: &str, value: &Value, found: &mut Vec<Leaf>) {
    let is_number = |value: &Value| value.is_integer() || value.is_float();
    match value {
        Value::Table(fields) => {
            for (name, value) in fields {
                let key = match key {
                    "" => name.clone(),
                    key => format!("{key}.{name}"),
                };
                leaves(&key, value, found);
            }
        }
        Value::Array(values) => {
            found.extend(
                (0..values.len())
                    .filter(|&place| is_number(&values[place]))
                    .map(|place| Leaf {
                        key: key.to_owned(),
                        list: Some((values.clone(), place)),
                        is_whole: values[place].is_integer(),
                    }),
            );
        }
        value if is_number(value) => found.push(Leaf {
            key: key.to_owned(),
            list: None,
            is_whole: value.is_integer(),
        }),
        _ => {}
    }
}

/// A run file for each of the settings, as text, with its numbers.
fn every_run_file() -> Vec<(String, Vec<Leaf>)> {
    let file = |settings: Vec<String>| {
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let config = small_config(&settings);
        let mut found = Vec::new();
        leaves("", &Value::try_from(&config).unwrap(), &mut found);
        (toml::to_string(&config).unwrap(), found)
    };
    every_setting().into_iter().map(file).collect()
}

/// What refuses the run before its first step, if anything does.
fn refusal(text: &str, setting: &str, classes: &Classes) -> Option<String> {
    let read = run_file::parse::<RunConfig>(text, Path::new("run.toml"), &[setting.to_owned()]);
    let config = match read {
        Ok(config) => config,
        Err(error) => return Some(error.to_string()),
    };
    if let Err(error) = config.validate() {
        return Some(error.to_string());
    }
    let table = Dataset::FashionMini.open(None).unwrap();
    if let Err(error) = Parts::new(&table, &config) {
        return Some(error.to_string());
    }
    if let Err(error) = config.index.check(classes) {
        return Some(error.to_string());
    }
    config
        .sampler
        .init(classes, config.seed)
        .err()
        .map(|error| error.to_string())
}

fn fashion_classes() -> Classes {
    let table = Dataset::FashionMini.open(None).unwrap();
    let labels: Vec<usize> = table.rows.iter().map(|row| row.label).collect();
    Classes::named(&labels, table.class_names).unwrap()
}

#[test]
fn the_settings_have_every_number_of_a_run_file() {
    let found: BTreeSet<String> = every_run_file()
        .into_iter()
        .flat_map(|(_, leaves)| leaves.into_iter().map(|leaf| leaf.key))
        .map(|key| key.replace("index.per_class.Coat", "index.per_class"))
        .collect();
    let missing: Vec<String> = numeric_keys()
        .into_iter()
        .filter(|key| !found.contains(key))
        .collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn every_number_at_its_extremes_has_meaning_or_is_refused_by_its_name() {
    // Those that may have either sign.
    let signed = ["loss.base", "loss.margin", "loss.mining.epsilon"];
    let classes = fashion_classes();
    for (text, leaves) in every_run_file() {
        for leaf in leaves {
            let is_seed = leaf.key.ends_with("seed");
            for value in [
                "inf",
                "-inf",
                "nan",
                "1e300",
                "-1e300",
                "1e-300",
                "-1",
                "9223372036854775807",
            ] {
                let setting = leaf.set_to(value);
                match refusal(&text, &setting, &classes) {
                    Some(message) => {
                        let name = leaf.key.rsplit('.').next().unwrap();
                        assert!(message.contains(name), "{setting}: {message}");
                        assert!(!message.contains('\n'), "{setting}: {message}");
                    }
                    None => {
                        let allowed = match value {
                            "9223372036854775807" => is_seed,
                            "-1" => signed.contains(&leaf.key.as_str()),
                            // In single precision it is 0.
                            "1e-300" => !leaf.is_whole,
                            _ => false,
                        };
                        assert!(allowed, "{setting} is accepted");
                    }
                }
            }
        }
    }
}

#[test]
fn messages_name_key_value_and_bound() {
    let cases = [
        (
            "optimizer.head_rate=inf",
            "optimizer.head_rate is inf, must be a number",
        ),
        ("loss.margin=nan", "loss.margin is NaN, must be a number"),
        (
            "loss.margin=1e7",
            "loss.margin is 1e7, must be at most 1000000 in size",
        ),
        (
            "optimizer.clip_norm=1e-20",
            "optimizer.clip_norm is 1e-20, must be 0 or at least 1e-12 in size",
        ),
        (
            "data.threads=10000",
            "data.threads is 10000, must be at most 1024",
        ),
        (
            "sampler.images_per_class=70000",
            "sampler.images_per_class is 70000, must be at most 65536",
        ),
        (
            "train.images=2000000000000000",
            "train.images is 2000000000000000, must be at most 1000000000000000",
        ),
        (
            "evaluation.recall_at=[1,0]",
            "evaluation.recall_at holds 0, must be at least 1",
        ),
    ];
    let text = toml::to_string(&small_config(&[])).unwrap();
    for (setting, expected) in cases {
        assert_eq!(
            refusal(&text, setting, &fashion_classes()).as_deref(),
            Some(expected)
        );
    }
}
