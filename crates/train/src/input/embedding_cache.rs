//! Embeddings kept from one command to the next, so that a photograph is embedded once by each model.
//!
//! Below the cache folder, `embeddings/` has a folder for each model, view and device, named after everything that decides an
//! embedding beside the photograph: the network, every weight, the preprocessing, the device and the version of this program. Its
//! files hold the embeddings of up to some thousand photographs each, under a key that tells one photograph from another:
//!
//! | bytes | content |
//! |---|---|
//! | 16 | `lodestone-embed1` |
//! | 8 | values of an embedding and number of photographs, u32 little-endian |
//! | 16 a photograph | the keys |
//! | the rest | the embeddings, f32 little-endian, row-major |
//!
//! A file is named after the SHA-256 of its bytes and appears whole: processes that write the same write the same file, and one
//! that does not agree with its name is damaged and goes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use lodestone_data::{Preprocessing, Source, Table};
use lodestone_files::{touch, write_whole};
use lodestone_models::Embedder;
use sha2::{Digest, Sha256};

/// First bytes of every file; the digit is the version of the layout.
const MAGIC: &[u8; 16] = b"lodestone-embed1";
/// Ending of every file.
const ENDING: &str = "embeddings";
/// Bytes in front of the keys.
const HEADER: usize = MAGIC.len() + 8;
/// A file below this size is small, in bytes.
const SMALL: u64 = 1 << 20;
/// So many small files are put together: each search of a few photographs leaves one.
const MANY: usize = 64;
/// How far an embedding may lie from the kept one of the same photograph, as a share of its length: beyond what batches of
/// another size round differently (1e-6 on a CPU, 1e-4 in half the digits on a GPU), below what other pixels make of it.
const TOLERANCE: f64 = 1e-3;

/// What a photograph is kept under.
type Key = [u8; 16];

/// How the embeddings are computed. Both agree to rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// As a run is judged: a report is computed from these alone, so that it comes out the same to the last digit.
    Judged,
    /// With batch normalisation folded into the convolutions ([`Embedder::for_inference`]); those of [`Pass::Judged`] do as well.
    Inference,
}

/// Embeddings and whose they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embedded {
    /// `[rows, dim]`, row-major.
    pub values: Vec<f32>,
    /// Rows of the table, in the order of the embeddings.
    pub rows: Vec<usize>,
    /// Rows that are broken and were left out, with the reason, where such are left out.
    pub skipped: Vec<(usize, String)>,
    /// Embeddings that an earlier command made.
    pub reused: usize,
}

/// The kept embeddings of one model in one view.
///
/// A disk that refuses is no error: the photographs are embedded again the next time.
#[derive(Clone, Debug)]
pub struct EmbeddingCache {
    /// Where new ones go.
    own: PathBuf,
    /// Where others lie that do as well.
    other: Option<PathBuf>,
    dim: usize,
}

impl EmbeddingCache {
    /// The embeddings by `embedder` of photographs prepared by `preprocessing` on a plain `device`, below the cache folder `folder`.
    ///
    /// Nothing is read or written yet.
    pub fn new(
        folder: &Path,
        embedder: &Embedder,
        preprocessing: &Preprocessing,
        device: &Device,
        pass: Pass,
    ) -> Self {
        let mut sum = Sha256::new();
        sum.update(env!("CARGO_PKG_VERSION"));
        sum.update(format!("{:?}", embedder.config()));
        for (name, values) in embedder.values() {
            sum.update(name);
            for value in values {
                sum.update(value.to_le_bytes());
            }
        }
        sum.update(format!("{preprocessing:?} {device:?}"));
        let place = |pass: Pass| {
            let name = sum.clone().chain_update(format!("{pass:?}")).finalize();
            folder.join("embeddings").join(hex(&name))
        };
        let judged = place(Pass::Judged);
        let (own, other) = match pass {
            Pass::Judged => (judged, None),
            Pass::Inference => (place(Pass::Inference), Some(judged)),
        };
        Self {
            own,
            other,
            dim: embedder.embedding_size(),
        }
    }

    /// Embeddings of `rows` of the table, in their order: those that are kept, and the others as `make` makes them, which are kept
    /// from then on, `part` at a time, so that what is done survives a stop. `make` leaves broken rows out or fails.
    ///
    /// The first photograph that has a kept embedding is embedded all the same: where that comes out otherwise, as by a version that
    /// decodes otherwise, all that are kept are made again.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn embed<E>(
        &self,
        table: &Table,
        rows: &[usize],
        part: usize,
        mut make: impl FnMut(&[usize]) -> Result<Embedded, E>,
    ) -> Result<Embedded, E> {
        let kept = self.find(table, rows, |row| Ok(make(&[row])?.values))?;
        let missing = rows.iter().zip(&kept).filter(|(_, kept)| kept.is_none());
        let missing: Vec<usize> = missing.map(|(&row, _)| row).collect();
        let mut made = Embedded::default();
        for chunk in missing.chunks(part.max(1)) {
            let key = |&row: &usize| (row, key_of(table, row));
            let keys: BTreeMap<usize, Option<Key>> = chunk.iter().map(key).collect();
            let new = make(chunk)?;
            // One that changed while it was read is not kept.
            let unchanged = |row: &usize| keys[row].filter(|&key| key_of(table, *row) == Some(key));
            let known = new.rows.iter().map(unchanged).collect();
            self.write(known, &new.values);
            made.values.extend(new.values);
            made.rows.extend(new.rows);
            made.skipped.extend(new.skipped);
        }
        if made.rows.len() == rows.len() {
            return Ok(made);
        }
        let mut all = Embedded {
            skipped: made.skipped,
            ..Embedded::default()
        };
        let mut new = made
            .rows
            .iter()
            .zip(made.values.chunks(self.dim))
            .peekable();
        for (&row, kept) in rows.iter().zip(&kept) {
            let values = match kept {
                Some(values) => {
                    all.reused += 1;
                    values.as_slice()
                }
                None => match new.next_if(|(made, _)| **made == row) {
                    Some((_, values)) => values,
                    // It is broken.
                    None => continue,
                },
            };
            all.values.extend_from_slice(values);
            all.rows.push(row);
        }
        Ok(all)
    }

    /// The kept embedding of each row. `again` embeds the first row that has one, as [`embed`](Self::embed) says.
    ///
    /// # Errors
    /// That of `again`.
    pub fn find<E>(
        &self,
        table: &Table,
        rows: &[usize],
        again: impl FnOnce(usize) -> Result<Vec<f32>, E>,
    ) -> Result<Vec<Option<Vec<f32>>>, E> {
        let folders: Vec<&Path> = [Some(&self.own), self.other.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
            .collect();
        let nothing = vec![None; rows.len()];
        // Looking at every photograph is worth it only where something is kept.
        if folders.iter().all(|folder| files_in(folder).is_empty()) {
            return Ok(nothing);
        }
        let keys: Vec<Option<Key>> = rows.iter().map(|&row| key_of(table, row)).collect();
        let mut wanted: BTreeMap<Key, Option<Vec<f32>>> =
            keys.iter().flatten().map(|&key| (key, None)).collect();
        for folder in &folders {
            self.read(folder, &mut wanted);
        }
        let kept = |key: &Option<Key>| wanted.get(key.as_ref()?)?.clone();
        let found: Vec<Option<Vec<f32>>> = keys.iter().map(kept).collect();
        let first = rows.iter().zip(&found);
        let first = first.filter_map(|(&row, kept)| Some((row, kept.as_ref()?)));
        let Some((row, before)) = first.into_iter().next() else {
            return Ok(nothing);
        };
        if agree(before, &again(row)?) {
            return Ok(found);
        }
        for file in folders.iter().flat_map(|folder| files_in(folder)) {
            let _ = std::fs::remove_file(file);
        }
        Ok(nothing)
    }

    /// Keeps embeddings of rows of the table, `[rows, dim]`.
    pub fn keep(&self, table: &Table, rows: &[usize], values: &[f32]) {
        self.write(rows.iter().map(|&row| key_of(table, row)).collect(), values);
    }

    /// Adds what the files of a folder have of what is wanted and not there yet.
    fn read(&self, folder: &Path, wanted: &mut BTreeMap<Key, Option<Vec<f32>>>) {
        for file in files_in(folder) {
            // The keys are little beside the embeddings. What has none is damaged, and found to be so below.
            let asked = |key: &Key| wanted.get(key).is_some_and(Option::is_none);
            if keys_in(&file).is_some_and(|keys| !keys.iter().any(asked)) {
                continue;
            }
            let Some((keys, values)) = self.parse(&file) else {
                continue;
            };
            let mut used = false;
            for (key, values) in keys.iter().zip(values.chunks(self.dim)) {
                if let Some(place) = wanted.get_mut(key)
                    && place.is_none()
                {
                    *place = Some(values.to_vec());
                    used = true;
                }
            }
            if used {
                touch(&file);
            }
        }
    }

    /// What stands in a file; a damaged one is removed.
    fn parse(&self, file: &Path) -> Option<(Vec<Key>, Vec<f32>)> {
        // Another process may just have put it together with others.
        let bytes = std::fs::read(file).ok()?;
        let parsed = self.parse_bytes(file, &bytes);
        if parsed.is_none() {
            let _ = std::fs::remove_file(file);
        }
        parsed
    }

    fn parse_bytes(&self, file: &Path, bytes: &[u8]) -> Option<(Vec<Key>, Vec<f32>)> {
        let named = file.file_stem()?.to_str()? == hex(&Sha256::digest(bytes));
        let (header, content) = bytes.split_first_chunk::<HEADER>()?;
        let [dim, count] = sizes(header)?;
        let keys = count.checked_mul(size_of::<Key>())?;
        let all = count.checked_mul(dim)?.checked_mul(4)?.checked_add(keys)?;
        if !named || dim != self.dim || content.len() != all {
            return None;
        }
        let (keys, values) = content.split_at(keys);
        let (keys, _) = keys.as_chunks::<16>();
        let (values, _) = values.as_chunks::<4>();
        let values = values.iter().map(|&value| f32::from_le_bytes(value));
        Some((keys.to_vec(), values.collect()))
    }

    /// Writes a file of those that have a key, with the small ones that are there where these are many.
    fn write(&self, keys: Vec<Option<Key>>, values: &[f32]) {
        let mut kept: Vec<(Key, &[f32])> = keys
            .into_iter()
            .zip(values.chunks(self.dim))
            .filter_map(|(key, values)| Some((key?, values)))
            .collect();
        if kept.is_empty() {
            return;
        }
        let mut small = files_in(&self.own);
        small.retain(|file| std::fs::metadata(file).is_ok_and(|file| file.len() < SMALL));
        if small.len() < MANY {
            small.clear();
        }
        let read: Vec<(Vec<Key>, Vec<f32>)> =
            small.iter().filter_map(|file| self.parse(file)).collect();
        for (keys, values) in &read {
            kept.extend(keys.iter().copied().zip(values.chunks(self.dim)));
        }
        let (Ok(dim), Ok(count)) = (u32::try_from(self.dim), u32::try_from(kept.len())) else {
            return;
        };
        let mut bytes = MAGIC.to_vec();
        bytes.extend(dim.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(kept.iter().flat_map(|(key, _)| key));
        let values = kept.iter().flat_map(|(_, values)| *values);
        bytes.extend(values.flat_map(|value| value.to_le_bytes()));
        let name = format!("{}.{ENDING}", hex(&Sha256::digest(&bytes)));
        let path = self.own.join(name);
        if write_whole(&path, |file| file.write_all(&bytes)).is_ok() {
            for file in small.iter().filter(|file| **file != path) {
                let _ = std::fs::remove_file(file);
            }
        }
    }
}

/// Values of an embedding and number of photographs.
fn sizes(header: &[u8; HEADER]) -> Option<[usize; 2]> {
    let sizes = header.strip_prefix(MAGIC)?;
    let (numbers, _) = sizes.as_chunks::<4>();
    let [dim, count] = *numbers else { return None };
    let size = |bytes| usize::try_from(u32::from_le_bytes(bytes)).ok();
    Some([size(dim)?, size(count)?])
}

/// The keys of a file, without a look at the rest; nothing where they are not all there.
fn keys_in(file: &Path) -> Option<Vec<Key>> {
    let mut open = File::open(file).ok()?;
    let mut header = [0; HEADER];
    open.read_exact(&mut header).ok()?;
    let [_, count] = sizes(&header)?;
    let length = u64::try_from(count.checked_mul(size_of::<Key>())?).ok()?;
    let mut bytes = Vec::new();
    open.take(length).read_to_end(&mut bytes).ok()?;
    let (keys, _) = bytes.as_chunks::<16>();
    (keys.len() == count).then(|| keys.to_vec())
}

/// The files of embeddings in a folder, in the order of their names; none where there is no folder.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == ENDING))
        .collect();
    files.sort_unstable();
    files
}

/// What tells the photograph of a row from every other, and from itself after a change: of a file its place, size and times, of
/// a packed image its pixels, and the region that is looked at. Nothing where the file cannot be found.
fn key_of(table: &Table, row: usize) -> Option<Key> {
    let mut sum = Sha256::new();
    let described = &table.rows[row];
    match (&described.source, &table.packed) {
        (Source::File(_), _) => {
            let path = std::path::absolute(table.describe(row)).ok()?;
            let file = std::fs::metadata(&path).ok()?;
            let changed = file.modified().ok();
            sum.update(path.as_os_str().as_encoded_bytes());
            sum.update(format!("\0{} {changed:?} {:?}", file.len(), touched(&file)));
        }
        (Source::Packed(position), Some(packed)) => {
            sum.update(format!("\0{} {}\0", packed.width, packed.height));
            sum.update(packed.image(*position));
        }
        (Source::Packed(_), None) => return None,
    }
    sum.update(format!("\0{:?}", described.region));
    sum.finalize().first_chunk().copied()
}

/// When anything about the file last changed. Unlike the time of its content no program can set it back, as one that copies or
/// mends photographs may do with that.
#[cfg(unix)]
fn touched(file: &std::fs::Metadata) -> [i64; 2] {
    use std::os::unix::fs::MetadataExt;

    [file.ctime(), file.ctime_nsec()]
}

/// Elsewhere nothing says it.
#[cfg(not(unix))]
fn touched(_: &std::fs::Metadata) -> [i64; 2] {
    [0; 2]
}

/// Whether two embeddings are the same but for rounding.
fn agree(one: &[f32], other: &[f32]) -> bool {
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let apart = &mut one.iter().zip(other).map(|(a, b)| f64::from(a - b));
    let long = &mut one.iter().map(|&value| f64::from(value));
    one.len() == other.len() && length(apart) <= TOLERANCE * length(long)
}

/// The first 16 bytes of a digest, which tell any two things apart.
fn hex(digest: &[u8]) -> String {
    let bytes = digest.iter().take(16);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
