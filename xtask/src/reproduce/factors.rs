//! The question of cause: what size, temperature, own mean and optimiser do to magnet, all else equal.

use std::fmt::{Display, Formatter, Write};

use super::cell::Stage;
use super::ledger::{Ledger, Row};
use super::loss::{Loss, Scale};
use super::outcomes::Rule;
use super::set::{Set, Task};
use super::statistics::{deviation, mean, spread};

/// One cell of the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Factors {
    size: u32,
    temperature: f64,
    leave_one_out: bool,
    adam: bool,
}

impl Display for Factors {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let own = if self.leave_one_out {
            "leave_one_out"
        } else {
            "plain"
        };
        let optimiser = if self.adam { "AdamW" } else { "SGD" };
        write!(
            f,
            "size {}, t {}, {own}, {optimiser}",
            self.size, self.temperature
        )
    }
}

impl Factors {
    /// The grid of a set: all 36 cells on the small one, on photographs the twelve of one optimiser and two temperatures.
    pub(crate) fn all(set: Set) -> Vec<Self> {
        let small = set.scale() == Scale::Small;
        let mut all = Vec::new();
        for size in [16, 64, 256] {
            for temperature in [1.0, 0.3, 0.1] {
                for leave_one_out in [false, true] {
                    for adam in [false, true] {
                        if small || (adam && temperature != 0.3) {
                            all.push(Self {
                                size,
                                temperature,
                                leave_one_out,
                                adam,
                            });
                        }
                    }
                }
            }
        }
        all
    }

    /// Settings on top of a set's base. The gap is 1/t: what an example's own mean gives away is a lead of that order. Rates are
    /// about the middles of the ranges that the search has.
    pub(crate) fn settings(self, scale: Scale) -> Vec<String> {
        let (rule, trunk, head) = match (scale, self.adam) {
            (Scale::Small, true) => ("{kind=\"adam-w\"}", "1.7e-3", "1e-3"),
            (Scale::Photographs, true) => ("{kind=\"adam-w\"}", "1e-4", "1e-3"),
            (Scale::Small, false) => ("{kind=\"sgd\",momentum=0.9}", "5e-2", "5e-2"),
            (Scale::Photographs, false) => ("{kind=\"sgd\",momentum=0.9}", "5e-3", "5e-2"),
        };
        let batch = match scale {
            Scale::Small => "clusters_per_batch=6,examples_per_cluster=8",
            Scale::Photographs => "clusters_per_batch=12,examples_per_cluster=4",
        };
        let own = if self.leave_one_out {
            "leave_one_out"
        } else {
            "plain"
        };
        vec![
            "loss={kind=\"magnet\"}".into(),
            format!("loss.temperature={}", self.temperature),
            format!("loss.gap={:.3}", 1.0 / self.temperature),
            format!("loss.own_mean=\"{own}\""),
            format!("sampler={{kind=\"neighbourhood\",{batch}}}"),
            "index.clusters_per_class=1".into(),
            format!("model.head.embedding_size={}", self.size),
            format!("optimizer.rule={rule}"),
            format!("optimizer.trunk_rate={trunk}"),
            format!("optimizer.head_rate={head}"),
            format!("optimizer.loss_rate={head}"),
        ]
    }
}

/// The grid of a set with what it shows.
pub(crate) fn page(ledger: &Ledger) -> String {
    let rows = ledger.at(Task::Cause, Loss::Magnet, Stage::Test);
    let optimisers: &[bool] = match ledger.set.scale() {
        Scale::Small => &[false, true],
        Scale::Photographs => &[true],
    };
    let names = optimisers
        .iter()
        .map(|&adam| if adam { "AdamW" } else { "SGD" });
    let mut text = format!(
        "All else equal: gap 1/t, one cluster a class, the head's start without knowledge. Nearest class mean, error %, in Euclidean \
         distance, three seeds.\n\n| size | t | own mean | {} |\n|---:|---:|---|{}\n",
        names.collect::<Vec<_>>().join(" | "),
        "---:|".repeat(optimisers.len())
    );
    let all = Factors::all(ledger.set);
    for first in all.iter().filter(|one| one.adam == optimisers[0]) {
        let cells = optimisers.iter().map(|&adam| {
            let errors = errors(&rows, Factors { adam, ..*first });
            if errors.is_empty() {
                "–".into()
            } else {
                spread(&errors)
            }
        });
        let own = if first.leave_one_out {
            "leave one out"
        } else {
            "plain"
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {own} | {} |",
            first.size,
            first.temperature,
            cells.collect::<Vec<String>>().join(" | ")
        );
    }
    text += "\nWhat one factor does, averaged over the others, in points of error (negative is better), with a 95 % interval over seeds:\n\n";
    for (name, from, to) in comparisons() {
        if let Some((middle, off)) = effect(&rows, &all, from, to) {
            let _ = writeln!(
                text,
                "- {name}: {middle:+.2} ({:+.2} to {:+.2})",
                middle - off,
                middle + off
            );
        }
    }
    text
}

/// A cell before and after one factor was changed; none for cells that take no part.
type Change = fn(Factors) -> Option<Factors>;

/// Which cells are compared with which.
fn comparisons() -> Vec<(&'static str, Change, Change)> {
    fn same(cell: Factors) -> Option<Factors> {
        Some(cell)
    }
    vec![
        (
            "size 256 instead of 16, at t 1",
            |cell| (cell.size == 16 && cell.temperature == 1.0).then_some(cell),
            |cell| same(Factors { size: 256, ..cell }),
        ),
        (
            "size 256 instead of 16, at t 0.1",
            |cell| (cell.size == 16 && cell.temperature == 0.1).then_some(cell),
            |cell| same(Factors { size: 256, ..cell }),
        ),
        (
            "t 0.1 instead of 1, at size 16",
            |cell| (cell.size == 16 && cell.temperature == 1.0).then_some(cell),
            |cell| {
                same(Factors {
                    temperature: 0.1,
                    ..cell
                })
            },
        ),
        (
            "t 0.1 instead of 1, at size 256",
            |cell| (cell.size == 256 && cell.temperature == 1.0).then_some(cell),
            |cell| {
                same(Factors {
                    temperature: 0.1,
                    ..cell
                })
            },
        ),
        (
            "own mean without the example",
            |cell| (!cell.leave_one_out).then_some(cell),
            |cell| {
                same(Factors {
                    leave_one_out: true,
                    ..cell
                })
            },
        ),
        (
            "AdamW instead of SGD",
            |cell| (!cell.adam).then_some(cell),
            |cell| same(Factors { adam: true, ..cell }),
        ),
    ]
}

/// The mean change in points, and half the width of its interval by Student's t over seeds.
fn effect(rows: &[&Row], all: &[Factors], from: Change, to: Change) -> Option<(f64, f64)> {
    let pairs = all.iter().filter_map(|&cell| {
        let before = from(cell)?;
        let (before, after) = (errors(rows, before), errors(rows, to(cell)?));
        (!before.is_empty() && before.len() == after.len()).then_some((before, after))
    });
    let pairs: Vec<(Vec<f64>, Vec<f64>)> = pairs.collect();
    let seeds = pairs.first()?.0.len();
    let of_seed = |seed: usize| {
        let changes = pairs
            .iter()
            .filter_map(|(before, after)| Some(after.get(seed)? - before.get(seed)?));
        100.0 * mean(&changes.collect::<Vec<_>>())
    };
    let changes: Vec<f64> = (0..seeds).map(of_seed).collect();
    // Student's t for 1 to 4 degrees of freedom.
    let wide = [12.706, 4.303, 3.182, 2.776][seeds.checked_sub(2)?.min(3)];
    Some((
        mean(&changes),
        wide * deviation(&changes)? / (seeds as f64).sqrt(),
    ))
}

/// Errors of a cell, by seed.
fn errors(rows: &[&Row], cell: Factors) -> Vec<f64> {
    let setting = cell.to_string();
    let key = Rule::NearestClassMean.measure().0;
    let rows = rows.iter().filter(|row| row.label.setting == setting);
    rows.filter_map(|row| row.outcome.measures.get(key).copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reproduce::ledger::testing::{ledger, row};

    #[test]
    fn an_effect_is_the_mean_change_of_all_cells_that_have_both_sides() {
        let mut rows = Vec::new();
        for cell in Factors::all(Set::FashionMini) {
            for seed in 0..3 {
                let mut one = row(Loss::Magnet, Stage::Test, &cell.to_string(), seed, None);
                one.label.task = Task::Cause.name().into();
                let error = 0.2 + if cell.leave_one_out { 0.01 } else { 0.0 } + 0.001 * seed as f64;
                let key = Rule::NearestClassMean.measure().0.to_owned();
                one.outcome.measures.insert(key, error);
                rows.push(one);
            }
        }
        let text = page(&ledger(rows));
        assert!(
            text.contains("own mean without the example: +1.00 (+1.00 to +1.00)"),
            "{text}"
        );
        assert!(text.contains("AdamW instead of SGD: +0.00"), "{text}");
        assert!(
            text.contains("| 16 | 0.3 | leave one out | 21.10 ± 0.10 | 21.10 ± 0.10 |"),
            "{text}"
        );
    }

    #[test]
    fn photographs_have_the_twelve_cells_of_one_optimiser() {
        let cells = Factors::all(Set::Flowers102);
        assert_eq!(cells.len(), 12);
        assert!(cells.iter().all(|cell| cell.adam));
        assert_eq!(Factors::all(Set::FashionMini).len(), 36);
    }
}
