//! Photographs kept for the next epoch, within a budget of bytes, in memory or on a disk.
//!
//! Decoding is most of what a loader does, and every epoch decodes the same files. The first photographs that fit stay: every
//! epoch visits all rows, and throwing out the oldest would then throw out each row just before it is needed again.

mod disk;
mod memory;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use self::disk::DiskCache;
use self::memory::MemoryCache;
use lodestone_files::Preprocessing;

use crate::error::DataError;
use crate::pixels::Pixels;
use crate::sums::sha256;
use crate::table::{Source, Table};

/// What a loader keeps of the photographs it has read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    /// Which pixels are kept.
    #[serde(default)]
    pub content: CacheContent,
    /// Where; in memory unless told.
    #[serde(default)]
    pub place: CachePlace,
    /// Bytes of pixels that are kept at most.
    pub bytes: u64,
}

/// Which pixels of a photograph are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum CacheContent {
    /// All of them, before any crop. A kept row gives the values of one read anew, but for JPEGs of more than twice the size that is
    /// asked for: those are decoded at a reduced scale where nothing is kept, which moves values by up to three of 255.
    #[default]
    Decoded,
    /// Those of the photograph resized to `preprocessing.resize`, if it was larger. Evaluation views keep their values;
    /// training windows are drawn from the smaller photograph, which changes theirs.
    Resized,
}

/// Where photographs are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum CachePlace {
    /// In memory, for as long as the loader lives.
    #[default]
    Memory,
    /// In a folder, for the next run too. Files that changed since are read anew.
    Disk(PathBuf),
}

/// What is kept, under the name of everything that decides it.
#[derive(Debug)]
pub(crate) struct Cache {
    content: CacheContent,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    Memory(MemoryCache),
    Disk(DiskCache),
}

/// What a photograph is kept under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// Its row; a loader has one table and one preprocessing.
    Row(usize),
    /// A sum over file, time of change, region and preparation.
    Sum(String),
}

impl Cache {
    /// An empty cache, or the one that lies in the folder already.
    pub(crate) fn new(config: &CacheConfig) -> Result<Self, DataError> {
        Ok(Cache {
            content: config.content,
            kept: match &config.place {
                CachePlace::Memory => Kept::Memory(MemoryCache::new(config.bytes)),
                CachePlace::Disk(folder) => Kept::Disk(DiskCache::open(folder, config.bytes)?),
            },
        })
    }

    pub(crate) fn content(&self) -> CacheContent {
        self.content
    }

    /// What the photograph of a row is kept under.
    pub(crate) fn key(
        &self,
        table: &Table,
        row: usize,
        preprocessing: &Preprocessing,
    ) -> Result<Key, DataError> {
        if matches!(self.kept, Kept::Memory(_)) {
            return Ok(Key::Row(row));
        }
        let path = table.describe(row);
        let unreadable = |source| DataError::read(&path, source);
        let metadata = std::fs::metadata(&path).map_err(unreadable)?;
        let changed = metadata.modified().map_err(unreadable)?;
        let changed = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
        let real = std::path::absolute(&path).map_err(unreadable)?;
        let region = table.rows[row].region;
        debug_assert!(matches!(table.rows[row].source, Source::File(_)));
        let prepared = match self.content {
            CacheContent::Decoded => None,
            CacheContent::Resized => Some((preprocessing.resize, preprocessing.filter)),
        };
        let orientation = preprocessing.orientation;
        let what = format!(
            "{real:?} {} {changed:?} {region:?} {prepared:?} {orientation:?}",
            metadata.len()
        );
        Ok(Key::Sum(sha256(what.as_bytes())))
    }

    /// A kept photograph.
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Pixels>> {
        match (&self.kept, key) {
            (Kept::Memory(memory), Key::Row(row)) => memory.get(*row),
            (Kept::Disk(disk), Key::Sum(name)) => disk.get(name).map(Arc::new),
            _ => None,
        }
    }

    /// Keeps a photograph if there is room and it is not there already. A disk that refuses is no error: the photograph is
    /// read anew the next time.
    pub(crate) fn offer(&self, key: &Key, pixels: &Arc<Pixels>) {
        match (&self.kept, key) {
            (Kept::Memory(memory), Key::Row(row)) => memory.offer(*row, pixels),
            (Kept::Disk(disk), Key::Sum(name)) => disk.offer(name, pixels),
            _ => {}
        }
    }
}
