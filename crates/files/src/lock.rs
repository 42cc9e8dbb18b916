//! One process at a time: a file that the operating system locks, and unlocks when its process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// A lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{} is locked by {holder}", path.display())]
    Held {
        /// The file.
        path: PathBuf,
        /// What its holder wrote into it.
        holder: String,
    },
    /// The file cannot be made, or not be written.
    #[error("cannot lock {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// A file that this process alone holds until it drops this, or ends; its content says who that is.
///
/// The lock is advice: it keeps away those who ask for it. On Unix the file goes with the lock. Elsewhere it stays, which means
/// nothing: a file that nobody has locked is free.
///
/// # Example
/// ```
/// use lodestone_files::{Lock, LockError};
///
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("run.lock");
/// let lock = Lock::try_take(&path, "process 1").unwrap();
/// let held = Lock::try_take(&path, "process 2").unwrap_err();
/// assert!(matches!(held, LockError::Held { holder, .. } if holder == "process 1"));
/// drop(lock);
/// Lock::try_take(&path, "process 2").unwrap();
/// ```
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// Locked until it is closed.
    _file: File,
    is_kept: bool,
}

impl Lock {
    /// Takes the lock if it is free; `holder` is what another process will be told.
    ///
    /// # Errors
    /// [`LockError::Held`], at once, and if the file cannot be made or written.
    pub fn try_take(path: &Path, holder: &str) -> Result<Self, LockError> {
        take(path, holder, |_, holder| {
            Err(LockError::Held {
                path: path.to_path_buf(),
                holder: holder.to_owned(),
            })
        })
    }

    /// Takes the lock when it is free; before it waits, `waiting` is told who has it.
    ///
    /// # Errors
    /// If the file cannot be made or written.
    pub fn take(path: &Path, holder: &str, waiting: impl Fn(&str)) -> Result<Self, LockError> {
        take(path, holder, |file, holder| {
            waiting(holder);
            file.lock().map_err(|source| failed(path, source))
        })
    }

    /// Whether others are kept away: false on a file system that has no locks.
    pub fn is_kept(&self) -> bool {
        self.is_kept
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still locked, so that it cannot be another's file; who waits for it looks whether it is still there.
        #[cfg(unix)]
        if self.is_kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn take(
    path: &Path,
    holder: &str,
    if_held: impl Fn(&File, &str) -> Result<(), LockError>,
) -> Result<Lock, LockError> {
    let failed = |source| failed(path, source);
    loop {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        let is_kept = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => {
                let mut other = String::new();
                // Where a lock keeps readers away too, and for the moment until it is written, nobody is named.
                let _ = file.read_to_string(&mut other);
                match other.trim() {
                    "" => if_held(&file, "another process")?,
                    other => if_held(&file, other)?,
                }
                true
            }
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => false,
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        };
        if is_kept && !stands_at(&file, path) {
            // The holder took it away while this process waited for it.
            continue;
        }
        file.set_len(0).map_err(failed)?;
        io::Seek::rewind(&mut file).map_err(failed)?;
        file.write_all(holder.as_bytes()).map_err(failed)?;
        return Ok(Lock {
            path: path.to_path_buf(),
            _file: file,
            is_kept,
        });
    }
}

fn failed(path: &Path, source: io::Error) -> LockError {
    LockError::File {
        path: path.to_path_buf(),
        source,
    }
}

/// Whether the file is still the one of that name.
#[cfg(unix)]
fn stands_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(named)) => (ours.dev(), ours.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Nobody takes it away.
#[cfg(not(unix))]
fn stands_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn one_at_a_time_also_where_the_file_goes_with_each_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (path, inside, most) = (&path, &inside, &most);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let lock = Lock::take(path, &format!("thread {number}"), |_| ()).unwrap();
                        let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 1);
        assert_eq!(path.exists(), cfg!(not(unix)));
    }

    #[test]
    fn what_a_killed_process_left_is_free_and_says_who_has_it_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        crate::write_whole(&path, |file| write!(file, "process 123456, long gone")).unwrap();
        let lock = Lock::try_take(&path, "process 7").unwrap();
        assert!(lock.is_kept());
        let error = Lock::try_take(&path, "process 8").unwrap_err();
        assert!(
            error.to_string().ends_with("x.lock is locked by process 7"),
            "{error}"
        );
        drop(lock);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_with_the_path() {
        let error = Lock::try_take(Path::new("no/such/x.lock"), "me").unwrap_err();
        assert_eq!(error.to_string(), "cannot lock no/such/x.lock");
    }
}
