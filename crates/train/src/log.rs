//! The log of a run: one CSV row a step, appended, continued without a gap or a repeat after a resume.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The log could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write log {}: {source}", path.display())]
pub struct LogError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// A CSV file of numbers that grows at its end.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: BufWriter<File>,
    columns: Vec<String>,
    bytes: u64,
}

impl Log {
    /// A fresh log with a header.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub(crate) fn create(path: &Path, columns: &[&str]) -> Result<Self, LogError> {
        let mut log = Self::open(path, columns, 0)?;
        let header = log.columns.join(",") + "\n";
        log.append(&header)?;
        Ok(log)
    }

    /// The log of an interrupted run, cut to the length that the checkpoint knew.
    ///
    /// # Errors
    /// If the file cannot be opened or cut.
    pub(crate) fn resume(path: &Path, columns: &[&str], bytes: u64) -> Result<Self, LogError> {
        Self::open(path, columns, bytes)
    }

    fn open(path: &Path, columns: &[&str], bytes: u64) -> Result<Self, LogError> {
        let failed = |source| LogError {
            path: path.to_path_buf(),
            source,
        };
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(failed)?;
        file.set_len(bytes).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let columns = columns.iter().map(|&name| name.to_owned()).collect();
        Ok(Self {
            path: path.to_path_buf(),
            file: BufWriter::new(file),
            columns,
            bytes,
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
            self.columns.len(),
            "values against columns of the log"
        );
        let cells: Vec<String> = values
            .iter()
            .map(|value| value.map_or_else(String::new, |value| value.to_string()))
            .collect();
        self.append(&(cells.join(",") + "\n"))
    }

    fn append(&mut self, text: &str) -> Result<(), LogError> {
        self.bytes += text.len() as u64;
        self.file
            .write_all(text.as_bytes())
            .map_err(|source| LogError {
                path: self.path.clone(),
                source,
            })
    }

    /// Hands everything to the disk and returns the file's length, which belongs into the checkpoint.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn flush(&mut self) -> Result<u64, LogError> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_data())
            .map_err(|source| LogError {
                path: self.path.clone(),
                source,
            })?;
        Ok(self.bytes)
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
        let known = log.flush().unwrap();
        log.row(&[Some(2.0), None]).unwrap();
        log.flush().unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "step,loss\n1,0.5\n2,\n"
        );

        let mut log = Log::resume(&path, &["step", "loss"], known).unwrap();
        log.row(&[Some(2.0), Some(0.25)]).unwrap();
        log.flush().unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "step,loss\n1,0.5\n2,0.25\n"
        );
    }
}
