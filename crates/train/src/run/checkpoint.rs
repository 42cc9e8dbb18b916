//! Checkpoints: one file each, whole or absent, verified by its sum when it is read.
//!
//! A file holds named parts (weights, optimiser states, the sampler's state as JSON), a table of them, and the SHA-256 of
//! everything before it. A run keeps the newest few; if the newest is damaged, the one before it is used.

use std::path::{Path, PathBuf};

use lodestone_files::{WriteError, told, write_whole};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// First bytes of every checkpoint; the digit is the version of the layout.
const MAGIC: &[u8; 12] = b"lodestone-1\n";
const SUM_LENGTH: usize = 32;
/// Magic and the length of the table.
const HEAD_LENGTH: usize = MAGIC.len() + 8;

/// A checkpoint that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file could not be read.
    #[error("cannot read checkpoint {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The file could not be written; the checkpoints before it are intact.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The content is not what was written.
    #[error("checkpoint {} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How that was noticed.
        reason: String,
    },
    /// The folder has no checkpoint at all.
    #[error("there is no checkpoint in {}", folder.display())]
    None {
        /// The folder.
        folder: PathBuf,
    },
}

/// Named parts of a checkpoint, in the order in which they are stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved(Vec<(String, Vec<u8>)>);

#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    bytes: usize,
}

impl Saved {
    /// Adds a part.
    #[must_use]
    pub fn with(mut self, name: &str, bytes: Vec<u8>) -> Self {
        self.0.push((name.to_owned(), bytes));
        self
    }

    /// Takes a part out.
    ///
    /// # Errors
    /// A sentence that names the part, if it is absent.
    pub fn take(&mut self, name: &str) -> Result<Vec<u8>, String> {
        let found = self.0.iter_mut().find(|(known, _)| known == name);
        found
            .map(|(_, bytes)| std::mem::take(bytes))
            .ok_or_else(|| format!("it has no part `{name}`"))
    }

    fn to_bytes(&self) -> Vec<u8> {
        let table: Vec<Entry> = self
            .0
            .iter()
            .map(|(name, part)| Entry {
                name: name.clone(),
                bytes: part.len(),
            })
            .collect();
        // A table of names and numbers always has a JSON form.
        let table = serde_json::to_vec(&table).unwrap_or_default();
        let mut bytes = [
            MAGIC.as_slice(),
            &(table.len() as u64).to_le_bytes(),
            &table,
        ]
        .concat();
        for (_, part) in &self.0 {
            bytes.extend_from_slice(part);
        }
        let sum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&sum);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        if !bytes.starts_with(MAGIC) {
            return Err("it does not begin like a checkpoint".into());
        }
        let end = bytes
            .len()
            .checked_sub(SUM_LENGTH)
            .filter(|&end| end >= HEAD_LENGTH);
        let (content, sum) = bytes.split_at(end.ok_or("it is cut short")?);
        if Sha256::digest(content).as_slice() != sum {
            return Err(format!(
                "its {} bytes do not match their SHA-256",
                bytes.len()
            ));
        }
        // From here on the bytes are those that were written; only another version can surprise.
        let length = content[MAGIC.len()..HEAD_LENGTH]
            .try_into()
            .map_or(0, u64::from_le_bytes) as usize;
        let mut rest = &content[HEAD_LENGTH..];
        let table = rest.split_off(..length).ok_or("its table is cut short")?;
        let table: Vec<Entry> = serde_json::from_slice(table).map_err(|error| error.to_string())?;
        let mut parts = Vec::with_capacity(table.len());
        for Entry { name, bytes } in table {
            let part = rest
                .split_off(..bytes)
                .ok_or_else(|| format!("part `{name}` is cut short"))?;
            parts.push((name, part.to_vec()));
        }
        Ok(Self(parts))
    }
}

/// The checkpoints of a run.
#[derive(Clone, Debug)]
pub struct CheckpointFolder {
    folder: PathBuf,
    keep: usize,
}

impl CheckpointFolder {
    /// The folder, made on the first write; the newest `keep` checkpoints stay, at least one.
    pub fn new(folder: PathBuf, keep: usize) -> Self {
        Self {
            folder,
            keep: keep.max(1),
        }
    }

    /// Writes the checkpoint of a step and removes those that are too old, but not that of the step `best`.
    ///
    /// # Errors
    /// If the file cannot be written; then nothing is removed.
    pub fn write(
        &self,
        step: usize,
        parts: &Saved,
        best: Option<usize>,
    ) -> Result<PathBuf, CheckpointError> {
        let path = self.file(step);
        let bytes = parts.to_bytes();
        write_whole(&path, |file| file.write_all(&bytes))?;
        let mut steps = self.steps()?;
        steps.retain(|&step| Some(step) != best);
        for &old in &steps[..steps.len().saturating_sub(self.keep)] {
            // A file that cannot be removed costs space, not correctness.
            let _ = std::fs::remove_file(self.file(old));
        }
        Ok(path)
    }

    /// Removes all checkpoints, for a run that starts anew in a folder that has been used.
    ///
    /// # Errors
    /// If the folder cannot be listed or a checkpoint cannot be removed: it would be taken for one of the new run.
    pub fn clear(&self) -> Result<(), CheckpointError> {
        self.sweep();
        for step in self.steps()? {
            let path = self.file(step);
            std::fs::remove_file(&path).map_err(|source| CheckpointError::Read { path, source })?;
        }
        Ok(())
    }

    /// Removes what writes that were cut short have left behind.
    pub fn sweep(&self) {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with(".lodestone-") {
                // What cannot be removed costs space, not correctness.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Gives the checkpoint of a step, if there is one, the name `step-….damaged`, under which nothing looks for it.
    pub fn set_aside(&self, step: usize) {
        let path = self.file(step);
        // In a folder that cannot be changed nothing is removed either.
        let _ = std::fs::rename(&path, path.with_extension("damaged"));
    }

    fn file(&self, step: usize) -> PathBuf {
        self.folder.join(format!("step-{step:09}.ckpt"))
    }

    /// Steps of which a checkpoint stands in the folder, ascending.
    ///
    /// # Errors
    /// If the folder exists and cannot be listed.
    pub fn steps(&self) -> Result<Vec<usize>, CheckpointError> {
        let failed = |source| CheckpointError::Read {
            path: self.folder.clone(),
            source,
        };
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut steps = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let step = name
                .to_str()
                .and_then(|name| name.strip_prefix("step-")?.strip_suffix(".ckpt"));
            steps.extend(step.and_then(|digits| digits.parse::<usize>().ok()));
        }
        steps.sort_unstable();
        Ok(steps)
    }

    /// The newest undamaged checkpoint, and a sentence for each newer one that was passed over.
    ///
    /// Those that were passed over are set aside under the name `step-….damaged`, so that they cannot count as the newest
    /// when old ones are removed.
    ///
    /// # Errors
    /// If there is none, or if all are damaged (then what is wrong with the newest).
    pub fn newest(&self) -> Result<(usize, Saved, Vec<String>), CheckpointError> {
        let mut damaged = Vec::new();
        for &step in self.steps()?.iter().rev() {
            match self.read(step) {
                Ok(parts) => {
                    let reasons = damaged
                        .iter()
                        .map(|(_, error): &(usize, CheckpointError)| told(error))
                        .collect();
                    damaged.iter().for_each(|&(step, _)| self.set_aside(step));
                    return Ok((step, parts, reasons));
                }
                Err(error) => damaged.push((step, error)),
            }
        }
        let none = CheckpointError::None {
            folder: self.folder.clone(),
        };
        Err(damaged.into_iter().next().map_or(none, |(_, error)| error))
    }

    fn read(&self, step: usize) -> Result<Saved, CheckpointError> {
        let path = self.file(step);
        let bytes = std::fs::read(&path).map_err(|source| CheckpointError::Read {
            path: path.clone(),
            source,
        })?;
        Saved::from_bytes(&bytes).map_err(|reason| CheckpointError::Damaged { path, reason })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(value: u8) -> Saved {
        Saved::default()
            .with("weights", vec![value; 100])
            .with("state", b"{}".to_vec())
    }

    #[test]
    fn the_newest_few_stay_and_come_back_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = CheckpointFolder::new(folder.path().join("checkpoints"), 2);
        assert!(matches!(
            checkpoints.newest(),
            Err(CheckpointError::None { .. })
        ));
        for step in [5, 10, 100] {
            checkpoints.write(step, &parts(step as u8), None).unwrap();
        }
        assert_eq!(checkpoints.steps().unwrap(), [10, 100]);
        let (step, mut newest, damaged) = checkpoints.newest().unwrap();
        assert_eq!(
            (step, newest.take("weights").unwrap(), damaged.len()),
            (100, vec![100; 100], 0)
        );
        assert_eq!(
            newest.take("losses").unwrap_err(),
            "it has no part `losses`"
        );
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_noticed() {
        let bytes = parts(7).to_bytes();
        for length in 0..bytes.len() {
            assert!(
                Saved::from_bytes(&bytes[..length]).is_err(),
                "cut to {length}"
            );
        }
        for position in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[position] ^= 1;
            assert!(Saved::from_bytes(&flipped).is_err(), "byte {position}");
        }
        assert_eq!(Saved::from_bytes(&bytes).unwrap(), parts(7));
    }

    #[test]
    fn a_damaged_newest_falls_back_to_the_one_before_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = CheckpointFolder::new(folder.path().to_path_buf(), 3);
        checkpoints.write(1, &parts(1), None).unwrap();
        let newest = checkpoints.write(2, &parts(2), None).unwrap();
        let bytes = std::fs::read(&newest).unwrap();
        write_whole(&newest, |file| file.write_all(&bytes[..50])).unwrap();
        let (step, _, damaged) = checkpoints.newest().unwrap();
        assert_eq!(step, 1);
        assert!(
            damaged[0].contains("step-000000002.ckpt is damaged"),
            "{damaged:?}"
        );
        // With one checkpoint to keep, the damaged one must not be it.
        let one = CheckpointFolder::new(folder.path().to_path_buf(), 1);
        one.write(2, &parts(3), None).unwrap();
        let (step, _, damaged) = one.newest().unwrap();
        assert_eq!((step, damaged.len()), (2, 0));
    }

    #[test]
    fn the_best_stays_beside_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = CheckpointFolder::new(folder.path().to_path_buf(), 2);
        for step in 1..=5 {
            checkpoints.write(step, &parts(0), Some(2)).unwrap();
        }
        assert_eq!(checkpoints.steps().unwrap(), [2, 4, 5]);
    }

    #[test]
    fn a_new_run_finds_nothing_of_an_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = CheckpointFolder::new(folder.path().to_path_buf(), 2);
        checkpoints.write(9, &parts(0), None).unwrap();
        let litter = folder.path().join(".lodestone-abc.tmp");
        write_whole(&litter, |file| file.write_all(b"half")).unwrap();
        checkpoints.clear().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
