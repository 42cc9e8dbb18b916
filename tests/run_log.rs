//! The losses that a run wrote down.

use std::path::Path;

/// Column `loss` of the `log.csv` in a run's folder.
pub(crate) fn losses(run: &Path) -> Vec<f64> {
    let mut log = csv::Reader::from_path(run.join("log.csv")).unwrap();
    let headers = log.headers().unwrap().clone();
    let column = headers.iter().position(|name| name == "loss").unwrap();
    log.records()
        .map(|row| row.unwrap()[column].parse().unwrap())
        .collect()
}
