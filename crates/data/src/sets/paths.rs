//! Names and paths that a list file hands us, checked before they touch the file system.

use std::path::{Component, Path, PathBuf};

use crate::error::DataError;
use crate::table::{Row, Source};

/// A listed path that stays below the folder of the set: not empty, not absolute, no `..`.
pub(crate) fn relative(list: &Path, place: &str, path: &str) -> Result<PathBuf, DataError> {
    let components = || Path::new(path).components();
    let stays = components().all(|part| matches!(part, Component::Normal(_)));
    if stays && components().next().is_some() && !path.contains('\0') {
        return Ok(PathBuf::from(path));
    }
    Err(DataError::content(
        list,
        place,
        format!("the path {path:?} leaves the data set's folder"),
    ))
}

/// Every listed file must be there; the error names the first that is not and counts them all.
pub(crate) fn check_files(root: &Path, rows: &[Row]) -> Result<(), DataError> {
    let mut missing = 0usize;
    let mut first = None;
    for row in rows {
        if let Source::File(relative) = &row.source {
            let path = root.join(relative);
            if let Err(error) = std::fs::metadata(&path) {
                missing += 1;
                first.get_or_insert((path, error));
            }
        }
    }
    let Some((path, error)) = first else {
        return Ok(());
    };
    let problem = format!(
        "{error}; {missing} of {} listed files cannot be found",
        rows.len()
    );
    Err(DataError::content(&path, "listed file", problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_the_folder_pass() {
        let check = |path| relative(Path::new("list"), "line 1", path);
        for path in ["a.jpg", "-x/é b\n.jpg", "a/./b"] {
            check(path).unwrap();
        }
        for path in ["", "/etc/passwd", "../a", "a/../../b", "a\0b", ".."] {
            let message = check(path).unwrap_err().to_string();
            assert!(
                message.starts_with("list: line 1: the path"),
                "{path:?}: {message}"
            );
        }
    }
}
