//! Outputs of the frozen part of a trunk, computed once and kept in a file.
//!
//! When the lower stages do not change, neither do their outputs for a given view of an image. An epoch of the rest then
//! takes seconds on a CPU. A file is named after everything its content depends on (the frozen part itself, the
//! preprocessing, the views and the images), so a stale one is never used.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use lodestone_data::{Broken, Draws, Loader, View};
use lodestone_files::{touch, write_whole};
use lodestone_models::{Embedder, StageId};
use sha2::{Digest, Sha256};

use crate::config::run_config::FrozenCache;
use crate::error::TrainError;
use crate::record::observer::{Event, Observer, Phase};

/// First bytes of every file; the digit is the version of the layout.
const MAGIC: &[u8; 16] = b"lodestone-maps1\n";

/// The maps behind a stage for some rows of a table, in several views each.
///
/// Stored as `[views, rows, channels, height, width]` in little-endian f32 behind the magic bytes.
#[derive(Debug)]
pub(crate) struct FrozenMaps {
    path: PathBuf,
    stored: Stored,
    rows: Vec<usize>,
    views: usize,
    shape: [usize; 3],
}

/// The bytes of a cache.
#[derive(Debug)]
enum Stored {
    /// Read where they are wanted, and not mapped into memory: a mapped file that another program shortens ends this one.
    File(File),
    Memory(Cursor<Vec<u8>>),
}

impl Stored {
    fn open(path: &Path, cache: FrozenCache) -> io::Result<Self> {
        match cache {
            FrozenCache::Memory => Ok(Self::Memory(Cursor::new(std::fs::read(path)?))),
            FrozenCache::File => File::open(path).map(Self::File),
        }
    }

    fn read(&mut self, start: u64, bytes: &mut [u8]) -> io::Result<()> {
        fn read(from: &mut (impl Read + Seek), start: u64, bytes: &mut [u8]) -> io::Result<()> {
            from.seek(SeekFrom::Start(start))?;
            from.read_exact(bytes)
        }
        match self {
            Self::File(file) => read(file, start, bytes),
            Self::Memory(memory) => read(memory, start, bytes),
        }
    }
}

/// What a cache is made from.
pub(crate) struct FrozenSource<'a> {
    /// The embedder, without gradients.
    pub(crate) embedder: &'a Embedder,
    /// Last frozen stage.
    pub(crate) stage: StageId,
    /// Renders the images.
    pub(crate) loader: &'a Loader,
    /// Fingerprint of the table that the loader reads.
    pub(crate) table: &'a str,
    /// Rows of the table, ascending.
    pub(crate) rows: &'a [usize],
    /// One pass over the rows for each.
    pub(crate) views: &'a [View],
    /// Images in a batch.
    pub(crate) batch: usize,
    /// Where the maps are computed.
    pub(crate) device: &'a Device,
    /// Where they are kept while they are read.
    pub(crate) cache: FrozenCache,
}

impl FrozenSource<'_> {
    /// A loader for which a broken image is an error: a cache has all of its rows.
    fn strict(&self) -> Loader {
        self.loader.with_broken(Broken::Fail)
    }

    fn shape(&self) -> [usize; 3] {
        let image = self.loader.preprocessing().shape();
        // The trainer has checked that the network takes these images.
        self.embedder
            .trunk
            .map_shape(image, self.stage)
            .unwrap_or([0; 3])
    }

    /// SHA-256 over all that decides the content: the network and every weight of its frozen part, the table, the times at which
    /// its files were last changed, the preprocessing, the views and the rows, and the pixels that this program makes of the
    /// first image, so that maps of a version that decoded or resized otherwise are not taken for its own. What the weights make
    /// of an image is not asked, so no rounding of a device can give one cache two names.
    fn fingerprint(&self) -> Result<String, TrainError> {
        let trunk = &self.embedder.trunk;
        let mut sum = Sha256::new();
        sum.update(format!("{:?} {:?}", trunk.config(), self.stage));
        for (name, values) in trunk.values_until(self.stage) {
            sum.update(name.as_bytes());
            for value in values {
                sum.update(value.to_le_bytes());
            }
        }
        sum.update(self.table.as_bytes());
        // A file may be corrected without a change of its size.
        for &row in self.rows {
            let changed = std::fs::metadata(self.loader.table().describe(row))
                .and_then(|file| file.modified())
                .ok();
            sum.update(format!("{changed:?}"));
        }
        sum.update(format!(
            "{:?} {:?} {:?}",
            self.loader.preprocessing(),
            self.views,
            self.rows
        ));
        if let Some(&first) = self.rows.first() {
            for view in self.views {
                for batch in self.strict().batches([vec![first]], view) {
                    for pixel in batch?.images.values {
                        sum.update(pixel.to_le_bytes());
                    }
                }
            }
        }
        let digest = sum.finalize();
        let digits = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
        Ok(digits.collect())
    }

    /// The file in `folder`, computed first if it is not there.
    pub(crate) fn open(
        &self,
        folder: &Path,
        observer: &mut dyn Observer,
    ) -> Result<FrozenMaps, TrainError> {
        let path = folder.join(format!("{}.maps", self.fingerprint()?));
        let shape = self.shape();
        let bytes = MAGIC.len()
            + self.views.len()
                * self.rows.len()
                * shape.iter().product::<usize>()
                * size_of::<f32>();
        if !is_whole(&path, bytes as u64) {
            observer.on(Event::Note(&format!(
                "computing the frozen part once: {} images in {} views, {:.1} GB in {}",
                self.rows.len(),
                self.views.len(),
                bytes as f64 / 1e9,
                path.display()
            )));
            self.build(&path, observer)?;
        }
        touch(&path);
        let failed = |source| TrainError::Cache {
            path: path.clone(),
            source,
        };
        let mut stored = Stored::open(&path, self.cache).map_err(failed)?;
        let mut start = [0; MAGIC.len()];
        stored.read(0, &mut start).map_err(failed)?;
        if start != *MAGIC {
            return Err(failed(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is no feature cache",
            )));
        }
        Ok(FrozenMaps {
            path,
            stored,
            rows: self.rows.to_vec(),
            views: self.views.len(),
            shape,
        })
    }

    fn build(&self, path: &Path, observer: &mut dyn Observer) -> Result<(), TrainError> {
        observer.on(Event::PhaseStarted {
            phase: Phase::FrozenFeatures,
            total: self.rows.len() * self.views.len(),
        });
        // The writer can only report an io::Error; a broken image is carried out beside it.
        let mut broken = None;
        let mut done = 0;
        let written = write_whole(path, |file| {
            file.write_all(MAGIC)?;
            for view in self.views {
                let batches = self.rows.chunks(self.batch).map(<[usize]>::to_vec);
                for batch in self.strict().batches(batches, view) {
                    let batch = batch.map_err(|error| {
                        broken = Some(error);
                        io::Error::other("an image is broken")
                    })?;
                    let images = batch.images.to_tensor(self.device);
                    let maps = self
                        .embedder
                        .trunk
                        .forward_until(images, self.stage)
                        .into_data();
                    file.write_all(maps.as_bytes())?;
                    done += batch.rows.len();
                    observer.on(Event::PhaseProgress { done });
                }
            }
            Ok(())
        });
        observer.on(Event::PhaseEnded {
            phase: Phase::FrozenFeatures,
        });
        match broken {
            Some(error) => Err(error.into()),
            None => Ok(written?),
        }
    }
}

/// Whether a file has its length and the mark of a cache; one that has not is made again.
fn is_whole(path: &Path, bytes: u64) -> bool {
    let begins = || -> io::Result<bool> {
        let mut file = File::open(path)?;
        let mut start = [0; MAGIC.len()];
        file.read_exact(&mut start)?;
        Ok(start == *MAGIC && file.metadata()?.len() == bytes)
    };
    begins().unwrap_or(false)
}

impl FrozenMaps {
    /// Whether all of `rows` are in the cache.
    pub(crate) fn cover(&self, rows: &[usize]) -> bool {
        rows.iter().all(|row| self.rows.binary_search(row).is_ok())
    }

    /// Number of views of each row.
    pub(crate) fn views(&self) -> usize {
        self.views
    }

    /// Reads the maps of `(row of the table, view)` pairs as `[n, channels, height, width]`.
    ///
    /// # Errors
    /// If the file cannot be read, or another program has made it shorter.
    ///
    /// # Panics
    /// If a row or view is not in the cache.
    pub(crate) fn read(
        &mut self,
        wanted: &[(usize, usize)],
        device: &Device,
    ) -> Result<Tensor<4>, TrainError> {
        let size = self.shape.iter().product::<usize>();
        let mut values = Vec::with_capacity(wanted.len() * size);
        let mut map = vec![0; size * size_of::<f32>()];
        for &(row, view) in wanted {
            let position = self.rows.binary_search(&row);
            let position =
                position.unwrap_or_else(|_| panic!("row {row} is not in the feature cache"));
            assert!(view < self.views, "view {view} of {}", self.views);
            let place = view * self.rows.len() + position;
            let start = MAGIC.len() + place * map.len();
            let read = self.stored.read(start as u64, &mut map);
            read.map_err(|source| TrainError::Cache {
                path: self.path.clone(),
                source,
            })?;
            let (numbers, _) = map.as_chunks::<4>();
            values.extend(numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)));
        }
        let [channels, height, width] = self.shape;
        let shape = [wanted.len(), channels, height, width];
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }
}

/// The views of a training image in the cache: plain, mirrored where the run file mirrors, and `augmented` random ones.
pub(crate) fn training_views(
    augmentation: &lodestone_data::Augmentation,
    seed: u64,
    augmented: usize,
) -> Vec<View> {
    let random = (0..augmented as u64).map(|epoch| View::Training {
        augmentation: augmentation.clone(),
        seed,
        epoch,
        draws: Draws::PerRow,
    });
    let mirrored = (augmentation.flip_probability > 0.0).then_some(View::EvaluationFlipped);
    std::iter::once(View::Evaluation)
        .chain(mirrored)
        .chain(random)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache of two rows in two views, of maps of one value: 0, 1 and 2, 3.
    fn maps(path: &Path, cache: FrozenCache) -> FrozenMaps {
        let values = [0.0_f32, 1.0, 2.0, 3.0];
        write_whole(path, |file| {
            file.write_all(MAGIC)?;
            values
                .iter()
                .try_for_each(|value| file.write_all(&value.to_le_bytes()))
        })
        .unwrap();
        FrozenMaps {
            path: path.to_owned(),
            stored: Stored::open(path, cache).unwrap(),
            rows: vec![4, 7],
            views: 2,
            shape: [1, 1, 1],
        }
    }

    #[test]
    fn maps_are_read_in_any_order_from_the_file_and_from_memory() {
        let folder = tempfile::tempdir().unwrap();
        for cache in [FrozenCache::File, FrozenCache::Memory] {
            let mut maps = maps(&folder.path().join("a.maps"), cache);
            let wanted = [(7, 1), (4, 0), (7, 0)];
            let read = maps.read(&wanted, &Device::flex()).unwrap();
            assert_eq!(read.dims(), [3, 1, 1, 1]);
            let values: Vec<f32> = read.into_data().iter().collect();
            assert_eq!(values, [3.0, 0.0, 1.0]);
        }
    }

    #[test]
    fn a_cache_that_another_program_shortens_is_an_error_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.maps");
        let mut maps = maps(&path, FrozenCache::File);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(MAGIC.len() as u64 + 6).unwrap();
        assert!(maps.read(&[(4, 0)], &Device::flex()).is_ok());
        let error = maps.read(&[(7, 0)], &Device::flex()).unwrap_err();
        assert!(error.to_string().contains("a.maps"), "{error}");
    }
}
