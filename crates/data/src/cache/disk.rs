//! A folder of decoded photographs, one file each.
//!
//! A file holds a mark, width, height, a CRC-32 of all that follows it, and the pixels. It is renamed into place when it is complete but
//! not flushed, as losing it costs one decoding; the sum tells a file that a crash left incomplete.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::DataError;
use crate::pixels::Pixels;

const MARK: &[u8; 8] = b"lodepix1";
const HEADER: usize = 20;

/// Photographs by name, in a folder that several runs may share.
#[derive(Debug)]
pub(super) struct DiskCache {
    folder: PathBuf,
    budget: u64,
    /// Bytes of the files that are there or being written.
    used: AtomicU64,
}

impl DiskCache {
    /// Counts what is there; makes the folder if it is not.
    pub(super) fn open(folder: &Path, budget: u64) -> Result<Self, DataError> {
        let unreadable = |source| DataError::read(folder, source);
        std::fs::create_dir_all(folder).map_err(unreadable)?;
        let mut used = 0;
        for part in std::fs::read_dir(folder).map_err(unreadable)? {
            let part = part.map_err(unreadable)?.path();
            if !part.is_dir() {
                continue;
            }
            for file in std::fs::read_dir(part).map_err(unreadable)? {
                let metadata = file.and_then(|file| file.metadata());
                // A file that another run has just renamed is counted there.
                used += metadata.map_or(0, |metadata| metadata.len());
            }
        }
        Ok(DiskCache {
            folder: folder.to_path_buf(),
            budget,
            used: AtomicU64::new(used),
        })
    }

    /// Names begin with two digits of a sum, so no folder gets a million entries.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(&name[..2]).join(name)
    }

    pub(super) fn get(&self, name: &str) -> Option<Pixels> {
        parse(std::fs::read(self.path(name)).ok()?)
    }

    pub(super) fn offer(&self, name: &str, pixels: &Pixels) {
        let size = (HEADER + pixels.bytes.len()) as u64;
        let path = self.path(name);
        // A damaged file is replaced, and its bytes are free again.
        let freed = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let room = |used: u64| {
            let used = used.saturating_sub(freed) + size;
            (used <= self.budget).then_some(used)
        };
        let order = Ordering::Relaxed;
        if self.used.fetch_update(order, order, room).is_ok() && write(&path, pixels).is_err() {
            self.used.fetch_sub(size, order);
        }
    }
}

fn write(path: &Path, pixels: &Pixels) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&header(pixels))?;
    file.write_all(&pixels.bytes)?;
    file.persist(path)?;
    Ok(())
}

fn header(pixels: &Pixels) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MARK);
    header[8..12].copy_from_slice(&(pixels.width as u32).to_le_bytes());
    header[12..16].copy_from_slice(&(pixels.height as u32).to_le_bytes());
    let sum = crc32fast::hash(&pixels.bytes);
    header[16..].copy_from_slice(&sum.to_le_bytes());
    header
}

/// The photograph of a file, if the file is whole.
fn parse(mut bytes: Vec<u8>) -> Option<Pixels> {
    let found: [u8; HEADER] = *bytes.first_chunk()?;
    let side = |at: usize| {
        let value: [u8; 4] = found[at..at + 4].try_into().ok()?;
        Some(u32::from_le_bytes(value) as usize)
    };
    let (width, height) = (side(8)?, side(12)?);
    bytes.drain(..HEADER);
    let pixels = Pixels {
        width,
        height,
        bytes,
    };
    let expected = width.checked_mul(height)?.checked_mul(3)?;
    (pixels.bytes.len() == expected && header(&pixels) == found).then_some(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(side: usize) -> Pixels {
        Pixels::from_grey(side, 1, &vec![side as u8; side])
    }

    #[test]
    fn photographs_outlive_the_cache_within_its_budget() {
        let folder = tempfile::tempdir().unwrap();
        let cache = DiskCache::open(folder.path(), 200).unwrap();
        // 20 bytes of header and 60, 75 and 36 of pixels: the second would make 175, the third 231.
        for (name, side) in [("aa1", 20), ("aa2", 25), ("bb3", 12)] {
            cache.offer(name, &pixels(side));
        }
        assert_eq!(cache.get("aa1"), Some(pixels(20)));
        assert_eq!(cache.get("bb3"), None);
        let again = DiskCache::open(folder.path(), 231).unwrap();
        assert_eq!(again.get("aa2"), Some(pixels(25)));
        again.offer("bb3", &pixels(12));
        assert_eq!(again.get("bb3"), Some(pixels(12)));
        again.offer("cc4", &pixels(1));
        assert_eq!(again.get("cc4"), None);
    }

    #[test]
    fn a_damaged_file_is_read_anew_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let cache = DiskCache::open(folder.path(), 1000).unwrap();
        cache.offer("aa1", &pixels(9));
        let path = folder.path().join("aa/aa1");
        let whole = std::fs::read(&path).unwrap();
        let mut turned = whole.clone();
        turned[30] ^= 1;
        for damaged in [&turned[..], &whole[..30], &whole[..5], b""] {
            lodestone_files::write_whole(&path, |file| file.write_all(damaged)).unwrap();
            assert_eq!(cache.get("aa1"), None);
            cache.offer("aa1", &pixels(9));
            assert_eq!(cache.get("aa1"), Some(pixels(9)));
        }
        // No temporary file is left, and only the one photograph is counted.
        assert_eq!(
            std::fs::read_dir(folder.path().join("aa")).unwrap().count(),
            1
        );
        let counted = DiskCache::open(folder.path(), 0).unwrap().used.into_inner();
        assert_eq!(counted, whole.len() as u64);
    }
}
