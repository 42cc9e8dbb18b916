//! Checksums of the publisher's files that lie in a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::DataError;
use crate::official::Official;
use crate::sums;

/// A sum beside the published one, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SumCheck {
    /// Of the file, or of its decompressed content.
    pub found: String,
    /// Published.
    pub expected: String,
}

impl SumCheck {
    /// Whether the file is the published one.
    pub fn agrees(&self) -> bool {
        self.found == self.expected
    }
}

/// MD5 sums of the official files that lie in `folder`, against the published ones; absent files are left out. Where the sum
/// of the content is known, a file that was compressed anew is judged by it.
///
/// # Errors
/// If a file that is there cannot be read. A wrong sum is not an error but part of the result.
pub fn verify_archives(
    folder: &Path,
    official: &Official,
) -> Result<BTreeMap<PathBuf, SumCheck>, DataError> {
    let mut checks = BTreeMap::new();
    let mut check = |path: PathBuf, found, expected: &str| {
        let expected = expected.to_owned();
        checks.insert(path, SumCheck { found, expected });
    };
    for archive in official.archives {
        let path = folder.join(archive.name);
        if path.is_file() {
            let found = sums::md5_of_file(&path)?;
            check(path, found, archive.md5);
        }
    }
    for (name, expected) in official.files {
        let (plain, zipped) = (folder.join(name), folder.join(format!("{name}.gz")));
        if plain.is_file() {
            let found = sums::md5_of_file(&plain)?;
            check(plain, found, expected);
        } else if zipped.is_file() {
            let found = sums::md5_of_content(&zipped)?;
            check(zipped, found, expected);
        }
    }
    Ok(checks)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::official::official;
    use crate::sets::Dataset;

    /// MD5 of `abc`.
    const ABC: &str = "900150983cd24fb0d6963f7d28e17f72";

    #[test]
    fn archives_are_held_against_their_sums() {
        let folder = tempfile::tempdir().unwrap();
        let pets = official(&Dataset::from_name("pets").unwrap());
        let path = folder.path().join("images.tar.gz");
        lodestone_files::write_whole(&path, |file| file.write_all(b"abc")).unwrap();
        let checks = verify_archives(folder.path(), &pets).unwrap();
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[&path].found, ABC);
        assert_eq!(checks[&path].expected, "5c4f3ee8e5d25df40f4fd59a7f44e54c");
        assert!(!checks[&path].agrees());
    }

    #[test]
    fn a_file_compressed_anew_is_judged_by_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let set = Official {
            files: &[("labels", ABC)],
            ..official(&Dataset::Fashion)
        };
        let path = folder.path().join("labels.gz");
        let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        zipped.write_all(b"abc").unwrap();
        let bytes = zipped.finish().unwrap();
        lodestone_files::write_whole(&path, |file| file.write_all(&bytes)).unwrap();
        let checks = verify_archives(folder.path(), &set).unwrap();
        assert!(checks[&path].agrees());
    }
}
