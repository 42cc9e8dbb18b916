//! Opening the data set of a run file, for every command that does.

use std::path::Path;
use std::sync::Mutex;

use anyhow::Result;
use kdam::BarExt;
use lodestone_data::{DecodeLimits, Table, find_broken};
use lodestone_train::DataConfig;

use crate::progress::Progress;
use crate::run_folder::{LeftOut, RunFolder};

/// The table, with the files of big folders remembered in `cache`, and without what is broken if the run file says so. What a run
/// has left out at its beginning, which its folder knows, is what is left out, and nothing else: its rows keep their numbers. Beside
/// it what was left out, by the rows of the whole table.
pub(crate) fn open_table(
    data: &DataConfig,
    root: Option<&Path>,
    cache: &Path,
    run: Option<&Path>,
    progress: &Progress,
) -> Result<(Table, LeftOut)> {
    let listings = cache.join("listings");
    let mut table = data.set.open_listed(root, Some(&listings))?;
    for notice in &table.notices {
        progress.note(&format!("note: {notice}"));
    }
    if !data.skip_broken {
        return Ok((table, Vec::new()));
    }
    let known = run.and_then(|run| RunFolder::read(run).left_out);
    let broken = known.unwrap_or_else(|| look_for_broken(&table, data, progress));
    table.leave_out(&broken);
    Ok((table, broken))
}

fn look_for_broken(table: &Table, data: &DataConfig, progress: &Progress) -> LeftOut {
    let bar = Mutex::new(progress.bar(table.rows.len(), "looking for broken files", " img"));
    let broken = find_broken(table, data.orientation, DecodeLimits::default(), || {
        // If the terminal is gone there is nobody to tell.
        if let Ok(mut bar) = bar.lock()
            && let Some(bar) = &mut *bar
        {
            drop(bar.update(1));
        }
    });
    drop(bar);
    for (_, reason) in &broken {
        progress.note(&format!("left out: {reason}"));
    }
    broken
}
