//! Outputs of the frozen part of a trunk, computed once and kept in a file.
//!
//! When the lower stages do not change, neither do their outputs for a given view of an image. An epoch of the rest then
//! takes seconds on a CPU. A file is named after everything its content depends on (the frozen part itself, the
//! preprocessing, the views and the images), so a stale one is never used.

use std::fs::File;
use std::io;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use lodestone_data::{Broken, Draws, Loader, View};
use lodestone_files::write_whole;
use lodestone_models::{Embedder, StageId};
use memmap2::Mmap;
use sha2::{Digest, Sha256};

use crate::config::FrozenCache;
use crate::error::TrainError;
use crate::observer::{Event, Observer, Phase};

/// First bytes of every file; the digit is the version of the layout.
const MAGIC: &[u8; 16] = b"lodestone-maps1\n";

/// The maps behind a stage for some rows of a table, in several views each.
///
/// Stored as `[views, rows, channels, height, width]` in little-endian f32 behind the magic bytes.
#[derive(Debug)]
pub(crate) struct FrozenMaps {
    bytes: Stored,
    rows: Vec<usize>,
    views: usize,
    shape: [usize; 3],
}

/// The bytes of a cache.
#[derive(Debug)]
enum Stored {
    /// On the disk; the operating system keeps what there is room for.
    Mapped(Mmap),
    Memory(Vec<u8>),
}

impl Stored {
    #[allow(
        unsafe_code,
        reason = "mapping a file is unsafe, because others could change it"
    )]
    fn open(path: &Path, cache: FrozenCache) -> io::Result<Self> {
        match cache {
            FrozenCache::Memory => std::fs::read(path).map(Self::Memory),
            FrozenCache::Mapped => {
                let file = File::open(path)?;
                // SAFETY: the bytes are only read, as numbers, of which every bit pattern is one. The file carries its
                // content's fingerprint as its name and is replaced as a whole, never written to.
                unsafe { Mmap::map(&file) }.map(Self::Mapped)
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Memory(bytes) => bytes,
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
    /// Where they stand while they are read.
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
        if !std::fs::metadata(&path).is_ok_and(|file| file.len() == bytes as u64) {
            observer.on(Event::Note(&format!(
                "computing the frozen part once: {} images in {} views, {:.1} GB in {}",
                self.rows.len(),
                self.views.len(),
                bytes as f64 / 1e9,
                path.display()
            )));
            self.build(&path, observer)?;
        }
        let failed = |source| TrainError::Cache {
            path: path.clone(),
            source,
        };
        let stored = Stored::open(&path, self.cache).map_err(failed)?;
        if !stored.bytes().starts_with(MAGIC) {
            return Err(failed(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is no feature cache",
            )));
        }
        Ok(FrozenMaps {
            bytes: stored,
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
    /// # Panics
    /// If a row or view is not in the cache.
    pub(crate) fn read(&self, wanted: &[(usize, usize)], device: &Device) -> Tensor<4> {
        let size = self.shape.iter().product::<usize>();
        let mut values = Vec::with_capacity(wanted.len() * size);
        for &(row, view) in wanted {
            let position = self.rows.binary_search(&row);
            let position =
                position.unwrap_or_else(|_| panic!("row {row} is not in the feature cache"));
            assert!(view < self.views, "view {view} of {}", self.views);
            let place = (view * self.rows.len() + position) * size;
            let map = &self.bytes.bytes()[MAGIC.len() + place * size_of::<f32>()..];
            let (numbers, _) = map.as_chunks::<4>();
            values.extend(
                numbers[..size]
                    .iter()
                    .map(|&bytes| f32::from_le_bytes(bytes)),
            );
        }
        let [channels, height, width] = self.shape;
        Tensor::from_data(
            TensorData::new(values, [wanted.len(), channels, height, width]),
            device,
        )
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
