//! One file a command.

pub(crate) mod cache;
pub(crate) mod clusters;
pub(crate) mod data;
pub(crate) mod devices;
pub(crate) mod embed;
pub(crate) mod embed_rows;
pub(crate) mod embedded_files;
pub(crate) mod evaluate;
pub(crate) mod explain;
pub(crate) mod headlines;
pub(crate) mod index;
pub(crate) mod init;
pub(crate) mod merge;
pub(crate) mod models;
pub(crate) mod open_table;
pub(crate) mod opened;
pub(crate) mod photographs;
pub(crate) mod pretrain;
pub(crate) mod probes;
pub(crate) mod report;
pub(crate) mod runs;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod serve_device;
pub(crate) mod tool;
pub(crate) mod train;
pub(crate) mod weights;

use std::path::{Path, PathBuf};

/// Where what can be computed again is kept: that of the user, or a folder beside the run.
pub(crate) fn cache_folder(run: &Path) -> PathBuf {
    user_cache().unwrap_or_else(|| run.join("cache"))
}

/// `$XDG_CACHE_HOME/lodestone` or `~/.cache/lodestone`; absent where neither is told.
pub(crate) fn user_cache() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    Some(base.or_else(home)?.join("lodestone"))
}
