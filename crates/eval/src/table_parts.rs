//! The parts of a report's Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::{
    ApproximateNote, Calibration, Clustering, Concentration, Confusion, Diagnostics, Mean, Measure,
    Report, SoftVote, Verification,
};

/// What a row is called; nothing if another row shows the same number.
pub(crate) fn alias(name: &str, all: &BTreeMap<String, Measure>) -> Option<String> {
    let other = |a: &str, b: &str| {
        name.strip_prefix(a)
            .is_some_and(|rest| all.contains_key(&format!("{b}{rest}")) && !rest.starts_with('.'))
    };
    // `recall_at_1` must not catch `recall_at_16`.
    let whole = |stem: &str| {
        let rest = name.strip_prefix(stem);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    if whole("recall_at_1") && other("recall_at_1", "precision_at_1") {
        return None;
    }
    match name == "precision_at_1" && all.contains_key("recall_at_1") {
        true => Some("precision_at_1 = recall_at_1 = CMC@1 = hit@1".into()),
        false => Some(name.to_owned()),
    }
}

pub(crate) fn percent(value: f64) -> String {
    format!("{:.2} %", 100.0 * value)
}

pub(crate) fn vote_note(vote: Option<SoftVote>) -> String {
    vote.map_or(String::new(), |v| {
        format!(" (nearest {}, variance {:.4})", v.nearest, v.variance)
    })
}

pub(crate) fn approximate(note: &ApproximateNote) -> String {
    format!(
        "\nApproximate: {}; {} of the true neighbours were found ({} neighbours of {} sampled queries); {} queries were answered exactly.\n",
        note.index,
        percent(note.recall),
        note.neighbours,
        note.sampled,
        note.exact
    )
}

pub(crate) fn clusters(c: &Clustering) -> String {
    let made = match (&c.k_means, &c.run) {
        (Some(asked), Some(run)) => format!(
            "K-means++ with seed {}, {} starts, {} passes{}",
            asked.seed,
            asked.restarts,
            run.passes,
            if run.converged {
                ""
            } else {
                " (not converged)"
            }
        ),
        _ => "given".into(),
    };
    format!(
        "\nClusters against classes ({} clusters, {made}): NMI {}, AMI {}, purity {}.\n",
        c.scores.clusters,
        percent(c.scores.nmi),
        percent(c.scores.ami),
        percent(c.scores.purity)
    )
}

pub(crate) fn verification(v: &Verification) -> String {
    let mut text = format!(
        "\nVerification ({}; {} positive and {} negative pairs): area under the ROC curve {}",
        v.pairs,
        v.positive,
        v.negative,
        percent(v.area_under_roc)
    );
    // Writing to a string cannot fail.
    for point in &v.fnmr_at_fmr {
        let (fnmr, fmr) = (percent(point.fnmr), percent(point.fmr));
        let _ = write!(text, "; FNMR {fnmr} at FMR {fmr}");
    }
    text += ".\n";
    if let Some(calibrated) = &v.calibrated {
        let wanted = percent(calibrated.wanted_precision);
        let reached = |c: Calibration| {
            format!(
                "precision {} and recall {}",
                percent(c.precision),
                percent(c.recall)
            )
        };
        text += &match (calibrated.validation, calibrated.test) {
            (Some(validation), Some(test)) => format!(
                "For a precision of {wanted}: accept squared distances up to {:.6}; validation pairs then have {}, test pairs {}.\n",
                validation.threshold,
                reached(validation),
                reached(test)
            ),
            _ => format!("No threshold has a precision of {wanted} on the validation pairs.\n"),
        };
    }
    text
}

pub(crate) fn concentration(c: &Concentration) -> String {
    let mut text = "\n| neighbours | share with the attribute, pooled | mean over attributes |\n|---:|---:|---:|\n".to_owned();
    let shares = c.pooled.shares.iter().zip(&c.over_attributes.shares);
    for (n, (pooled, over)) in c.sizes.iter().zip(shares) {
        let _ = writeln!(text, "| {n} | {} | {} |", percent(*pooled), percent(*over));
    }
    let base = (percent(c.pooled.base), percent(c.over_attributes.base));
    let _ = writeln!(text, "| base | {} | {} |", base.0, base.1);
    if c.names.is_empty() {
        return text;
    }
    let sizes: Vec<String> = c.sizes.iter().map(ToString::to_string).collect();
    let _ = write!(
        text,
        "\n| attribute | images | base | {} |\n|---|---:|---:|{}\n",
        sizes.join(" | "),
        "---:|".repeat(sizes.len())
    );
    for (name, curve) in c.names.iter().zip(&c.per_attribute) {
        let _ = match curve {
            Some(curve) => {
                let shares: Vec<String> = curve.shares.iter().map(|&x| percent(x)).collect();
                writeln!(
                    text,
                    "| {name} | {} | {} | {} |",
                    curve.count,
                    percent(curve.base),
                    shares.join(" | ")
                )
            }
            None => writeln!(text, "| {name} | 0 | absent |{}", " |".repeat(sizes.len())),
        };
    }
    text
}

pub(crate) fn shape(d: &Diagnostics) -> String {
    let or_none = |x: Option<f64>| x.map_or("none".to_owned(), |x| format!("{x:.4}"));
    format!(
        "\nShape: effective rank {:.1}, spectral decay {:.3}, mean squared distance {:.4}, norm {:.4} ± {:.4}, \
         intra/inter {}, alignment {}, uniformity {:.4}.\n",
        d.effective_rank,
        d.spectral_decay,
        d.mean_squared_distance,
        d.norm_mean,
        d.norm_deviation,
        or_none(d.intra_over_inter),
        or_none(d.alignment),
        d.uniformity
    )
}

/// The metric that shows single classes.
const OF_CLASSES: &str = "map_at_r";
/// Classes that a table shows; the JSON has all.
const SHOWN: usize = 20;

/// The classes with the least MAP@R.
pub(crate) fn classes(of: &BTreeMap<usize, BTreeMap<String, Mean>>, report: &Report) -> String {
    let mut worst: Vec<(usize, Mean)> = of
        .iter()
        .filter_map(|(&class, metrics)| Some((class, *metrics.get(OF_CLASSES)?)))
        .collect();
    worst.sort_by(|a, b| a.1.value.total_cmp(&b.1.value));
    let mut text = format!(
        "\nClasses with the least {OF_CLASSES} ({} of {}):\n\n| class | {OF_CLASSES} | queries |\n|---|---:|---:|\n",
        worst.len().min(SHOWN),
        worst.len()
    );
    for (class, mean) in worst.into_iter().take(SHOWN) {
        let name = report.class_name(class);
        let _ = writeln!(
            text,
            "| {name} | {} | {} |",
            percent(mean.value),
            mean.count
        );
    }
    text
}

/// The most frequent mistakes.
pub(crate) fn mistakes(confusion: &Confusion, report: &Report) -> String {
    let worst = confusion.worst_pairs(10);
    if worst.is_empty() {
        return "\nNo row was taken for another class.\n".into();
    }
    let mut text = "\n| true class | taken for | times |\n|---|---|---:|\n".to_owned();
    for (truth, taken_for, times) in worst {
        let (truth, taken_for) = (report.class_name(truth), report.class_name(taken_for));
        let _ = writeln!(text, "| {truth} | {taken_for} | {times} |");
    }
    text
}
