//! The embeddings that a report was computed from, as files that give the same report again, without model and images.
//!
//! | file | content |
//! |---|---|
//! | `queries.npy`, `gallery.npy` | held-out and training images, f32 `[rows, dim]` |
//! | `queries.csv`, `gallery.csv` | `path`, `label`, `class_name`, `split`; of queries `seen`, whether their class was trained on; `fine` where training merged classes, `is_query`, `is_gallery` and `sequence` where the table has them |
//! | `logits.npy` | scores of the queries `[rows, classes]`, if the loss has a head |
//! | `centres.npy`, `centres.csv` | cluster centres and their `label`, if the rule is kNC |
//! | `queries.jpg` | small pictures of the queries, row by row on a nearly square sheet, for maps; the report needs it not |
//! | `evaluation.json` | settings, the variance of kNC, notes and notices of the report |

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use lodestone_data::{Roles, Split};
use lodestone_eval::{Protocol, Report, Rows};
use lodestone_files::write_whole;
use ndarray::{Array2, ArrayView2};
use ndarray_npy::{ReadNpyExt, WriteNpyExt};
use serde::{Deserialize, Serialize};

use crate::config::run_config::EvaluationConfig;
use crate::error::TrainError;
use crate::input::columns::{Columns, Photograph};
use crate::judge::evaluate::{Centres, Judged, judge_with};

/// The file with what is no matrix.
const SETTINGS: &str = "evaluation.json";

/// Every file that such a folder may hold; the first is in each.
pub const KEPT: [&str; 9] = [
    SETTINGS,
    "queries.npy",
    "queries.csv",
    "gallery.npy",
    "gallery.csv",
    "logits.npy",
    "centres.npy",
    "centres.csv",
    "queries.jpg",
];

/// What is not a matrix.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    evaluation: EvaluationConfig,
    variance: Option<f64>,
    notes: BTreeMap<String, String>,
    warnings: Vec<String>,
}

/// A line of the list beside a matrix; columns that say nothing are left out.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    label: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    split: Option<Split>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fine: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_query: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_gallery: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sequence: Option<usize>,
}

/// Writes everything that `report` was computed from into `folder`. `photographs` are those of queries and gallery.
///
/// # Errors
/// What the file system says, with the path.
pub(crate) fn write(
    folder: &Path,
    what: &Judged<'_>,
    photographs: &[Vec<Photograph>; 2],
    config: &EvaluationConfig,
    report: &Report,
) -> Result<(), TrainError> {
    let centres = what.clusters.map(|(index, variance)| Centres {
        rows: index.centres(),
        classes: index.cluster_classes(),
        variance,
    });
    let sides = [
        ("queries", &what.queries, Some(what.seen), what.roles),
        ("gallery", &what.gallery, None, None),
    ];
    for ((name, part, seen, roles), photographs) in sides.into_iter().zip(photographs) {
        write_matrix(
            &folder.join(format!("{name}.npy")),
            part.embeddings,
            what.dim,
        )?;
        let lines = photographs
            .iter()
            .enumerate()
            .map(|(row, photograph)| Line {
                path: Some(photograph.path.clone()),
                label: part.labels[row],
                class_name: Some(photograph.class_name.clone()),
                split: Some(photograph.split),
                seen: seen.map(|seen| seen[row]),
                fine: part.fine.map(|fine| fine[row]),
                is_query: roles.map(|roles| roles[row].query),
                is_gallery: roles.map(|roles| roles[row].gallery),
                sequence: part.sequences.map(|sequences| sequences[row]),
            });
        write_lines(&folder.join(format!("{name}.csv")), lines)?;
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
        let lines = centres.classes.iter().map(|&label| Line {
            label,
            ..Line::default()
        });
        write_lines(&folder.join("centres.csv"), lines)?;
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
        let lines = read_lines(&folder.join(format!("{name}.csv")))?;
        Ok((values, dim, lines))
    };
    let (queries, dim, of_queries) = side("queries")?;
    let (gallery, _, of_gallery) = side("gallery")?;
    let optional = |name: &str| {
        let file = folder.join(name);
        file.exists().then(|| read_matrix(&file)).transpose()
    };
    let (logits, centres) = (optional("logits.npy")?, optional("centres.npy")?);
    let classes = match &centres {
        Some(_) => labels(&read_lines(&folder.join("centres.csv"))?),
        None => Vec::new(),
    };
    let centres = rows_of(&centres)
        .zip(settings.variance)
        .map(|(rows, variance)| Centres {
            rows,
            classes: &classes,
            variance,
        });
    let (of_query, of_found) = (Columns::of(&of_queries), Columns::of(&of_gallery));
    let seen: Vec<bool> = of_queries
        .iter()
        .map(|line| line.seen.unwrap_or(true))
        .collect();
    let role = |line: &Line| {
        let (query, gallery) = line.is_query.zip(line.is_gallery)?;
        Some(Roles { query, gallery })
    };
    let roles: Option<Vec<Roles>> = of_queries.iter().map(role).collect();
    let judged = Judged {
        rule: None,
        dim,
        gallery: of_found.part(&gallery),
        queries: of_query.part(&queries),
        protocol: match settings.evaluation.mode {
            Some(mode) => Protocol::All(mode),
            None => Protocol::suiting(&seen, roles.is_some()),
        },
        seen: &seen,
        roles: roles.as_deref(),
        logits: rows_of(&logits),
        clusters: None,
    };
    let mut report = judge_with(&judged, centres, &settings.evaluation)?.report;
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

/// Writes a list as a table, whole or not at all.
///
/// # Errors
/// What the file system says, with the path.
pub(crate) fn write_lines(
    file: &Path,
    lines: impl Iterator<Item = impl Serialize>,
) -> Result<(), TrainError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for line in lines {
        writer
            .serialize(line)
            .map_err(|error| unreadable(file, error))?;
    }
    let bytes = writer.into_inner();
    let bytes = bytes.map_err(|error| unreadable(file, error.error()))?;
    write_whole(file, |out| out.write_all(&bytes))?;
    Ok(())
}

fn read_lines(file: &Path) -> Result<Vec<Line>, TrainError> {
    let mut reader = csv::Reader::from_path(file).map_err(|error| unreadable(file, error))?;
    let lines: Result<Vec<Line>, csv::Error> = reader.deserialize().collect();
    lines.map_err(|error| unreadable(file, error))
}

fn labels(lines: &[Line]) -> Vec<usize> {
    lines.iter().map(|line| line.label).collect()
}

impl Columns {
    fn of(lines: &[Line]) -> Self {
        Self {
            labels: labels(lines),
            fine: lines.iter().map(|line| line.fine).collect(),
            sequences: lines.iter().map(|line| line.sequence).collect(),
        }
    }
}

/// A matrix that was read has whole rows.
fn rows_of(matrix: &Option<(Vec<f32>, usize)>) -> Option<Rows<'_>> {
    let (values, dim) = matrix.as_ref()?;
    Rows::new(values, *dim).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::columns::Part;
    use crate::judge::evaluate::judge;

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
        let sequences = [labels(24, 5), labels(10, 5)];
        let part = |embeddings, labels, fine, sequences| Part {
            embeddings,
            labels,
            fine: Some(fine),
            sequences: Some(sequences),
        };
        let photographs = [10, 24].map(|count| {
            let named = |row: usize| Photograph {
                path: format!("a, \"b\"/{row}.jpg"),
                class_name: format!("class {}", row % 2),
                split: Split::Test,
            };
            (0..count).map(named).collect()
        });
        let seen: Vec<bool> = (0..10).map(|row| row % 2 == 0).collect();
        let role = |row| Roles {
            query: row % 2 == 0,
            gallery: row % 3 > 0,
        };
        let roles: Vec<Roles> = (0..10).map(role).collect();
        for (seen, roles) in [
            (vec![true; 10], None),
            (vec![false; 10], None),
            (seen, None),
            (vec![false; 10], Some(&roles[..])),
        ] {
            let judged = Judged {
                rule: None,
                dim: 3,
                gallery: part(&gallery, &gallery_labels, &gallery_fine, &sequences[0]),
                queries: part(&queries, &query_labels, &query_fine, &sequences[1]),
                protocol: Protocol::suiting(&seen, roles.is_some()),
                seen: &seen,
                roles,
                logits: Rows::new(&logits, 2).ok(),
                clusters: None,
            };
            let config = EvaluationConfig::default();
            let mut report = judge(&judged, &config).unwrap();
            report.note("seed", 3);
            report.warnings.push("two files were left out".into());
            write(folder.path(), &judged, &photographs, &config, &report).unwrap();
            assert_eq!(report_of_kept(folder.path()).unwrap(), report);
        }

        let file = folder.path().join("gallery.csv");
        write_whole(&file, |out| writeln!(out, "label,fine\n1,x")).unwrap();
        let error = report_of_kept(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("gallery.csv: CSV deserialize error: record 1 (line: 2"),
            "{error}"
        );
    }
}
