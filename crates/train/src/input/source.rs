//! Where the network's input comes from: photographs, or the cached outputs of its frozen part.

use std::collections::VecDeque;
use std::path::Path;

use burn::tensor::{Device, Tensor};
use lodestone_data::{Augmentation, Draws, ImageBatch, Loader, Stream, View};
use lodestone_models::{AuxiliaryClassifiers, Embedder, SegmentedPass, StageId};
use lodestone_sampling::Batch;
use rand::RngExt;

use crate::config::precision::Precision;
use crate::config::run_config::RunConfig;
use crate::error::TrainError;
use crate::input::frozen::{FrozenMaps, FrozenSource, training_views};
use crate::input::mend::mend;
use crate::record::observer::{Event, Observer, Phase};

/// Input of the network for some images.
pub(crate) enum Input {
    /// Images `[n, channels, height, width]`.
    Images(Tensor<4>),
    /// Outputs of the frozen part behind a stage.
    Maps(Tensor<4>, StageId),
}

/// What the network makes of a batch that is trained on.
pub(crate) struct Encoded {
    /// `[n, embedding_size]`.
    pub(crate) embeddings: Tensor<2>,
    /// Scores `[n, classes]` of each auxiliary classifier.
    pub(crate) auxiliary: Vec<Tensor<2>>,
    /// What the backward pass starts from where maps are computed again.
    pub(crate) segments: Option<SegmentedPass>,
}

impl Input {
    /// In the type in which the trunk computes.
    pub(crate) fn at(self, precision: Precision) -> Self {
        let dtype = precision.dtype();
        match self {
            Self::Images(images) => Self::Images(images.cast(dtype)),
            Self::Maps(maps, stage) => Self::Maps(maps.cast(dtype), stage),
        }
    }

    /// Number of images.
    pub(crate) fn images(&self) -> usize {
        match self {
            Self::Images(maps) | Self::Maps(maps, _) => maps.dims()[0],
        }
    }

    /// On another device.
    pub(crate) fn moved_to(self, device: &Device) -> Self {
        match self {
            Self::Images(images) => Self::Images(images.to_device(device)),
            Self::Maps(maps, stage) => Self::Maps(maps.to_device(device), stage),
        }
    }

    /// `length` images from the `first` on.
    pub(crate) fn part(&self, first: usize, length: usize) -> Self {
        match self {
            Self::Images(images) => Self::Images(images.clone().narrow(0, first, length)),
            Self::Maps(maps, stage) => Self::Maps(maps.clone().narrow(0, first, length), *stage),
        }
    }

    /// Embeddings `[n, embedding_size]`.
    pub(crate) fn embed(self, embedder: &Embedder) -> Tensor<2> {
        match self {
            Self::Images(images) => embedder.forward(images),
            Self::Maps(maps, stage) => embedder.forward_from(maps, stage),
        }
    }

    /// Embeddings, and the scores of the auxiliary classifiers; a run with a frozen part has none.
    pub(crate) fn embed_with(
        self,
        embedder: &Embedder,
        auxiliary: &AuxiliaryClassifiers,
    ) -> (Tensor<2>, Vec<Tensor<2>>) {
        match self {
            Self::Images(images) => embedder.forward_with(images, auxiliary),
            Self::Maps(maps, stage) => (embedder.forward_from(maps, stage), Vec::new()),
        }
    }

    /// The same, with most maps computed again in the backward pass.
    pub(crate) fn embed_segmented(
        self,
        embedder: &Embedder,
        auxiliary: &AuxiliaryClassifiers,
    ) -> SegmentedPass {
        match self {
            Self::Images(images) => embedder.forward_segmented(images, auxiliary),
            Self::Maps(maps, stage) => embedder.forward_segmented_from(maps, stage, auxiliary),
        }
    }

    /// Pooled features `[n, feature_size]`.
    pub(crate) fn features(self, embedder: &Embedder) -> Tensor<2> {
        match self {
            Self::Images(images) => embedder.features(images),
            Self::Maps(maps, stage) => embedder.trunk.forward_from(maps, stage),
        }
    }
}

/// Training views of the training rows, asked for one step ahead.
pub(crate) enum TrainingSource {
    /// Rendered and decoded on threads while the step works.
    Images(Stream),
    /// Read from the cache when they are wanted.
    Frozen {
        maps: FrozenMaps,
        stage: StageId,
        seed: u64,
        asked: VecDeque<(usize, Vec<usize>)>,
    },
}

impl TrainingSource {
    /// A stream of training views whose first batch has the number `first`.
    pub(crate) fn images(loader: &Loader, config: &RunConfig, first: usize) -> Self {
        Self::Images(loader.stream(&View::Training {
            augmentation: config.data.augmentation.clone(),
            seed: config.seed,
            epoch: 0,
            draws: Draws::PerPosition {
                first_step: first as u64,
            },
        }))
    }

    /// How many batches beyond the next one are worth asking for: decoding takes time, reading from the cache does not.
    pub(crate) fn look_ahead(&self) -> usize {
        match self {
            Self::Images(_) => 1,
            Self::Frozen { .. } => 0,
        }
    }

    /// Asks for the batch of that number. Does not wait.
    pub(crate) fn ask(&mut self, number: usize, rows: Vec<usize>) {
        match self {
            Self::Images(stream) => stream.submit(rows),
            Self::Frozen { asked, .. } => asked.push_back((number, rows)),
        }
    }

    /// Waits for the oldest batch that was asked for, which is `batch` of the table's `rows`. Where photographs of it are left out
    /// as broken, others of it stand in for them; `labels` are the classes of the training rows.
    ///
    /// # Errors
    /// A broken photograph, or one that nothing can stand in for.
    ///
    /// # Panics
    /// If none was asked for.
    pub(crate) fn receive(
        &mut self,
        batch: &mut Batch,
        rows: &[usize],
        labels: &[usize],
        device: &Device,
    ) -> Result<Input, TrainError> {
        match self {
            Self::Images(stream) => {
                let loaded = stream
                    .receive()
                    .unwrap_or_else(|| panic!("no batch was asked for"))?;
                if loaded.skipped.is_empty() {
                    return Ok(Input::Images(loaded.images.into_tensor(device)));
                }
                let picked = mend(batch, &loaded.places(rows), labels);
                let picked = picked.ok_or_else(|| TrainError::unreadable(&loaded.skipped))?;
                Ok(Input::Images(
                    loaded.images.picked(&picked).into_tensor(device),
                ))
            }
            Self::Frozen {
                maps,
                stage,
                seed,
                asked,
            } => {
                let (number, rows) = asked
                    .pop_front()
                    .unwrap_or_else(|| panic!("no batch was asked for"));
                let mut generator =
                    crate::random::generator(*seed, crate::random::Purpose::View, number);
                let wanted: Vec<(usize, usize)> = rows
                    .into_iter()
                    .map(|row| (row, generator.random_range(0..maps.views())))
                    .collect();
                Ok(Input::Maps(maps.read(&wanted, device)?, *stage))
            }
        }
    }
}

/// Outputs of a frozen trunk in the plain view.
struct FrozenParts {
    /// Last frozen stage.
    stage: StageId,
    /// One cache for each part of the table that was prepared.
    caches: Vec<FrozenMaps>,
}

/// Evaluation views of any rows: deterministic, whatever the training view does.
pub(crate) struct EvaluationSource {
    loader: Loader,
    batch: usize,
    frozen: Option<FrozenParts>,
}

impl EvaluationSource {
    /// Evaluation views rendered from the images each time.
    pub(crate) fn images(loader: Loader, batch: usize) -> Self {
        Self {
            loader,
            batch,
            frozen: None,
        }
    }

    /// Evaluation views behind a frozen stage, cached in `folder` for each of the `parts` of the table.
    pub(crate) fn frozen(
        source: &FrozenSource<'_>,
        parts: &[&[usize]],
        folder: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Self, TrainError> {
        let mut caches = Vec::new();
        for &rows in parts.iter().filter(|rows| !rows.is_empty()) {
            let views = &[View::Evaluation];
            caches.push(
                FrozenSource {
                    rows,
                    views,
                    ..*source
                }
                .open(folder, observer)?,
            );
        }
        let frozen = Some(FrozenParts {
            stage: source.stage,
            caches,
        });
        Ok(Self {
            loader: source.loader.clone(),
            batch: source.batch,
            frozen,
        })
    }

    /// What `answer` makes of each batch of `rows`, in their order, as one matrix on the host, without the rows of broken images
    /// where those are left out.
    ///
    /// # Errors
    /// A broken image, or none that is not, or a cache that cannot be read.
    pub(crate) fn collect(
        &mut self,
        rows: &[usize],
        phase: Phase,
        device: &Device,
        observer: &mut dyn Observer,
        answer: impl Fn(Input) -> Tensor<2>,
    ) -> Result<Collected, TrainError> {
        observer.on(Event::PhaseStarted {
            phase,
            total: rows.len(),
        });
        let mut values = Vec::new();
        let mut places = Vec::with_capacity(rows.len());
        let mut skipped = Vec::new();
        let mut done = 0;
        // Each answer is read when the next is on its way, so that the device never waits for the host.
        let mut before: Option<(Tensor<2>, usize)> = None;
        let mut read = |answered: Option<(Tensor<2>, usize)>, observer: &mut dyn Observer| {
            if let Some((answer, images)) = answered {
                values.extend(host(answer));
                done += images;
                observer.on(Event::PhaseProgress { done });
            }
        };
        let cached = self.frozen.as_mut().and_then(|frozen| {
            let maps = frozen.caches.iter_mut().find(|maps| maps.cover(rows))?;
            Some((frozen.stage, maps))
        });
        match cached {
            Some((stage, maps)) => {
                places.extend(0..rows.len());
                for chunk in rows.chunks(self.batch) {
                    let wanted: Vec<(usize, usize)> = chunk.iter().map(|&row| (row, 0)).collect();
                    let answered = answer(Input::Maps(maps.read(&wanted, device)?, stage));
                    read(before.replace((answered, chunk.len())), observer);
                }
            }
            None => {
                let batches = rows.chunks(self.batch).map(<[usize]>::to_vec);
                let asked = (0..).step_by(self.batch).zip(rows.chunks(self.batch));
                let loaded = self.loader.batches(batches, &View::Evaluation);
                for ((first, chunk), batch) in asked.zip(loaded) {
                    let batch: ImageBatch = batch?;
                    places.extend(batch.places(chunk).iter().map(|place| first + place));
                    let images = batch.rows.len();
                    skipped.extend(batch.skipped);
                    if images == 0 {
                        continue;
                    }
                    let answered = answer(Input::Images(batch.images.into_tensor(device)));
                    read(before.replace((answered, images)), observer);
                }
            }
        }
        read(before, observer);
        observer.on(Event::PhaseEnded { phase });
        match places.is_empty() && !skipped.is_empty() {
            true => Err(TrainError::unreadable(&skipped)),
            false => Ok(Collected { values, places }),
        }
    }
}

/// What was made of the images of some rows.
pub(crate) struct Collected {
    /// A line for each image, row-major.
    pub(crate) values: Vec<f32>,
    /// Places of the images among the rows that were asked for, ascending: all, unless broken ones are left out.
    pub(crate) places: Vec<usize>,
}

impl Collected {
    /// What belongs to the images, of a list that has something for each row that was asked for.
    pub(crate) fn of<T: Copy>(&self, all: &[T]) -> Vec<T> {
        self.places.iter().map(|&place| all[place]).collect()
    }
}

/// Opens the training views behind a frozen stage.
pub(crate) fn frozen_training(
    source: &FrozenSource<'_>,
    config: &RunConfig,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<TrainingSource, TrainError> {
    let augmentation = &config.data.augmentation;
    let unused = Augmentation {
        flip_probability: 0.0,
        ..augmentation.clone()
    };
    if config.model.frozen_views == 0 && unused != Augmentation::default() {
        observer.on(Event::Note(
            "data.augmentation does no more than mirror: the outputs below model.freeze_until are kept of the plain image; \
             model.frozen_views = 6 keeps those of six augmented views too",
        ));
    }
    let views = training_views(augmentation, config.seed, config.model.frozen_views);
    let maps = FrozenSource {
        views: &views,
        ..*source
    }
    .open(folder, observer)?;
    Ok(TrainingSource::Frozen {
        maps,
        stage: source.stage,
        seed: config.seed,
        asked: VecDeque::new(),
    })
}

/// A matrix on the host, row-major.
fn host(tensor: Tensor<2>) -> Vec<f32> {
    // The conversion just made the element type f32, so taking the vector cannot fail.
    tensor
        .into_data()
        .convert::<f32>()
        .try_into_vec()
        .unwrap_or_default()
}
