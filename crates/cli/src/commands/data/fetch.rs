//! `lodestone data fetch`: archives in, with a bar, and on after a break.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use kdam::{Bar, BarExt};
use lodestone_data::{Archive, FetchError, FetchProgress, UnpackLimits, fetch, official};

use super::set;
use crate::args::FetchArguments;
use crate::progress::Progress;

/// Attempts at an archive that each bring nothing new before the command gives up.
const ATTEMPTS: usize = 3;

/// Runs the command.
pub(super) fn run(arguments: &FetchArguments, progress: &mut Progress) -> Result<()> {
    let set = set(&arguments.set)?;
    let official = official(&set);
    ensure!(
        !official.archives.is_empty(),
        "{} cannot be fetched: {}",
        official.name,
        official.by_hand.unwrap_or(official.layout)
    );
    let folder = arguments.to.join(official.name);
    progress.note(&format!("terms: {}", official.licence));
    for archive in official.archives {
        one(archive, official.by_hand, &folder, progress)?;
    }
    outln!(
        "{} is in {}; lodestone data verify {} looks it over",
        official.name,
        folder.display(),
        folder.display()
    )?;
    Ok(())
}

/// One archive, with new attempts after a broken connection as long as they bring something.
fn one(
    archive: &Archive,
    by_hand: Option<&str>,
    folder: &Path,
    progress: &mut Progress,
) -> Result<()> {
    let mut arrived = 0;
    let mut fruitless = 0;
    loop {
        progress.note(&format!(
            "{}: {}",
            archive.name,
            archive.url().unwrap_or_default()
        ));
        let mut bar: Option<Bar> = None;
        let mut unpacking = false;
        let mut most = arrived;
        let result = fetch(
            archive,
            folder,
            UnpackLimits::default(),
            &mut |event| match event {
                FetchProgress::Downloaded { name, bytes, total } => {
                    most = most.max(bytes);
                    if bar.is_none() {
                        bar = progress.bar(total.unwrap_or(0) as usize, name, "B");
                    }
                    update(&mut bar, bytes as usize);
                }
                FetchProgress::Unpacking { name, entries } => {
                    if !unpacking {
                        unpacking = true;
                        bar = progress.bar(0, &format!("unpacking {name}"), " files");
                    }
                    update(&mut bar, entries as usize);
                }
            },
        );
        drop(bar);
        match result {
            Ok(()) => return Ok(()),
            Err(error @ FetchError::Network { .. }) => {
                fruitless = if most > arrived { 0 } else { fruitless + 1 };
                arrived = most;
                if fruitless == ATTEMPTS {
                    bail!(error);
                }
                progress.note(&format!("{error}; going on from byte {arrived}"));
            }
            Err(error @ FetchError::ByHand { .. }) => {
                bail!("{error}: {}", by_hand.unwrap_or("ask its publisher for it"))
            }
            Err(error) => bail!(error),
        }
    }
}

fn update(bar: &mut Option<Bar>, value: usize) {
    if let Some(bar) = bar {
        // If the terminal is gone there is nobody to tell.
        drop(bar.update_to(value));
    }
}
