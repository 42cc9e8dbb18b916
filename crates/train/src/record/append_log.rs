//! A file that grows at its end and can be cut back, as the logs of a resumed run are.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A log could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write log {}", path.display())]
pub struct LogError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

impl LogError {
    pub(crate) fn new(path: &Path, source: std::io::Error) -> Self {
        Self {
            path: path.to_path_buf(),
            source,
        }
    }
}

/// The file, open at its end.
#[derive(Debug)]
pub(crate) struct AppendLog {
    path: PathBuf,
    file: BufWriter<File>,
}

impl AppendLog {
    /// Opens the file, or makes it, and cuts it to its first `bytes` bytes.
    ///
    /// # Errors
    /// If it cannot be opened or cut.
    pub(crate) fn cut_to(path: &Path, bytes: u64) -> Result<Self, LogError> {
        let failed = |source| LogError::new(path, source);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(failed)?;
        file.set_len(bytes).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(Self {
            path: path.to_path_buf(),
            file: BufWriter::new(file),
        })
    }

    /// Puts bytes behind the others; they may stay in a buffer until a flush.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        self.file
            .write_all(bytes)
            .map_err(|source| LogError::new(&self.path, source))
    }

    /// Hands everything to the operating system, where other programs see it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn flush(&mut self) -> Result<(), LogError> {
        self.file
            .flush()
            .map_err(|source| LogError::new(&self.path, source))
    }

    /// Hands everything to the disk, where it outlives a power cut.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn sync(&mut self) -> Result<(), LogError> {
        self.flush()?;
        self.file
            .get_ref()
            .sync_data()
            .map_err(|source| LogError::new(&self.path, source))
    }
}
