//! The logs of a run: CSV, one row a step, appended, continued without a gap or a repeat after a resume.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::record::append_log::{AppendLog, LogError};

/// A CSV file of numbers that grows at its end.
#[derive(Debug)]
pub(crate) struct Log {
    file: AppendLog,
    columns: usize,
}

impl Log {
    /// A fresh log with a header.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub(crate) fn create(path: &Path, columns: &[&str]) -> Result<Self, LogError> {
        let mut log = Self::open(path, columns, 0)?;
        log.file.append((columns.join(",") + "\n").as_bytes())?;
        Ok(log)
    }

    /// The log of an interrupted run with its first `rows` rows, or a fresh one if it is gone.
    ///
    /// # Errors
    /// If the file cannot be opened or cut.
    pub(crate) fn resume(path: &Path, columns: &[&str], rows: usize) -> Result<Self, LogError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Self::create(path, columns);
            }
            Err(source) => return Err(LogError::new(path, source)),
        };
        let mut bytes = 0;
        let mut reader = BufReader::new(file);
        for _ in 0..=rows {
            let mut line = Vec::new();
            reader
                .read_until(b'\n', &mut line)
                .map_err(|source| LogError::new(path, source))?;
            // A line without its end was cut while it was written.
            if line.last() != Some(&b'\n') {
                break;
            }
            bytes += line.len();
        }
        Self::open(path, columns, bytes as u64)
    }

    fn open(path: &Path, columns: &[&str], bytes: u64) -> Result<Self, LogError> {
        Ok(Self {
            file: AppendLog::cut_to(path, bytes)?,
            columns: columns.len(),
        })
    }

    /// Appends a row; an absent value leaves its cell empty.
    ///
    /// # Panics
    /// If the row has another number of values than the log has columns.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn row(&mut self, values: &[Option<f64>]) -> Result<(), LogError> {
        assert_eq!(
            values.len(),
            self.columns,
            "values against columns of the log"
        );
        let cells: Vec<String> = values
            .iter()
            .map(|value| value.map_or_else(String::new, |value| value.to_string()))
            .collect();
        self.file.append((cells.join(",") + "\n").as_bytes())
    }

    /// Hands everything to the disk, so that a checkpoint that is written next has all its rows there.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn flush(&mut self) -> Result<(), LogError> {
        self.file.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_log_drops_what_came_after_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        let mut log = Log::create(&path, &["step", "loss"]).unwrap();
        log.row(&[Some(1.0), Some(0.5)]).unwrap();
        log.row(&[Some(2.0), None]).unwrap();
        log.flush().unwrap();
        let read = || std::fs::read_to_string(&path).unwrap();
        assert_eq!(read(), "step,loss\n1,0.5\n2,\n");

        let mut log = Log::resume(&path, &["step", "loss"], 1).unwrap();
        log.row(&[Some(2.0), Some(0.25)]).unwrap();
        log.flush().unwrap();
        assert_eq!(read(), "step,loss\n1,0.5\n2,0.25\n");
    }

    #[test]
    fn half_a_row_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        lodestone_files::write_whole(&path, |file| file.write_all(b"step\n1\n2")).unwrap();
        let mut log = Log::resume(&path, &["step"], 5).unwrap();
        log.row(&[Some(2.0)]).unwrap();
        log.flush().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "step\n1\n2\n");
    }
}
