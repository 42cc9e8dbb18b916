//! What is run: the search of every loss by successive halving, then what is reported.
//!
//! Every loss gets the same: [`POINTS`] settings at a quarter of the length, the best [`KEPT`] at full length, the best of these with
//! several seeds on the test images. No setting comes from anywhere else.

use anyhow::Result;

use super::cell::{Cell, Label, Stage, fit};
use super::draw::{Draw, points};
use super::factors::Factors;
use super::ledger::{Ledger, Row};
use super::loss::Loss;
use super::loss::Scale;
use super::set::{REPORTED, Set, TRIAL, Task};

/// Settings of a loss that are tried at a quarter of the length.
pub(crate) const POINTS: usize = 16;
/// Of these at full length.
pub(crate) const KEPT: usize = 4;

/// The levers that all losses share.
fn shared(scale: Scale, draw: &mut Draw) {
    let rule = draw.pick("optimiser", &["adam-w", "sgd"]);
    let adam = rule == "adam-w";
    match adam {
        true => draw.set(&["optimizer.rule={kind=\"adam-w\"}"]),
        false => draw.set(&["optimizer.rule={kind=\"sgd\",momentum=0.9}"]),
    }
    let (low, high) = match (scale, adam) {
        (Scale::Photographs, true) => (1e-5, 1e-3),
        (Scale::Photographs, false) => (3e-4, 1e-1),
        // All of the network is new.
        (Scale::Small, true) => (3e-4, 1e-2),
        (Scale::Small, false) => (3e-3, 1.0),
    };
    draw.log(
        &format!("trunk rate with {rule}"),
        "optimizer.trunk_rate",
        low,
        high,
    );
    let (low, high) = if adam { (1e-4, 1e-2) } else { (3e-3, 1.0) };
    let head = format!("head rate with {rule}");
    let rate = draw.log(&head, "optimizer.head_rate", low, high);
    draw.set(&[&format!("optimizer.loss_rate={rate:.2e}")]);
    draw.log("weight decay", "optimizer.weight_decay", 1e-6, 1e-2);
    let start = draw.pick("start", &["random", "whitened", "discriminant"]);
    let start = if start == "random" {
        "unit_variance"
    } else {
        start
    };
    draw.set(&[&format!("model.head.initialise=\"{start}\"")]);
    let size = draw.pick("size", &["64", "128", "256", "512"]);
    draw.set(&[&format!("model.head.embedding_size={size}")]);
    let dropout = draw.pick("dropout", &["0.0", "0.2", "0.4"]);
    draw.set(&[&format!("model.head.dropout={dropout}")]);
    if scale == Scale::Photographs {
        let crop = draw.pick("smallest crop", &["0.2", "0.35", "0.6"]);
        draw.set(&[&format!("data.augmentation.random_crop.scale=[{crop},1.0]")]);
    }
}

/// All levers of a loss at a point. Those of the loss come first, so that their keys are set on its own tables.
fn drawn(loss: Loss, scale: Scale, point: Vec<f64>) -> Draw {
    let mut draw = Draw::new(point);
    loss.settings(scale, &mut draw);
    shared(scale, &mut draw);
    draw
}

/// The ranges of the levers that all share in words, those of both optimisers.
pub(crate) fn shared_ranges(scale: Scale) -> Vec<String> {
    let at = |place: f64| {
        let mut draw = Draw::new(vec![place; 24]);
        shared(scale, &mut draw);
        draw.ranges
    };
    let mut all = at(0.0);
    for range in at(0.99) {
        if !all.contains(&range) {
            all.push(range);
        }
    }
    all
}

/// The ranges of a loss's own levers in words.
pub(crate) fn own_ranges(loss: Loss, scale: Scale) -> Vec<String> {
    let mut draw = Draw::new(vec![0.0; 24]);
    loss.settings(scale, &mut draw);
    draw.ranges
}

/// Name of a point of the search.
fn point_name(number: usize) -> String {
    format!("point {number}")
}

/// A set with its ledger: what is to be run, as far as it is known.
pub(crate) struct Plan<'a> {
    pub(crate) set: Set,
    pub(crate) ledger: &'a Ledger,
}

impl Plan<'_> {
    /// The cells of a task that are known by now, in the order in which they are run: loss by loss.
    ///
    /// # Errors
    /// If the base of the set cannot be read.
    pub(crate) fn cells(&self, task: Task, losses: &[Loss]) -> Result<Vec<Cell>> {
        let mut cells = Vec::new();
        if task.is_searched() {
            for &size in self.set.image_sizes() {
                cells.push(self.image_size(size)?);
            }
            if !self.set.image_sizes().is_empty() && self.chosen_size().is_none() {
                return Ok(cells);
            }
        }
        for &loss in losses {
            match task {
                Task::Closed | Task::Unseen => cells.extend(self.searched(task, loss)?),
                Task::Cause => cells.extend(self.causes()?),
                Task::Hierarchy => cells.extend(self.hierarchy(loss)?),
                Task::AllLayers => cells.extend(self.all_layers(loss)?),
            }
        }
        Ok(cells)
    }

    /// How many cells of a task there are once all is known.
    pub(crate) fn count(&self, task: Task, losses: &[Loss]) -> Result<usize> {
        Ok(match task {
            Task::Closed | Task::Unseen => {
                let each = |&loss: &Loss| match loss {
                    Loss::Frozen => 1,
                    _ => POINTS + KEPT + self.set.seeds(task) as usize,
                };
                losses.iter().map(each).sum::<usize>() + self.set.image_sizes().len()
            }
            _ => self.cells(task, losses)?.len(),
        })
    }

    /// The search of a loss as far as its ledger has come.
    fn searched(&self, task: Task, loss: Loss) -> Result<Vec<Cell>> {
        let set = self.set;
        if loss == Loss::Frozen {
            return Ok(vec![self.reported(
                task,
                loss,
                "features",
                0,
                Vec::new(),
            )?]);
        }
        let name = format!("{} {}", set.name(), loss.name());
        let at = |number: usize| {
            let point = points(&name, POINTS).swap_remove(number);
            drawn(loss, set.scale(), point).sets
        };
        let trial = |number: usize, stage, images| -> Result<Cell> {
            let label = Label::new(task, loss, stage, &point_name(number), 0);
            let mut sets = at(number);
            sets.extend(self.of_size());
            sets.extend(set.protocol(task, true));
            sets.extend(TRIAL.map(str::to_owned));
            self.cell(label, sets, images, set.trained_classes(task, true))
        };
        let mut cells = Vec::new();
        for number in 0..POINTS {
            cells.push(trial(number, Stage::Quarter, set.images() / 4)?);
        }
        let Some(ranked) = self.ledger.ranked(task, loss, Stage::Quarter, POINTS) else {
            return Ok(cells);
        };
        let best: Vec<&Row> = ranked.into_iter().take(KEPT).collect();
        let numbers: Vec<usize> = (0..POINTS)
            .filter(|&number| {
                best.iter()
                    .any(|row| row.label.setting == point_name(number))
            })
            .collect();
        for &number in &numbers {
            cells.push(trial(number, Stage::Full, set.images())?);
        }
        let Some(winner) = self.winner(task, loss) else {
            return Ok(cells);
        };
        for seed in 0..set.seeds(task) {
            let chosen = (0..POINTS).find(|&number| winner.label.setting == point_name(number));
            let sets = at(chosen.unwrap_or(0));
            cells.push(self.reported(task, loss, &winner.label.setting, seed, sets)?);
        }
        Ok(cells)
    }

    /// The best setting of a loss at full length, once all are through.
    pub(crate) fn winner(&self, task: Task, loss: Loss) -> Option<&Row> {
        let quarter = self
            .ledger
            .ranked(task, loss, Stage::Quarter, POINTS)?
            .len();
        let ranked = self
            .ledger
            .ranked(task, loss, Stage::Full, quarter.min(KEPT))?;
        ranked.into_iter().next()
    }

    /// A run on test images.
    fn reported(
        &self,
        task: Task,
        loss: Loss,
        setting: &str,
        seed: u64,
        mut sets: Vec<String>,
    ) -> Result<Cell> {
        let label = Label::new(task, loss, Stage::Test, setting, seed);
        sets.extend(self.of_size());
        sets.extend(self.set.protocol(task, false));
        sets.extend(REPORTED.map(str::to_owned));
        let classes = self.set.trained_classes(task, false);
        self.cell(label, sets, self.set.images(), classes)
    }

    fn cell(
        &self,
        label: Label,
        mut sets: Vec<String>,
        images: u64,
        classes: usize,
    ) -> Result<Cell> {
        let base = self.set.base();
        sets.push(format!("train.images={images}"));
        sets.push(format!("seed={}", label.seed));
        Ok(Cell {
            sets: fit(&base, sets, classes)?,
            label,
            base,
            images,
        })
    }

    /// Softmax as the base has it, on photographs of some size.
    fn image_size(&self, size: u32) -> Result<Cell> {
        let setting = format!("{size} pixels");
        let label = Label::new(Task::Closed, Loss::Softmax, Stage::ImageSize, &setting, 0);
        let mut sets = self.set.protocol(Task::Closed, true);
        sets.push(format!("model.image_size={size}"));
        sets.extend(TRIAL.map(str::to_owned));
        let classes = self.set.trained_classes(Task::Closed, true);
        self.cell(label, sets, self.set.images(), classes)
    }

    /// The size of photographs that softmax chose.
    pub(crate) fn chosen_size(&self) -> Option<u32> {
        let sizes = self.set.image_sizes();
        let ranked =
            self.ledger
                .ranked(Task::Closed, Loss::Softmax, Stage::ImageSize, sizes.len())?;
        let best = ranked.first()?;
        let named = |size: &&u32| best.label.setting == format!("{size} pixels");
        sizes.iter().find(named).copied()
    }

    fn of_size(&self) -> Option<String> {
        self.chosen_size()
            .map(|size| format!("model.image_size={size}"))
    }

    /// Size, temperature, own mean and optimiser of magnet, each with each.
    fn causes(&self) -> Result<Vec<Cell>> {
        let mut cells = Vec::new();
        for seed in 0..self.set.seeds(Task::Cause) {
            for factors in Factors::all(self.set) {
                let sets = factors.settings(self.set.scale());
                let setting = factors.to_string();
                cells.push(self.reported(Task::Cause, Loss::Magnet, &setting, seed, sets)?);
            }
        }
        Ok(cells)
    }

    /// The closed winner of a loss on merged classes, magnets with several numbers of clusters.
    fn hierarchy(&self, loss: Loss) -> Result<Vec<Cell>> {
        let Some(winner) = self.winner(Task::Closed, loss) else {
            return Ok(Vec::new());
        };
        let clusters: &[&str] = match loss {
            Loss::Magnet | Loss::TemperedMagnet => &["1", "2", "4", "\"auto\""],
            _ => &[""],
        };
        let mut cells = Vec::new();
        for seed in 0..self.set.seeds(Task::Hierarchy) {
            for (name, merging, classes) in self.set.mergings(seed) {
                for &count in clusters {
                    let mut sets = self.settings_of(winner);
                    let mut setting = name.to_owned();
                    if !count.is_empty() {
                        sets.push(format!("index.clusters_per_class={count}"));
                        setting += &format!(", K {}", count.trim_matches('"'));
                    }
                    sets.extend(self.of_size());
                    sets.extend(self.set.protocol(Task::Hierarchy, false));
                    sets.extend(REPORTED.map(str::to_owned));
                    sets.push(merging.clone());
                    let label = Label::new(Task::Hierarchy, loss, Stage::Test, &setting, seed);
                    cells.push(self.cell(label, sets, self.set.images(), classes)?);
                }
            }
        }
        Ok(cells)
    }

    /// The closed winner of a loss with nothing frozen.
    fn all_layers(&self, loss: Loss) -> Result<Vec<Cell>> {
        let Some(winner) = self.winner(Task::Closed, loss) else {
            return Ok(Vec::new());
        };
        let seeds = 0..self.set.seeds(Task::AllLayers);
        seeds
            .map(|seed| {
                let mut sets = self.settings_of(winner);
                sets.push("model.freeze_until=\"\"".into());
                sets.push("model.frozen_views=0".into());
                self.reported(Task::AllLayers, loss, &winner.label.setting, seed, sets)
            })
            .collect()
    }

    /// What the search drew for a row, without its protocol.
    fn settings_of(&self, row: &Row) -> Vec<String> {
        let loss = Loss::of(&row.label.loss);
        let number = (0..POINTS).find(|&number| row.label.setting == point_name(number));
        let Some((loss, number)) = loss.zip(number) else {
            return Vec::new();
        };
        let name = format!("{} {}", self.set.name(), loss.name());
        let point = points(&name, POINTS).swap_remove(number);
        drawn(loss, self.set.scale(), point).sets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reproduce::ledger::testing::{ledger, row};

    fn labels(set: Set, ledger: &Ledger) -> Vec<(Stage, String, u64)> {
        let plan = Plan { set, ledger };
        let cells = plan.cells(Task::Closed, &[Loss::Magnet]).unwrap();
        let label = |cell: Cell| (cell.label.stage, cell.label.setting, cell.label.seed);
        cells.into_iter().map(label).collect()
    }

    #[test]
    fn the_best_quarter_goes_on_and_the_best_of_these_is_tested() {
        let set = Set::FashionMini;
        let mut rows: Vec<Row> = (0..POINTS)
            .map(|n| {
                row(
                    Loss::Magnet,
                    Stage::Quarter,
                    &point_name(n),
                    0,
                    Some(0.5 - 0.01 * n as f64),
                )
            })
            .collect();
        assert_eq!(labels(set, &ledger(rows[..15].to_vec())).len(), POINTS);
        let known = labels(set, &ledger(rows.clone()));
        let full: Vec<&str> = known[POINTS..].iter().map(|l| l.1.as_str()).collect();
        assert_eq!(full, ["point 12", "point 13", "point 14", "point 15"]);
        // One of them breaks down; another is the best.
        rows.push(row(Loss::Magnet, Stage::Full, "point 12", 0, Some(0.3)));
        rows.push(row(Loss::Magnet, Stage::Full, "point 13", 0, Some(0.1)));
        rows.push(row(Loss::Magnet, Stage::Full, "point 14", 0, None));
        rows.push(row(Loss::Magnet, Stage::Full, "point 15", 0, Some(0.2)));
        let known = labels(set, &ledger(rows));
        let tested: Vec<_> = known[POINTS + KEPT..].to_vec();
        let wanted = (0..5).map(|seed| (Stage::Test, "point 13".to_owned(), seed));
        assert_eq!(tested, wanted.collect::<Vec<_>>());
    }

    #[test]
    fn every_loss_searches_the_same_shared_levers_at_points_of_its_own() {
        for scale in [Scale::Small, Scale::Photographs] {
            let shared = shared_ranges(scale);
            let rates = shared.iter().filter(|range| range.contains("rate with"));
            assert_eq!(rates.count(), 4, "{shared:?}");
            for loss in Loss::ALL {
                let own = own_ranges(loss, scale);
                let all = drawn(loss, scale, vec![0.0; 24]).ranges;
                assert_eq!(all[..own.len()], own);
                assert!(all[own.len()..].iter().all(|range| shared.contains(range)));
            }
        }
        let sets = |loss: Loss| {
            let point = points(&format!("x {}", loss.name()), POINTS).swap_remove(0);
            drawn(loss, Scale::Small, point).sets
        };
        let rate = |loss: Loss| {
            let sets = sets(loss);
            let rate = sets
                .iter()
                .find(|set| set.starts_with("optimizer.head_rate"));
            rate.unwrap().clone()
        };
        assert_ne!(rate(Loss::Softmax), rate(Loss::Triplet));
    }

    #[test]
    fn softmax_alone_chooses_the_size_of_photographs_before_anything_else() {
        let set = Set::OxfordIiitPet;
        let first = labels(set, &ledger(Vec::new()));
        assert_eq!(first.len(), 2);
        assert!(first.iter().all(|label| label.0 == Stage::ImageSize));
        let size = |pixels, error| row(Loss::Softmax, Stage::ImageSize, pixels, 0, Some(error));
        let both = ledger(vec![size("128 pixels", 0.3), size("224 pixels", 0.2)]);
        let plan = Plan { set, ledger: &both };
        let cells = plan.cells(Task::Closed, &[Loss::Magnet]).unwrap();
        assert!(
            cells[2..]
                .iter()
                .all(|cell| cell.sets.contains(&"model.image_size=224".into()))
        );
    }

    #[test]
    fn the_question_of_cause_crosses_its_four_factors() {
        let empty = ledger(Vec::new());
        let plan = Plan {
            set: Set::FashionMini,
            ledger: &empty,
        };
        let cells = plan.cells(Task::Cause, &[Loss::Magnet]).unwrap();
        assert_eq!(cells.len(), 3 * 3 * 3 * 2 * 2);
        let mut settings: Vec<&str> = cells.iter().map(|c| c.label.setting.as_str()).collect();
        settings.sort_unstable();
        settings.dedup();
        assert_eq!(settings.len(), 36);
    }
}
