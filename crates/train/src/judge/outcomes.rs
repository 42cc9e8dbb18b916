//! `outcomes.csv`: what the rules that all losses share say of each held-out photograph, to compare runs photograph by photograph.
//!
//! | column | meaning |
//! |---|---|
//! | `path`, `class_name`, `label` | the photograph and its class |
//! | `seen` | 1 if its class was trained on |
//! | `nearest_neighbour` | 1 if the nearest photograph is of its class, else 0 |
//! | `map_at_r` | MAP@R of its ranking |
//! | `nearest_class_mean` | 1 if the nearest class mean is that of its class, else 0 |
//! | `nearest_neighbour_cosine`, `map_at_r_cosine`, `nearest_class_mean_cosine` | the same in cosine distance |
//!
//! Who is searched is that of the report: for photographs of trained and of other classes side by side that of the photograph's
//! part. What does not exist is empty: of a photograph with nothing to find, and class means where training images are not
//! searched. The means of the columns are the report's `recall_at_1`, `map_at_r` and one minus `nearest_class_mean_error_at_1`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Serialize;

use crate::error::TrainError;
use crate::input::columns::Photograph;
use crate::judge::evaluate::RowOutcome;
use crate::judge::saved_embeddings::write_lines;

/// The columns.
const COLUMNS: &str = "path,class_name,label,seen,nearest_neighbour,map_at_r,nearest_class_mean,nearest_neighbour_cosine,\
                       map_at_r_cosine,nearest_class_mean_cosine";

/// A line of the file.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    path: String,
    class_name: String,
    label: usize,
    seen: u8,
    nearest_neighbour: Option<u8>,
    map_at_r: Option<String>,
    nearest_class_mean: Option<u8>,
    nearest_neighbour_cosine: Option<u8>,
    map_at_r_cosine: Option<String>,
    nearest_class_mean_cosine: Option<u8>,
}

/// The lines of `outcomes`; the lists are of all held-out images.
pub(crate) fn lines(
    outcomes: &[RowOutcome],
    photographs: &[Photograph],
    labels: &[usize],
    seen: &[bool],
) -> Vec<Line> {
    let value = |value: f64| format!("{value:.4}");
    let line = |outcome: &RowOutcome| {
        let RowOutcome { row, plain, cosine } = *outcome;
        Line {
            path: photographs[row].path.clone(),
            class_name: photographs[row].class_name.clone(),
            label: labels[row],
            seen: u8::from(seen[row]),
            nearest_neighbour: plain.nearest_neighbour.map(u8::from),
            map_at_r: plain.map_at_r.map(value),
            nearest_class_mean: plain.nearest_class_mean.map(u8::from),
            nearest_neighbour_cosine: cosine.nearest_neighbour.map(u8::from),
            map_at_r_cosine: cosine.map_at_r.map(value),
            nearest_class_mean_cosine: cosine.nearest_class_mean.map(u8::from),
        }
    };
    outcomes.iter().map(line).collect()
}

/// Writes the file, whole or not at all.
///
/// # Errors
/// What the file system says, with the path.
pub(crate) fn write(file: &Path, lines: &[Line]) -> Result<(), TrainError> {
    write_lines(file, lines.iter())
}

/// Whether a file begins as one with the outcomes of single photographs.
pub fn is_outcomes(path: &Path) -> bool {
    let mut start = vec![0; COLUMNS.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == COLUMNS.as_bytes()
}

#[cfg(test)]
mod tests {
    use lodestone_data::{Roles, Split};
    use lodestone_eval::{Protocol, Report};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::config::run_config::EvaluationConfig;
    use crate::input::columns::Part;
    use crate::judge::evaluate::{Judged, judge_with};

    const DIM: usize = 4;
    const HELD_OUT: usize = 60;

    /// Rows of a class lie around a centre, near enough to others to be taken for theirs now and then.
    fn values(labels: &[usize], seed: u64) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let row = |&class: &usize| {
            let mut column = 0;
            [(); DIM].map(|()| {
                column += 1;
                ((class * 37 + column * 101) % 11) as f32 * 0.5 - 2.3
                    + random.random_range(-6.0..6.0_f32)
            })
        };
        labels.iter().flat_map(row).collect()
    }

    /// The lines that a file has, by column, and the report.
    fn judged(
        held_out: &[usize],
        seen: &[bool],
        roles: Option<&[Roles]>,
    ) -> (Vec<csv::StringRecord>, Report) {
        let training: Vec<usize> = (0..90).map(|row| row % 3).collect();
        let embeddings = [values(&training, 1), values(held_out, 2)];
        let part = |embeddings, labels| Part {
            embeddings,
            labels,
            fine: None,
            sequences: None,
        };
        let judged = Judged {
            rule: None,
            dim: DIM,
            gallery: part(&embeddings[0], &training),
            queries: part(&embeddings[1], held_out),
            protocol: Protocol::suiting(seen, roles.is_some()),
            seen,
            roles,
            logits: None,
            clusters: None,
        };
        let found = judge_with(&judged, None, &EvaluationConfig::default()).unwrap();
        let photograph = |row: usize| Photograph {
            path: format!("{row}, left.jpg"),
            class_name: format!("class {}", held_out[row]),
            split: Split::Test,
        };
        let photographs: Vec<Photograph> = (0..held_out.len()).map(photograph).collect();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("outcomes.csv");
        let of_rows = lines(&found.outcomes, &photographs, held_out, seen);
        write(&file, &of_rows).unwrap();
        assert!(is_outcomes(&file));
        let mut reader = csv::Reader::from_path(&file).unwrap();
        let records = reader.records().map(Result::unwrap).collect();
        (records, found.report)
    }

    /// The mean of a column over the lines where it is not empty.
    fn mean<'a>(lines: impl Iterator<Item = &'a csv::StringRecord>, column: &str) -> (f64, usize) {
        let at = COLUMNS.split(',').position(|name| name == column).unwrap();
        let cells = lines.map(|line| &line[at]).filter(|cell| !cell.is_empty());
        let values: Vec<f64> = cells.map(|cell| cell.parse().unwrap()).collect();
        (
            values.iter().sum::<f64>() / values.len() as f64,
            values.len(),
        )
    }

    /// Compares the columns of the lines with `seen` (or of all) with a report of these photographs.
    fn agree(lines: &[csv::StringRecord], seen: Option<&str>, report: &Report, class_means: bool) {
        for (column, key, exact) in [
            ("nearest_neighbour", "recall_at_1", true),
            ("nearest_neighbour_cosine", "recall_at_1.cosine", true),
            ("map_at_r", "map_at_r", false),
            ("map_at_r_cosine", "map_at_r.cosine", false),
            ("nearest_class_mean", "nearest_class_mean_error_at_1", true),
            (
                "nearest_class_mean_cosine",
                "nearest_class_mean_error_at_1.cosine",
                true,
            ),
        ] {
            let of_part = lines
                .iter()
                .filter(|line| seen.is_none_or(|seen| &line[3] == seen));
            let (mean, count) = mean(of_part, column);
            if key.starts_with("nearest_class") && !class_means {
                assert!(!report.measures.contains_key(key), "{key}");
                assert_eq!(count, 0, "{column}");
                continue;
            }
            let measure = report.measures[key];
            let value = match key.contains("error") {
                true => 1.0 - measure.value.unwrap(),
                false => measure.value.unwrap(),
            };
            assert_eq!(count, measure.count, "{column}");
            let off = (mean - value).abs();
            let most = if exact { 1e-12 } else { 1e-4 };
            assert!(off <= most, "{column} is {mean}, {key} says {value}");
            assert!(0.0 < value && value < 1.0, "{key} is {value}");
            assert!(measure.interval.is_some() && measure.interval_over_classes.is_some());
        }
    }

    #[test]
    fn the_means_of_the_columns_are_the_report_of_trained_classes() {
        let labels: Vec<usize> = (0..HELD_OUT).map(|row| row % 3).collect();
        let (lines, report) = judged(&labels, &[true; HELD_OUT], None);
        assert_eq!(lines.len(), HELD_OUT);
        assert_eq!(&lines[4][0], "4, left.jpg");
        assert_eq!(&lines[4][1], "class 1");
        assert_eq!(&lines[4][2], "1");
        agree(&lines, None, &report, true);
    }

    #[test]
    fn the_means_of_the_columns_are_those_of_each_part() {
        // Class 5 has one photograph, which has nothing to find.
        let class = |row: usize| {
            if row == 30 {
                5
            } else {
                (row * 7 + row / 5) % 5
            }
        };
        let labels: Vec<usize> = (0..HELD_OUT).map(class).collect();
        let seen: Vec<bool> = labels.iter().map(|&label| label < 3).collect();
        let (lines, report) = judged(&labels, &seen, None);
        assert_eq!(lines.len(), HELD_OUT);
        let mut paths = lines.iter().enumerate();
        assert!(paths.all(|(row, line)| line[0] == format!("{row}, left.jpg")));
        assert_eq!(
            lines[30].iter().skip(3).collect::<Vec<_>>(),
            ["0", "", "", "", "", "", ""]
        );
        agree(&lines, Some("1"), &report.parts[Report::SEEN], true);
        agree(&lines, Some("0"), &report.parts[Report::UNSEEN], false);
    }

    #[test]
    fn of_rows_with_roles_those_that_ask_have_a_line() {
        let labels: Vec<usize> = (0..HELD_OUT)
            .map(|row| 3 + (row * 7 + row / 5) % 3)
            .collect();
        let role = |row: usize| Roles {
            query: row.is_multiple_of(2),
            gallery: !row.is_multiple_of(3),
        };
        let roles: Vec<Roles> = (0..HELD_OUT).map(role).collect();
        let (lines, report) = judged(&labels, &[false; HELD_OUT], Some(&roles));
        let paths: Vec<&str> = lines.iter().map(|line| &line[0]).collect();
        assert_eq!(paths.len(), HELD_OUT / 2);
        assert_eq!(paths[..3], ["0, left.jpg", "2, left.jpg", "4, left.jpg"]);
        agree(&lines, None, &report, false);
    }
}
