//! What may be written over: what the same command made and makes again, and everything else only with `--force`.
//!
//! A run, an index, a run file and converted weights are what others build on, or what has been edited and grown since: they are
//! never replaced without being asked. Embeddings, a page and a contact sheet come out the same when their command is given
//! again, so they are replaced if they are such a thing, and nothing else of that name is.

use std::path::Path;

use anyhow::{Result, ensure};
use lodestone_exchange::{Embeddings, Form};

/// Refuses to write over a file that is there, unless it is `forced` or `comes_again`.
///
/// # Errors
/// If there is a file, or a folder, that must stay.
pub(crate) fn check(path: &Path, forced: bool, comes_again: impl Fn(&Path) -> bool) -> Result<()> {
    ensure!(
        forced || !path.exists() || comes_again(path),
        "{} is there already: name another, or write over it with --force",
        path.display()
    );
    Ok(())
}

/// The same for the files of embeddings.
///
/// # Errors
/// If the name says no form, or one of the files must stay.
pub(crate) fn check_embeddings(path: &Path, forced: bool) -> Result<()> {
    for file in Form::of(path)?.files(path) {
        check(&file, forced, |_| Embeddings::made(path))?;
    }
    Ok(())
}

/// For [`check`]: what is not made again.
pub(crate) fn never(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_unless_it_is_asked_for_or_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        assert!(check(&path, false, never).is_ok());
        lodestone_files::write_whole(&path, |_| Ok(())).unwrap();
        let error = check(&path, false, never).unwrap_err().to_string();
        assert!(
            error.contains("x is there already") && error.contains("--force"),
            "{error}"
        );
        assert!(check(&path, true, never).is_ok());
        assert!(check(&path, false, |_| true).is_ok());
    }
}
