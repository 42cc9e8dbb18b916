//! What a run wrote down at each step, thinned to what a screen can show.

use std::path::Path;

use crate::ReportError;

/// One number over the steps of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// What it is.
    pub name: String,
    /// Step and value, in order; of many neighbouring ones their means.
    pub points: Vec<(f64, f64)>,
}

/// Columns that say where a row stands or never move, and are no curve.
const NO_CURVES: [&str; 5] = ["step", "epoch", "images", "seconds", "refreshes"];

/// Most points of a curve.
const POINTS: usize = 400;

impl Curve {
    /// A curve for each column of a CSV file that has a column `step`; empty cells are passed over, and so are columns with
    /// fewer than two numbers.
    ///
    /// # Errors
    /// If the file cannot be read or has no such column.
    pub fn read_log(path: &Path) -> Result<Vec<Self>, ReportError> {
        let wrong = |reason: String| ReportError::Log {
            path: path.to_path_buf(),
            reason,
        };
        let mut reader = csv::Reader::from_path(path).map_err(|error| wrong(error.to_string()))?;
        let header = reader
            .headers()
            .map_err(|error| wrong(error.to_string()))?
            .clone();
        let step = header
            .iter()
            .position(|name| name == "step")
            .ok_or_else(|| wrong("it has no column `step`".into()))?;
        let mut columns: Vec<Vec<(f64, f64)>> = vec![Vec::new(); header.len()];
        for record in reader.records() {
            // The last row of a run that is still writing may be cut.
            let Ok(record) = record else { break };
            let number = |at: usize| record.get(at).and_then(|cell| cell.parse::<f64>().ok());
            let Some(step) = number(step) else { continue };
            for (at, column) in columns.iter_mut().enumerate() {
                if let Some(value) = number(at).filter(|value| value.is_finite()) {
                    column.push((step, value));
                }
            }
        }
        let named = header.iter().zip(columns);
        Ok(named
            .filter(|(name, points)| !NO_CURVES.contains(name) && points.len() > 1)
            .map(|(name, points)| Self {
                name: name.to_owned(),
                points: thinned(&points, POINTS),
            })
            .collect())
    }
}

/// Means of at most `most` runs of neighbouring points.
fn thinned(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    let length = points.len().div_ceil(most).max(1);
    let mean = |part: &[(f64, f64)]| {
        let count = part.len() as f64;
        let (steps, values) = part
            .iter()
            .fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (steps / count, values / count)
    };
    points.chunks(length).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_curves_and_empty_cells_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        let text = "step,epoch,loss,drift,validation\n1,0,4,,\n2,0,2,,0.5\n3,1,1,,0.25\n4,1";
        lodestone_files::write_whole(&path, |file| file.write_all(text.as_bytes())).unwrap();
        let curves = Curve::read_log(&path).unwrap();
        let names: Vec<&str> = curves.iter().map(|curve| curve.name.as_str()).collect();
        assert_eq!(names, ["loss", "validation"]);
        assert_eq!(curves[1].points, [(2.0, 0.5), (3.0, 0.25)]);
        let error = Curve::read_log(&folder.path().join("no.csv")).unwrap_err();
        assert!(error.to_string().contains("no.csv"), "{error}");
    }

    #[test]
    fn many_points_become_few_means() {
        let points: Vec<(f64, f64)> = (0..10).map(|i| (f64::from(i), f64::from(2 * i))).collect();
        assert_eq!(
            thinned(&points, 4),
            [(1.0, 2.0), (4.0, 8.0), (7.0, 14.0), (9.0, 18.0)]
        );
    }
}
