//! Batches that fit the classes: a setting chosen on ten classes may ask for more clusters or classes than five have.

use anyhow::Result;
use toml::{Table, Value};

use super::cell::Run;

/// The run with at most as many clusters or classes in a batch as there are, and more images of each instead, so that batches
/// keep about their size (48 of 12 clusters become 45 of 9).
///
/// A neighbourhood holds a seed and clusters of other classes: with K clusters a class at most `K (classes - 1) + 1`.
pub(super) fn fit(run: Run, classes: usize) -> Result<Run> {
    let table = run.resolved()?;
    let clusters = number(&table, "index", "clusters_per_class").unwrap_or(1);
    let neighbourhood = clusters * (classes - 1) + 1;
    let groups = [
        ("clusters_per_batch", "examples_per_cluster", neighbourhood),
        (
            "clusters_per_neighbourhood",
            "examples_per_cluster",
            neighbourhood,
        ),
        ("classes_per_batch", "images_per_class", classes),
    ];
    let mut sets = Vec::new();
    for (many, each, most) in groups {
        let found = number(&table, "sampler", many).zip(number(&table, "sampler", each));
        if let Some((count, images)) = found
            && count > most
        {
            sets.push(format!("sampler.{many}={most}"));
            sets.push(format!("sampler.{each}={}", count * images / most));
        }
    }
    Ok(run.with_owned(sets))
}

fn number(table: &Table, section: &str, key: &str) -> Option<usize> {
    let value = table.get(section)?.get(key).and_then(Value::as_integer)?;
    usize::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(file: &str, sets: &[&str], classes: usize) -> Vec<String> {
        let run = Run {
            file: format!("datasets/fashion-mini/{file}.toml"),
            sets: sets.iter().map(|&set| set.to_owned()).collect(),
            images: 0,
            judged: 0,
        };
        fit(run, classes).unwrap().sets.split_off(sets.len())
    }

    #[test]
    fn a_batch_of_more_clusters_than_there_are_gets_more_images_of_each() {
        let wide = [
            "sampler.clusters_per_batch=12",
            "sampler.examples_per_cluster=4",
        ];
        // Two clusters of each of five classes: a seed and eight of other classes.
        assert_eq!(
            fitted("magnet", &wide, 5),
            [
                "sampler.clusters_per_batch=9",
                "sampler.examples_per_cluster=5"
            ]
        );
        assert!(fitted("magnet", &wide, 10).is_empty());
        let classes = ["sampler.classes_per_batch=8", "sampler.images_per_class=6"];
        assert_eq!(
            fitted("triplet", &classes, 5),
            ["sampler.classes_per_batch=5", "sampler.images_per_class=9"]
        );
        assert!(fitted("softmax", &[], 2).is_empty());
    }
}
