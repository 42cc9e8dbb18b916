//! The embeddings that a report was computed from, as files that give the same report again, without model and images.
//!
//! | file | content |
//! |---|---|
//! | `queries.npy`, `gallery.npy` | held-out and training images, f32 `[rows, dim]` |
//! | `queries.csv`, `gallery.csv` | `label`, and `fine` where training merged classes |
//! | `logits.npy` | scores of the queries `[rows, classes]`, if the loss has a head |
//! | `centres.npy`, `centres.csv` | cluster centres and their `label`, if the rule is kNC |
//! | `queries.jpg` | small pictures of the queries, row by row on a nearly square sheet, for maps; the report needs it not |
//! | `evaluation.json` | settings, the variance of kNC, notes and notices of the report |

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use lodestone_eval::{Report, Rows};
use lodestone_files::write_whole;
use ndarray::{Array2, ArrayView2};
use ndarray_npy::{ReadNpyExt, WriteNpyExt};
use serde::{Deserialize, Serialize};

use crate::config::EvaluationConfig;
use crate::error::TrainError;
use crate::evaluate::{Centres, Judged, Part, judge_with};

/// The file with what is no matrix.
const SETTINGS: &str = "evaluation.json";

/// What is not a matrix.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    evaluation: EvaluationConfig,
    variance: Option<f64>,
    notes: BTreeMap<String, String>,
    warnings: Vec<String>,
}

/// Writes everything that `report` was computed from into `folder`.
///
/// # Errors
/// What the file system says, with the path.
pub(crate) fn write(
    folder: &Path,
    what: &Judged<'_>,
    config: &EvaluationConfig,
    report: &Report,
) -> Result<(), TrainError> {
    let centres = what.clusters.map(|(index, variance)| Centres {
        rows: index.centres(),
        classes: index.cluster_classes(),
        variance,
    });
    for (name, part) in [("queries", &what.queries), ("gallery", &what.gallery)] {
        write_matrix(
            &folder.join(format!("{name}.npy")),
            part.embeddings,
            what.dim,
        )?;
        write_labels(&folder.join(format!("{name}.csv")), part.labels, part.fine)?;
    }
    // Files of another model that was kept here before.
    for name in ["logits.npy", "centres.npy", "centres.csv"] {
        let path = folder.join(name);
        if path.exists() {
            std::fs::remove_file(&path).map_err(|error| unreadable(&path, error))?;
        }
    }
    if let Some(logits) = what.logits {
        write_matrix(&folder.join("logits.npy"), logits.values(), logits.dim())?;
    }
    if let Some(centres) = centres {
        write_matrix(&folder.join("centres.npy"), centres.rows.values(), what.dim)?;
        write_labels(&folder.join("centres.csv"), centres.classes, None)?;
    }
    let settings = Settings {
        evaluation: config.clone(),
        variance: centres.map(|centres| centres.variance),
        notes: report.notes.clone(),
        warnings: report.warnings.clone(),
    };
    write_settings(folder, &settings)
}

fn write_settings(folder: &Path, settings: &Settings) -> Result<(), TrainError> {
    // Plain data has a JSON form.
    let text = serde_json::to_string_pretty(settings).unwrap_or_default();
    write_whole(&folder.join(SETTINGS), |out| writeln!(out, "{text}"))?;
    Ok(())
}

fn read_settings(folder: &Path) -> Result<Settings, TrainError> {
    let file = folder.join(SETTINGS);
    let text = std::fs::read_to_string(&file).map_err(|error| unreadable(&file, error))?;
    serde_json::from_str(&text).map_err(|error| unreadable(&file, error))
}

/// Writes the notes that `report` has by now.
///
/// # Errors
/// As [`write`].
pub(crate) fn complete(folder: &Path, report: &Report) -> Result<(), TrainError> {
    let mut settings = read_settings(folder)?;
    settings.notes = report.notes.clone();
    settings.warnings = report.warnings.clone();
    write_settings(folder, &settings)
}

/// The report of a folder of kept embeddings: that of the run which wrote it.
///
/// # Errors
/// If a file is missing or damaged (it is named), or as [`judge`](crate::judge).
pub fn report_of_kept(folder: &Path) -> Result<Report, TrainError> {
    let settings = read_settings(folder)?;
    let side = |name: &str| -> Result<_, TrainError> {
        let (values, dim) = read_matrix(&folder.join(format!("{name}.npy")))?;
        let (labels, fine) = read_labels(&folder.join(format!("{name}.csv")))?;
        Ok((values, dim, labels, fine))
    };
    let (queries, dim, query_labels, query_fine) = side("queries")?;
    let (gallery, _, gallery_labels, gallery_fine) = side("gallery")?;
    let optional = |name: &str| {
        let file = folder.join(name);
        file.exists().then(|| read_matrix(&file)).transpose()
    };
    let (logits, centres) = (optional("logits.npy")?, optional("centres.npy")?);
    let classes = match &centres {
        Some(_) => read_labels(&folder.join("centres.csv"))?.0,
        None => Vec::new(),
    };
    let centres = rows_of(&centres)
        .zip(settings.variance)
        .map(|(rows, variance)| Centres {
            rows,
            classes: &classes,
            variance,
        });
    let judged = Judged {
        rule: None,
        dim,
        gallery: Part {
            embeddings: &gallery,
            labels: &gallery_labels,
            fine: gallery_fine.as_deref(),
        },
        queries: Part {
            embeddings: &queries,
            labels: &query_labels,
            fine: query_fine.as_deref(),
        },
        logits: rows_of(&logits),
        clusters: None,
    };
    let mut report = judge_with(&judged, centres, &settings.evaluation)?;
    report.notes = settings.notes;
    for warning in settings.warnings {
        if !report.warnings.contains(&warning) {
            report.warnings.push(warning);
        }
    }
    Ok(report)
}

fn unreadable(file: &Path, problem: impl Display) -> TrainError {
    TrainError::Setting {
        reason: format!("cannot read {}: {problem}", file.display()),
    }
}

fn write_matrix(file: &Path, values: &[f32], dim: usize) -> Result<(), TrainError> {
    let shape = (values.len() / dim, dim);
    let matrix = ArrayView2::from_shape(shape, values).map_err(|error| unreadable(file, error))?;
    write_whole(file, |out| {
        matrix.write_npy(out).map_err(std::io::Error::other)
    })?;
    Ok(())
}

fn read_matrix(file: &Path) -> Result<(Vec<f32>, usize), TrainError> {
    let open = File::open(file).map_err(|error| unreadable(file, error))?;
    let matrix = Array2::<f32>::read_npy(BufReader::new(open));
    let matrix = matrix.map_err(|error| unreadable(file, error))?;
    let dim = matrix.ncols();
    match dim > 0 && matrix.is_standard_layout() {
        true => Ok((matrix.into_raw_vec_and_offset().0, dim)),
        false => Err(unreadable(file, "not a matrix in row order")),
    }
}

fn write_labels(file: &Path, labels: &[usize], fine: Option<&[usize]>) -> Result<(), TrainError> {
    write_whole(file, |out| match fine {
        Some(fine) => {
            writeln!(out, "label,fine")?;
            let mut pairs = labels.iter().zip(fine);
            pairs.try_for_each(|(label, fine)| writeln!(out, "{label},{fine}"))
        }
        None => {
            writeln!(out, "label")?;
            labels.iter().try_for_each(|label| writeln!(out, "{label}"))
        }
    })?;
    Ok(())
}

type Labels = (Vec<usize>, Option<Vec<usize>>);

fn read_labels(file: &Path) -> Result<Labels, TrainError> {
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, error))?;
    let has_fine = text.starts_with("label,fine\n");
    let (mut labels, mut fine) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate().skip(1) {
        let mut fields = line.split(',').map(str::parse::<usize>);
        match (fields.next(), fields.next(), has_fine) {
            (Some(Ok(label)), Some(Ok(of_label)), true) => {
                labels.push(label);
                fine.push(of_label);
            }
            (Some(Ok(label)), None, false) => labels.push(label),
            _ => return Err(unreadable(file, format!("line {} is `{line}`", number + 1))),
        }
    }
    Ok((labels, has_fine.then_some(fine)))
}

/// A matrix that was read has whole rows.
fn rows_of(matrix: &Option<(Vec<f32>, usize)>) -> Option<Rows<'_>> {
    let (values, dim) = matrix.as_ref()?;
    Rows::new(values, *dim).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::judge;

    #[test]
    fn kept_embeddings_give_the_same_report() {
        let folder = tempfile::tempdir().unwrap();
        let values = |n: usize, k: usize| -> Vec<f32> {
            (0..n * 3).map(|i| ((i * k) % 17) as f32 * 0.3).collect()
        };
        let (gallery, queries) = (values(24, 7), values(10, 5));
        let labels = |n: usize, by: usize| (0..n).map(|i| i % by).collect::<Vec<_>>();
        let (gallery_labels, query_labels) = (labels(24, 2), labels(10, 2));
        let (gallery_fine, query_fine) = (labels(24, 4), labels(10, 4));
        let logits = values(10, 3)[..20].to_vec();
        let part = |embeddings, labels, fine| Part {
            embeddings,
            labels,
            fine: Some(fine),
        };
        let judged = Judged {
            rule: None,
            dim: 3,
            gallery: part(&gallery, &gallery_labels, &gallery_fine),
            queries: part(&queries, &query_labels, &query_fine),
            logits: Rows::new(&logits, 2).ok(),
            clusters: None,
        };
        let config = EvaluationConfig::default();
        let mut report = judge(&judged, &config).unwrap();
        report.note("seed", 3);
        report.warnings.push("two files were left out".into());
        write(folder.path(), &judged, &config, &report).unwrap();
        assert_eq!(report_of_kept(folder.path()).unwrap(), report);

        let file = folder.path().join("gallery.csv");
        write_whole(&file, |out| writeln!(out, "label,fine\n1,x")).unwrap();
        let error = report_of_kept(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("gallery.csv: line 2 is `1,x`"), "{error}");
    }
}
