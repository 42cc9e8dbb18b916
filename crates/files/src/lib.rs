//! Files that appear whole or not at all, and text that people wrote.
//!
#![doc = include_str!("../README.md")]
//!
//! A run that is killed, or a disk that fills up, must leave the previous file as it was. Everything lodestone writes goes
//! through [`write_whole`]: a temporary file beside the target, flushed to the disk, then renamed over it. Every list that
//! a person may have edited is read by [`read_text`].
//!
//! What goes with writing is here too: a lock that keeps a second process away ([`Lock`]), and errors on one line ([`told`]).
//! So is the one type that travels in weight files and that loaders of photographs obey: [`Preprocessing`].

mod lock;
mod preprocessing;
mod text;
mod told;

pub use lock::{Lock, LockError};

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

pub use preprocessing::{ChannelOrder, Filter, Orientation, Preprocessing};
pub use text::{TextError, read_text, text};
pub use told::told;

/// Writing a file failed; the previous file, if there was one, is untouched.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct WriteError {
    /// The file that was to appear.
    pub path: PathBuf,
    /// What the operating system said.
    #[source]
    pub source: io::Error,
}

/// Writes `path` by handing `fill` a buffered writer, so that the file appears with all its bytes or not at all.
///
/// Missing parent folders are made. The temporary file lives in the target's folder, is flushed to the disk and then
/// renamed; on Unix the folder is flushed too, so that the new name survives a power cut.
///
/// # Errors
/// Whatever `fill` or the file system returns, with the path. The temporary file is removed.
///
/// # Example
/// ```
/// use std::io::Write as _;
///
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("notes/loss.csv");
/// lodestone_files::write_whole(&path, |file| writeln!(file, "step,loss")).unwrap();
/// assert_eq!(std::fs::read_to_string(path).unwrap(), "step,loss\n");
/// ```
pub fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), WriteError> {
    replace(path, fill).map_err(|source| WriteError {
        path: path.to_path_buf(),
        source,
    })
}

/// The folder in which `path` lies: `.` for a bare name, whose [`Path::parent`] is empty and names no folder.
///
/// # Example
/// ```
/// use std::path::Path;
///
/// use lodestone_files::folder_of;
///
/// assert_eq!(folder_of(Path::new("lists/t.csv")), Path::new("lists"));
/// assert_eq!(folder_of(Path::new("t.csv")), Path::new("."));
/// ```
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Says by its time of change that a file of a cache has been used now, so that it outlives those that nobody uses.
///
/// A file that cannot be marked is a file that may go sooner, and no error.
///
/// # Example
/// ```
/// use std::time::SystemTime;
///
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("a.maps");
/// lodestone_files::write_whole(&path, |file| write!(file, "maps")).unwrap();
/// let used = || std::fs::metadata(&path).unwrap().modified().unwrap();
/// let file = std::fs::File::options().append(true).open(&path).unwrap();
/// file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
/// lodestone_files::touch(&path);
/// assert!(used() > SystemTime::UNIX_EPOCH);
/// ```
pub fn touch(path: &Path) {
    let touched = || -> io::Result<()> {
        // The time of the disk, which all machines that share it go by.
        let now = tempfile::tempfile_in(folder_of(path))?
            .metadata()?
            .modified()?;
        let file = std::fs::File::options().append(true).open(path)?;
        file.set_modified(now)
    };
    let _ = touched();
}

fn replace(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".lodestone-").suffix(".tmp");
    // Temporary files are private by default; what we write is meant to be read like any other file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let temporary = builder.tempfile_in(folder)?;
    let mut writer = BufWriter::new(temporary);
    fill(&mut writer)?;
    let temporary = writer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    #[cfg(unix)]
    std::fs::File::open(folder)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        write_whole(&path, |file| file.write_all(b"old")).unwrap();
        let error = write_whole(&path, |file| {
            file.write_all(b"half of the n")?;
            Err(io::Error::other("disk full"))
        })
        .unwrap_err();
        assert_eq!(
            told(&error),
            format!("cannot write {}: disk full", path.display())
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_in_the_way_is_an_error_with_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_whole(folder.path(), |file| file.write_all(b"x")).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&folder.path().display().to_string())
        );
    }
}
