//! Opening the data set of a run file, for every command that does.

use std::path::Path;
use std::sync::Mutex;

use anyhow::Result;
use kdam::BarExt;
use lodestone_data::{DecodeLimits, Table, find_broken};
use lodestone_train::DataConfig;

use crate::progress::Progress;

/// The table, with the files of big folders remembered in `cache`, and without what is broken if the run file says so.
pub(crate) fn open_table(
    data: &DataConfig,
    root: Option<&Path>,
    cache: &Path,
    progress: &Progress,
) -> Result<Table> {
    let listings = cache.join("listings");
    let mut table = data.set.open_listed(root, Some(&listings))?;
    for notice in &table.notices {
        progress.note(&format!("note: {notice}"));
    }
    if data.skip_broken {
        let bar = Mutex::new(progress.bar(table.rows.len(), "looking for broken files", " img"));
        let broken = find_broken(&table, data.orientation, DecodeLimits::default(), || {
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
        table.leave_out(&broken);
    }
    Ok(table)
}
