//! Fingerprints of what a run reads beside its run file.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use super::cell::{Inputs, hex};
use super::suite::Suite;
use crate::process::root;

impl Inputs {
    /// Those of a suite, and the version of the program.
    ///
    /// Folders are told apart by the names and sizes of their files; reading every photograph would take longer than some
    /// of the cells. Commits are not part of it: each row names its own, and `--rerun` makes the rows new.
    pub(crate) fn of(suite: &Suite, program: &Path) -> Result<Self> {
        let output = Command::new(program).arg("--version").output();
        let output = output.with_context(|| format!("cannot start {}", program.display()))?;
        ensure!(
            output.status.success(),
            "{} --version failed",
            program.display()
        );
        let version = name_and_number(&String::from_utf8_lossy(&output.stdout));
        let embedded = root().join("crates/data/fashion-mini/SHA256SUMS");
        let data = match &suite.data {
            Some(folder) => folder_print(folder)?,
            None => file_print(&embedded)?,
        };
        let file = |path: &Option<std::path::PathBuf>| match path {
            Some(path) => file_print(path),
            None => Ok("none".into()),
        };
        Ok(Self {
            texts: vec![data, file(&suite.weights)?, version],
            attributes: file(&suite.attributes)?,
        })
    }
}

/// `lodestone 0.1.0` of what `--version` prints. The devices and features behind it decide what can be asked of a program, not
/// the numbers of a cell: a ledger stays finished when the program learns to say more of itself.
fn name_and_number(printed: &str) -> String {
    let words: Vec<&str> = printed.split_whitespace().take(2).collect();
    words.join(" ")
}

fn file_print(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hex(&Sha256::digest(bytes)))
}

fn folder_print(folder: &Path) -> Result<String> {
    let mut files = Vec::new();
    collect(folder, folder, &mut files)?;
    files.sort_unstable();
    let mut digest = Sha256::new();
    for (name, size) in files {
        digest.update(format!("{name} {size}\n"));
    }
    Ok(hex(&digest.finalize()))
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, u64)>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let about =
            fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if about.is_dir() {
            collect(root, &path, files)?;
        } else {
            let name = path
                .strip_prefix(root)
                .unwrap_or(&path)
                .to_string_lossy()
                .into_owned();
            files.push((name, about.len()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::write_whole;

    #[test]
    fn only_name_and_number_of_the_program_are_read() {
        let printed = "lodestone 0.1.0 (devices: cpu; further features: none)\n";
        assert_eq!(name_and_number(printed), "lodestone 0.1.0");
        assert_eq!(name_and_number("lodestone 0.1.0\n"), "lodestone 0.1.0");
    }

    #[test]
    fn a_folder_changes_its_print_with_a_file() {
        let folder = std::env::temp_dir().join(format!("lodestone-print-{}", std::process::id()));
        write_whole(&folder.join("a/1.jpg"), b"x").unwrap();
        let first = folder_print(&folder).unwrap();
        assert_eq!(folder_print(&folder).unwrap(), first);
        write_whole(&folder.join("a/2.jpg"), b"").unwrap();
        assert_ne!(folder_print(&folder).unwrap(), first);
        fs::remove_dir_all(folder).unwrap();
    }
}
