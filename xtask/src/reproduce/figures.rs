//! Figures of a ledger, as SVG.

use std::collections::BTreeMap;

use anyhow::Result;
use plotters::chart::SeriesLabelPosition::{LowerLeft, UpperRight};
use plotters::style::{BLACK, RGBColor};

use super::ablation::{self, ABLATIONS};
use super::concentration::{AT, BASE};
use super::drawing::{Dots, Line, chart, dots};
use super::experiment::Experiment;
use super::ledger::{Ledger, Row};
use super::loss::Loss;
use super::table::{percents, tested, whole};

/// A figure with what stands under it.
pub(crate) struct Figure {
    pub(crate) title: String,
    pub(crate) svg: String,
}

/// Every figure that the ledger has the rows for.
pub(crate) fn of(ledger: &Ledger) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut add = |title: &str, svg: Option<String>| {
        figures.extend(svg.map(|svg| Figure {
            title: title.to_owned(),
            svg,
        }));
    };
    add(
        "Error of each loss: seeds as dots, mean and 95 % interval",
        errors(ledger, Experiment::Classification)?,
    );
    add(
        "The same with all layers trained",
        errors(ledger, Experiment::AllLayers)?,
    );
    add(
        "And trained for longer",
        errors(ledger, Experiment::Longer)?,
    );
    add(
        "Hierarchy recovery, classes merged at random: soft kNN error of the classes below",
        recovery(ledger)?,
    );
    add(
        "Validation error against images seen, a line a seed",
        convergence(ledger, 0, "images")?,
    );
    add(
        "Validation error against seconds of training with refreshes of the index, a line a seed of those on one machine",
        convergence(ledger, 1, "seconds")?,
    );
    add(
        "Share of the nearest n test images with an attribute of the image in their middle; black, the share among all",
        shares(ledger)?,
    );
    add("Variance of the batch over training", variances(ledger)?);
    add("Ablations of magnet", ablation(ledger)?);
    Ok(figures)
}

fn colour(loss: Loss) -> RGBColor {
    match loss {
        Loss::Softmax => RGBColor(31, 119, 180),
        Loss::Triplet => RGBColor(44, 140, 60),
        Loss::Magnet => RGBColor(200, 50, 40),
        Loss::TemperedMagnet => RGBColor(230, 150, 20),
        _ => RGBColor(110, 110, 110),
    }
}

fn errors(ledger: &Ledger, experiment: Experiment) -> Result<Option<String>> {
    let rows = Loss::ALL.into_iter().filter_map(|loss| {
        let cells = ledger.of(experiment, loss);
        dots_of(
            loss.name(),
            loss,
            &cells,
            &format!("{}_error_at_1", loss.rule()),
        )
    });
    dots(&rows.collect::<Vec<_>>(), "error@1 %")
}

fn recovery(ledger: &Ledger) -> Result<Option<String>> {
    let rows = Loss::WITH_TEMPERED.into_iter().filter_map(|loss| {
        let cells = ledger.of(Experiment::Random, loss);
        dots_of(loss.name(), loss, &cells, "hierarchy_soft_knn_error_at_1")
    });
    dots(&rows.collect::<Vec<_>>(), "fine error@1 %")
}

fn dots_of(name: &str, loss: Loss, cells: &[&Row], key: &str) -> Option<Dots> {
    let cells = whole(cells);
    Some(Dots {
        name: name.to_owned(),
        colour: colour(loss),
        values: percents(&cells, key)?,
        tested: tested(&cells),
    })
}

fn ablation(ledger: &Ledger) -> Result<Option<String>> {
    let rows = ABLATIONS.into_iter().filter_map(|(name, _)| {
        let cells = ledger.seeds(Experiment::Ablation, Loss::Magnet, name);
        let whole: Vec<&Row> = cells
            .into_iter()
            .filter(|row| ablation::error(row).is_some())
            .collect();
        let values: Vec<f64> = whole
            .iter()
            .filter_map(|row| ablation::error(row))
            .collect();
        (!values.is_empty()).then(|| Dots {
            name: name.to_owned(),
            colour: colour(Loss::Magnet),
            values,
            tested: tested(&whole),
        })
    });
    dots(&rows.collect::<Vec<_>>(), "error@1 %")
}

fn convergence(ledger: &Ledger, axis: usize, unit: &str) -> Result<Option<String>> {
    let machine = usual_machine(ledger);
    let mut lines = paper_lines(ledger, Experiment::Convergence, |row| {
        // Seconds of two machines on one axis would compare machines.
        if unit == "seconds" && machine != Some(row.machine.as_str()) {
            return Vec::new();
        }
        row.outcome
            .curve
            .iter()
            .map(|point| (point[axis], 100.0 * point[2]))
            .collect()
    });
    lines.retain(|line| !line.points.is_empty());
    let digits = usize::from(unit == "seconds");
    let names = [unit, "validation error %"];
    chart(&lines, names, UpperRight, &|x| format!("{x:.digits$}"))
}

/// The machine that most runs of the convergence were made on.
fn usual_machine(ledger: &Ledger) -> Option<&str> {
    let losses = Loss::WITH_TEMPERED.into_iter();
    let rows = losses.flat_map(|loss| ledger.of(Experiment::Convergence, loss));
    let mut runs: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        *runs.entry(row.machine.as_str()).or_default() += 1;
    }
    let most = runs.into_iter().max_by_key(|&(_, count)| count);
    most.map(|(machine, _)| machine)
}

fn variances(ledger: &Ledger) -> Result<Option<String>> {
    let mut lines = paper_lines(ledger, Experiment::Classification, |row| {
        row.outcome
            .variance
            .iter()
            .map(|&[images, variance]| (images, variance))
            .collect()
    });
    lines.retain(|line| !line.points.is_empty());
    let names = ["images", "variance"];
    chart(&lines, names, UpperRight, &|x| format!("{x:.0}"))
}

/// Over the logarithm of the size of the neighbourhood.
fn shares(ledger: &Ledger) -> Result<Option<String>> {
    let mut lines = paper_lines(ledger, Experiment::Concentration, |row| {
        let numbered: BTreeMap<u64, f64> = row
            .outcome
            .measures
            .iter()
            .filter_map(|(name, &share)| Some((name.strip_prefix(AT)?.parse().ok()?, share)))
            .collect();
        numbered
            .into_iter()
            .map(|(size, share)| ((size as f64).log2(), 100.0 * share))
            .collect()
    });
    lines.extend(base(ledger, &lines));
    let names = ["neighbours n", "share %"];
    chart(&lines, names, LowerLeft, &|x| format!("{:.0}", x.exp2()))
}

/// The share among all images: what neighbours drawn at random would have.
fn base(ledger: &Ledger, lines: &[Line]) -> Option<Line> {
    let mut rows = Loss::WITH_TEMPERED
        .into_iter()
        .flat_map(|loss| ledger.of(Experiment::Concentration, loss));
    let share = 100.0 * rows.find_map(|row| row.outcome.measures.get(BASE).copied())?;
    let across = lines
        .iter()
        .flat_map(|line| line.points.iter().map(|point| point.0));
    let (least, most) = across.fold((f64::MAX, f64::MIN), |(least, most), x| {
        (least.min(x), most.max(x))
    });
    Some(Line {
        name: "all images".to_owned(),
        colour: BLACK,
        points: vec![(least, share), (most, share)],
    })
}

fn paper_lines(
    ledger: &Ledger,
    experiment: Experiment,
    points: impl Fn(&Row) -> Vec<(f64, f64)>,
) -> Vec<Line> {
    let rows = Loss::WITH_TEMPERED.into_iter().flat_map(|loss| {
        ledger
            .of(experiment, loss)
            .into_iter()
            .map(move |row| (loss, row))
    });
    rows.map(|(loss, row)| Line {
        name: loss.name().to_owned(),
        colour: colour(loss),
        points: points(row),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::ledger::{Outcome, testing};
    use super::*;

    #[test]
    fn figures_without_rows_are_left_out_and_others_name_their_losses() {
        assert!(of(&testing::ledger(Vec::new())).unwrap().is_empty());
        let curve = Outcome {
            curve: vec![[48.0, 0.1, 0.5], [96.0, 0.2, 0.25]],
            ..Outcome::default()
        };
        let error = |value| testing::measured(&[("argmax_error_at_1", value)]);
        let ledger = testing::ledger(vec![
            (Experiment::Convergence, Loss::Magnet, "tuned", 0, curve),
            (
                Experiment::Classification,
                Loss::Softmax,
                "tuned",
                0,
                error(0.2),
            ),
            (
                Experiment::Classification,
                Loss::Softmax,
                "tuned",
                1,
                error(0.3),
            ),
        ]);
        let figures = of(&ledger).unwrap();
        assert_eq!(figures.len(), 3);
        assert!(figures[0].svg.contains("softmax"), "{}", figures[0].svg);
        assert!(figures[1].svg.contains("magnet"), "{}", figures[1].svg);
        assert!(figures.iter().all(|figure| figure.svg.starts_with("<svg")));
    }

    #[test]
    fn seconds_of_other_machines_than_the_usual_one_are_not_drawn() {
        let curve = |seconds| Outcome {
            curve: vec![[48.0, seconds, 0.5], [96.0, 2.0 * seconds, 0.25]],
            ..Outcome::default()
        };
        let run =
            |loss, seed, seconds| (Experiment::Convergence, loss, "tuned", seed, curve(seconds));
        let mut ledger = testing::ledger(vec![
            run(Loss::Magnet, 0, 1.0),
            run(Loss::Magnet, 1, 1.0),
            run(Loss::Triplet, 0, 1.0),
        ]);
        ledger.rows[2].machine = "cuda (a card), another".into();
        let drawn = |axis, unit| convergence(&ledger, axis, unit).unwrap().unwrap();
        assert!(drawn(0, "images").contains("triplet"));
        let seconds = drawn(1, "seconds");
        assert!(seconds.contains("magnet") && !seconds.contains("triplet"));
    }
}
