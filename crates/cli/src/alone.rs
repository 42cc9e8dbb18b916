//! One process at a time in a run folder and on an index: the second is told who is at work there.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lodestone_files::{Lock, LockError};

use crate::progress::Progress;
use crate::resources::{host, now, utc};
use crate::shell::quoted;

/// The folder of a run, for as long as it is trained in; one that was made for it goes again if the run leaves nothing there.
pub(crate) struct InRun {
    lock: Option<Lock>,
    made: Option<PathBuf>,
}

impl Drop for InRun {
    fn drop(&mut self) {
        self.lock = None;
        if let Some(folder) = &self.made {
            // It fails where a run has left something.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// The folder of a run, to be trained in.
///
/// # Errors
/// If another process trains in it, or it cannot be made.
pub(crate) fn in_run(folder: &Path, progress: &Progress) -> Result<InRun> {
    let made = (!folder.exists()).then(|| folder.to_path_buf());
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    match Lock::try_take(&folder.join("run.lock"), &holder()) {
        Ok(lock) => Ok(InRun {
            lock: Some(warned(lock, folder, progress)),
            made,
        }),
        Err(LockError::Held { holder, .. }) => {
            let run = folder.display();
            bail!(
                "{run} holds a run on which {holder} is at work: wait for its end, and then go on with `lodestone train --resume \
                 {}` or start over with --force; or name another folder with --out",
                quoted(folder)
            )
        }
        Err(error) => Err(error.into()),
    }
}

/// An index that is to be made; it stays locked while it is, which can be hours.
///
/// # Errors
/// If another process makes or changes it.
pub(crate) fn on_new_index(index: &Path, progress: &Progress) -> Result<Lock> {
    match Lock::try_take(&lock_of(index), &holder()) {
        Ok(lock) => Ok(warned(lock, index, progress)),
        Err(LockError::Held { holder, .. }) => {
            bail!(
                "{}: {holder} is at work on it: wait for its end",
                index.display()
            )
        }
        Err(error) => Err(error.into()),
    }
}

/// An index that is there and is to be changed, as soon as others are through with it. It is to be read when this is held.
///
/// # Errors
/// If it cannot be locked.
pub(crate) fn on_index(index: &Path, progress: &Progress) -> Result<Lock> {
    let lock = Lock::take(&lock_of(index), &holder(), |holder| {
        progress.note(&format!("{}: waiting for {holder}", index.display()));
    })?;
    Ok(warned(lock, index, progress))
}

/// `photographs.index` gives `photographs.index.lock`.
fn lock_of(index: &Path) -> PathBuf {
    let mut name = index.file_name().unwrap_or_default().to_os_string();
    name.push(".lock");
    index.with_file_name(name)
}

/// How another process is told of this one.
fn holder() -> String {
    let process = std::process::id();
    let place = host().map_or_else(String::new, |host| format!(" on {host}"));
    format!("process {process}{place} (since {})", utc(now()))
}

fn warned(lock: Lock, path: &Path, progress: &Progress) -> Lock {
    if !lock.is_kept() {
        progress.note(&format!(
            "warning: the file system of {} has no locks, so nothing keeps a second process away",
            path.display()
        ));
    }
    lock
}
