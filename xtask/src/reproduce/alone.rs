//! One command at a time on a set: two would each write the ledger without the other's rows.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result, anyhow};

/// Held while a command works on the cells of a set.
pub(super) struct Alone {
    /// Locked until it is closed, by the end of the command whatever that is.
    _file: File,
}

impl Alone {
    /// Waits for nobody.
    ///
    /// # Errors
    /// If another command has it.
    pub(super) fn in_folder(folder: &Path) -> Result<Self> {
        let path = folder.join("campaign.lock");
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let file =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        file.try_lock().map_err(|error| {
            anyhow!(
                "{}: {error}: another command is at work on this set, wait for its end",
                path.display()
            )
        })?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_command_is_refused_until_the_first_is_through() {
        let folder = std::env::temp_dir().join(format!("lodestone-alone-{}", std::process::id()));
        let first = Alone::in_folder(&folder).unwrap();
        let error = Alone::in_folder(&folder).err().unwrap().to_string();
        assert!(
            error.contains("campaign.lock") && error.contains("another command"),
            "{error}"
        );
        drop(first);
        Alone::in_folder(&folder).unwrap();
        fs::remove_dir_all(folder).unwrap();
    }
}
