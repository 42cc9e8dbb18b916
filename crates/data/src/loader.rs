//! Batches decoded ahead of the training step, on threads, in the order they were asked for.
//!
//! Rows are rendered one by one, so that one slow photograph delays its own batch only. How far the loader runs ahead is
//! bounded by bytes and not by batches, because a batch of 299-pixel images is a hundred times one of 28-pixel images.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::augmentation::Draw;
use crate::cache::PixelCache;
use crate::error::DataError;
use crate::pixels::{DecodeLimits, Pixels, decode};
use crate::preprocessing::Preprocessing;
use crate::render::{Images, Workspace};
use crate::table::{Row, Source, Table};
use crate::view::{DrawKey, View};

/// What a broken image does to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Broken {
    /// Its batch is an error that names the file.
    #[default]
    Fail,
    /// It is left out of its batch and listed in [`ImageBatch::skipped`].
    Skip,
}

/// How a loader works; none of it changes the values it delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoaderConfig {
    /// Threads that decode; at least 1.
    pub threads: usize,
    /// Bytes of rendered images that may wait for the caller. One batch is always worked on, whatever its size.
    pub ahead_bytes: usize,
    /// Bytes of decoded photographs that are kept for the next epoch; 0 keeps none.
    pub cache_bytes: usize,
    /// What a broken image does.
    pub broken: Broken,
    /// Bounds on what one file may unpack to.
    pub limits: DecodeLimits,
}

impl Default for LoaderConfig {
    /// Two threads, 96 MiB ahead, nothing kept.
    fn default() -> Self {
        LoaderConfig {
            threads: 2,
            ahead_bytes: 96 << 20,
            cache_bytes: 0,
            broken: Broken::Fail,
            limits: DecodeLimits::default(),
        }
    }
}

/// Rendered photographs with their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageBatch {
    /// The images, `[n, channels, height, width]`.
    pub images: Images,
    /// Fine label of each image.
    pub labels: Vec<usize>,
    /// Row number of each image.
    pub rows: Vec<usize>,
    /// Rows that were asked for and are broken, with the reason; always empty under [`Broken::Fail`].
    pub skipped: Vec<(usize, String)>,
}

/// Renders rows of a table.
///
/// # Example
/// ```
/// use std::sync::Arc;
///
/// use lodestone_data::{Dataset, Loader, LoaderConfig, Preprocessing, View};
///
/// let table = Arc::new(Dataset::FashionMini.open(None)?);
/// let loader = Loader::new(table, Preprocessing::fashion(), LoaderConfig::default())?;
/// for batch in loader.batches([vec![0, 1, 2], vec![7, 7]], &View::Evaluation) {
///     let batch = batch?;
///     assert_eq!(batch.images.shape, [batch.rows.len(), 1, 28, 28]);
/// }
/// # Ok::<(), lodestone_data::DataError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Loader {
    renderer: Arc<Renderer>,
    config: LoaderConfig,
}

impl Loader {
    /// A loader of `table`; starts nothing yet.
    ///
    /// # Errors
    /// If `preprocessing` contradicts itself.
    ///
    /// # Panics
    /// If `config.threads` is 0.
    pub fn new(
        table: Arc<Table>,
        preprocessing: Preprocessing,
        config: LoaderConfig,
    ) -> Result<Self, DataError> {
        assert!(config.threads > 0, "a loader needs at least one thread");
        preprocessing.validate()?;
        let LoaderConfig {
            limits,
            cache_bytes,
            ..
        } = config;
        let cache = PixelCache::new(cache_bytes);
        let renderer = Renderer {
            table,
            preprocessing,
            limits,
            cache,
        };
        Ok(Loader {
            renderer: Arc::new(renderer),
            config,
        })
    }

    /// The table whose rows are rendered.
    pub fn table(&self) -> &Table {
        &self.renderer.table
    }

    /// The deterministic part of every view.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.renderer.preprocessing
    }

    /// All batches of a list, decoded ahead. The list is drawn from the calling thread as room becomes free.
    ///
    /// # Panics
    /// When iterated: if a row number is not of the table.
    pub fn batches<B>(&self, batches: B, view: &View) -> Batches<B::IntoIter>
    where
        B: IntoIterator<Item = Vec<usize>>,
    {
        Batches {
            stream: self.stream(view),
            batches: batches.into_iter(),
        }
    }

    /// A stream into which batches are put one by one, for samplers that choose the next batch by the last one's losses.
    pub fn stream(&self, view: &View) -> Stream {
        let shared = Arc::new(Shared {
            renderer: Arc::clone(&self.renderer),
            view: view.clone(),
            broken: self.config.broken,
            state: Mutex::new(State::default()),
            work: Condvar::new(),
            done: Condvar::new(),
        });
        let workers = (0..self.config.threads)
            .map(|_| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.work())
            })
            .collect();
        let image_bytes = self.renderer.preprocessing.values() * size_of::<f32>();
        Stream {
            shared,
            workers,
            image_bytes,
            ahead_bytes: self.config.ahead_bytes,
            submitted: 0,
        }
    }
}

/// Batches in the order of the list they came from. See [`Loader::batches`].
pub struct Batches<I> {
    stream: Stream,
    batches: I,
}

impl<I: Iterator<Item = Vec<usize>>> Iterator for Batches<I> {
    type Item = Result<ImageBatch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.stream.has_room() {
            match self.batches.next() {
                Some(rows) => self.stream.submit(rows),
                None => break,
            }
        }
        self.stream.receive()
    }
}

/// Batches put in and taken out one by one, in the same order. Dropping it stops its threads.
pub struct Stream {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    image_bytes: usize,
    ahead_bytes: usize,
    submitted: usize,
}

impl Stream {
    /// Whether another batch would stay within the bytes that may wait; always true when none is waiting.
    pub fn has_room(&self) -> bool {
        let state = self.shared.lock();
        let waiting: usize = state.batches.iter().map(|batch| batch.rows.len()).sum();
        state.batches.is_empty() || waiting * self.image_bytes < self.ahead_bytes
    }

    /// Asks for a batch. Does not wait.
    ///
    /// # Panics
    /// If a row number is not of the table.
    pub fn submit(&mut self, rows: Vec<usize>) {
        let table_rows = self.shared.renderer.table.rows.len();
        for &row in &rows {
            assert!(
                row < table_rows,
                "row {row} of a table with {table_rows} rows"
            );
        }
        let mut state = self.shared.lock();
        let number = self.submitted;
        state.jobs.extend((0..rows.len()).map(|position| Job {
            batch: number,
            position,
        }));
        let images = rows.iter().map(|_| None).collect();
        state.batches.push_back(Pending {
            left: rows.len(),
            images,
            rows,
        });
        self.submitted += 1;
        drop(state);
        self.shared.work.notify_all();
    }

    /// Waits for the oldest batch that was asked for; `None` when all have been taken.
    ///
    /// # Errors
    /// The first broken image of the batch, under [`Broken::Fail`]. Later batches can still be received.
    pub fn receive(&mut self) -> Option<Result<ImageBatch, DataError>> {
        let mut state = self.shared.lock();
        loop {
            match state.batches.front() {
                None => return None,
                Some(batch) if batch.left == 0 => break,
                Some(_) => {
                    state = self
                        .shared
                        .done
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        let batch = state.batches.pop_front()?;
        state.received += 1;
        drop(state);
        let (batch, mut buffers) = self.shared.assemble(batch);
        self.shared.lock().buffers.append(&mut buffers);
        Some(batch)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
        for worker in self.workers.drain(..) {
            // A worker that panicked has delivered its panic as a broken image; there is nothing more to say.
            let _ = worker.join();
        }
    }
}

/// What all streams of a loader read.
#[derive(Debug)]
struct Renderer {
    table: Arc<Table>,
    preprocessing: Preprocessing,
    limits: DecodeLimits,
    cache: PixelCache,
}

impl Renderer {
    /// The photograph of a row, from the cache if it is there.
    fn pixels(&self, row: usize) -> Result<Arc<Pixels>, DataError> {
        if let Some(pixels) = self.cache.get(row) {
            return Ok(pixels);
        }
        let pixels = Arc::new(self.read(row)?);
        self.cache.offer(row, &pixels);
        Ok(pixels)
    }

    fn read(&self, row: usize) -> Result<Pixels, DataError> {
        let Row { source, region, .. } = &self.table.rows[row];
        let pixels = match source {
            Source::Packed(position) => {
                let packed = self
                    .table
                    .packed
                    .as_ref()
                    .expect("a table with packed rows has packed pixels");
                Pixels::from_grey(packed.width, packed.height, packed.image(*position))
            }
            Source::File(relative) => {
                let path = self.table.root.join(relative);
                let bytes =
                    std::fs::read(&path).map_err(|source| DataError::read(&path, source))?;
                decode(&bytes, self.preprocessing.orientation, self.limits)
                    .map_err(|source| DataError::image(&path, source))?
            }
        };
        let Some(region) = *region else {
            return Ok(pixels);
        };
        pixels.cut(region).ok_or_else(|| {
            let problem = format!(
                "{region:?} lies outside {}x{} pixels",
                pixels.width, pixels.height
            );
            DataError::content(&self.table.describe(row), "region", problem)
        })
    }

    fn draw(&self, view: &View, job: Job, row: usize, pixels: &Pixels) -> Draw {
        match view {
            View::Evaluation => Draw::default(),
            View::EvaluationFlipped => Draw {
                mirror: true,
                ..Draw::default()
            },
            View::Training {
                augmentation,
                seed,
                epoch,
                draws,
            } => {
                let key = DrawKey::new(*seed, *epoch, *draws, job.batch, job.position, row);
                augmentation.draw(key, pixels.width, pixels.height, self.preprocessing.crop)
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Job {
    /// Number of the batch in its stream.
    batch: usize,
    position: usize,
}

struct Pending {
    rows: Vec<usize>,
    images: Vec<Option<Result<Vec<f32>, DataError>>>,
    /// Images that are not rendered yet.
    left: usize,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Batches asked for and not received, oldest first.
    batches: VecDeque<Pending>,
    /// Number of the oldest of them.
    received: usize,
    /// Buffers of one image each, to be used again.
    buffers: Vec<Vec<f32>>,
    closed: bool,
}

struct Shared {
    renderer: Arc<Renderer>,
    view: View,
    broken: Broken,
    state: Mutex<State>,
    /// There are jobs, or no more will come.
    work: Condvar,
    /// A batch is complete.
    done: Condvar,
}

impl Shared {
    /// The state; a panic elsewhere cannot leave it half changed, because it is only locked around plain moves.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut workspace = Workspace::default();
        let mut state = self.lock();
        loop {
            if state.closed {
                return;
            }
            let Some(job) = state.jobs.pop_front() else {
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let row = state.batches[job.batch - state.received].rows[job.position];
            let buffer = state.buffers.pop().unwrap_or_default();
            drop(state);
            let rendered = self.render_caught(&mut workspace, job, row, buffer);
            state = self.lock();
            let position = job.batch - state.received;
            let batch = &mut state.batches[position];
            batch.images[job.position] = Some(rendered);
            batch.left -= 1;
            if batch.left == 0 {
                self.done.notify_all();
            }
        }
    }

    /// A decoder that panics on a hostile file must not leave the caller waiting for ever.
    fn render_caught(
        &self,
        workspace: &mut Workspace,
        job: Job,
        row: usize,
        buffer: Vec<f32>,
    ) -> Result<Vec<f32>, DataError> {
        let rendered = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.render(workspace, job, row, buffer)
        }));
        rendered.unwrap_or_else(|_| {
            *workspace = Workspace::default();
            let path: PathBuf = self.renderer.table.describe(row);
            Err(DataError::content(
                &path,
                "decoder",
                "the decoder stopped on this file",
            ))
        })
    }

    fn render(
        &self,
        workspace: &mut Workspace,
        job: Job,
        row: usize,
        mut buffer: Vec<f32>,
    ) -> Result<Vec<f32>, DataError> {
        let renderer = &self.renderer;
        let pixels = renderer.pixels(row)?;
        let draw = renderer.draw(&self.view, job, row, &pixels);
        buffer.resize(renderer.preprocessing.values(), 0.0);
        workspace.render(&pixels, &renderer.preprocessing, &draw, &mut buffer);
        Ok(buffer)
    }

    /// One buffer for the batch, and the buffers of its images back.
    fn assemble(&self, batch: Pending) -> (Result<ImageBatch, DataError>, Vec<Vec<f32>>) {
        let renderer = &self.renderer;
        let mut values = Vec::with_capacity(batch.rows.len() * renderer.preprocessing.values());
        let mut buffers = Vec::with_capacity(batch.rows.len());
        let (mut rows, mut skipped) = (Vec::new(), Vec::new());
        for (row, image) in batch.rows.into_iter().zip(batch.images) {
            match image.expect("a batch is assembled when all its images are there") {
                Ok(image) => {
                    values.extend_from_slice(&image);
                    rows.push(row);
                    buffers.push(image);
                }
                Err(error) => match self.broken {
                    Broken::Fail => return (Err(error), buffers),
                    Broken::Skip => skipped.push((row, error.to_string())),
                },
            }
        }
        let [channels, height, width] = renderer.preprocessing.shape();
        let images = Images {
            values,
            shape: [rows.len(), channels, height, width],
        };
        let labels = renderer.table.labels(&rows);
        (
            Ok(ImageBatch {
                images,
                labels,
                rows,
                skipped,
            }),
            buffers,
        )
    }
}

#[cfg(test)]
mod tests {
    use image::ImageFormat;

    use super::*;
    use crate::augmentation::Augmentation;
    use crate::pixels::tests::{encode, gradient};
    use crate::table::{PixelBox, Split};
    use crate::view::Draws;

    /// Nine photographs of different sizes; `broken` of them are text.
    fn photographs(broken: &[usize]) -> (tempfile::TempDir, Arc<Table>) {
        let folder = tempfile::tempdir().unwrap();
        let mut rows = Vec::new();
        for number in 0..9 {
            let name = format!("{number}.jpg");
            let size = 20 + 5 * number as u32;
            let bytes = match broken.contains(&number) {
                true => b"no photograph".to_vec(),
                false => encode(&gradient(size, 24).into(), ImageFormat::Png),
            };
            lodestone_files::write_whole(&folder.path().join(&name), |file| file.write_all(&bytes))
                .unwrap();
            rows.push(Row::file(name, number % 3, Split::Train));
        }
        let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
        let table = Table::of_files("nine", folder.path(), classes, rows);
        (folder, Arc::new(table))
    }

    fn loader(table: &Arc<Table>, threads: usize, ahead_bytes: usize, broken: Broken) -> Loader {
        let config = LoaderConfig {
            threads,
            ahead_bytes,
            broken,
            ..LoaderConfig::default()
        };
        Loader::new(Arc::clone(table), Preprocessing::imagenet(16, 12), config).unwrap()
    }

    fn training(draws: Draws) -> View {
        let augmentation = Augmentation {
            rotation_degrees: 20.0,
            ..Augmentation::crop_and_flip()
        };
        View::Training {
            augmentation,
            seed: 9,
            epoch: 4,
            draws,
        }
    }

    fn plan() -> Vec<Vec<usize>> {
        vec![
            vec![0, 3, 6],
            vec![8, 8, 1, 2],
            vec![],
            vec![5],
            vec![4, 0, 7, 3, 3],
        ]
    }

    #[test]
    fn threads_and_room_ahead_change_no_value() {
        let (_folder, table) = photographs(&[]);
        for view in [
            View::Evaluation,
            View::EvaluationFlipped,
            training(Draws::PerRow),
            training(Draws::PerPosition { first_step: 3 }),
        ] {
            let run = |threads, ahead| -> Vec<ImageBatch> {
                let loader = loader(&table, threads, ahead, Broken::Fail);
                loader.batches(plan(), &view).map(Result::unwrap).collect()
            };
            let base = run(1, 0);
            assert_eq!(
                base.iter()
                    .map(|batch| batch.rows.clone())
                    .collect::<Vec<_>>(),
                plan()
            );
            assert_eq!(base[1].labels, [2, 2, 1, 2]);
            for (threads, ahead) in [(1, 1 << 20), (3, 4000), (16, 1 << 20)] {
                assert_eq!(
                    run(threads, ahead),
                    base,
                    "{threads} threads, {ahead} bytes, {view:?}"
                );
            }
        }
    }

    #[test]
    fn kept_photographs_give_the_same_values() {
        let (folder, table) = photographs(&[]);
        let config = LoaderConfig {
            cache_bytes: 20_000,
            ..LoaderConfig::default()
        };
        let preprocessing = Preprocessing::imagenet(16, 12);
        let kept = Loader::new(Arc::clone(&table), preprocessing, config).unwrap();
        let view = training(Draws::PerRow);
        let run = |loader: &Loader| -> Vec<ImageBatch> {
            loader.batches(plan(), &view).map(Result::unwrap).collect()
        };
        let fresh = run(&loader(&table, 2, 1 << 20, Broken::Fail));
        assert_eq!(run(&kept), fresh);
        assert_eq!(run(&kept), fresh);
        // The photograph of 60 x 24 pixels is 4320 bytes and asked for early, so it is kept: its file is not read again.
        std::fs::remove_file(folder.path().join("8.jpg")).unwrap();
        assert!(kept.batches([vec![8]], &view).next().unwrap().is_ok());
    }

    #[test]
    fn a_row_twice_in_a_batch_is_drawn_as_the_view_says() {
        let (_folder, table) = photographs(&[]);
        let loader = loader(&table, 2, 1 << 20, Broken::Fail);
        let pair = |draws, plan: Vec<Vec<usize>>| -> Vec<Vec<f32>> {
            let batches = loader.batches(plan, &training(draws));
            batches
                .flat_map(|batch| {
                    let images = batch.unwrap().images;
                    (0..images.shape[0])
                        .map(|n| images.image(n).to_vec())
                        .collect::<Vec<_>>()
                })
                .collect()
        };
        let same = pair(Draws::PerRow, vec![vec![8, 8], vec![8]]);
        assert!(same[0] == same[1] && same[1] == same[2]);
        let fresh = pair(
            Draws::PerPosition { first_step: 0 },
            vec![vec![8, 8], vec![8]],
        );
        assert!(fresh[0] != fresh[1] && fresh[0] != fresh[2] && fresh[1] != fresh[2]);
        // The second batch of a stream is the first of a stream that starts one step later.
        let resumed = pair(Draws::PerPosition { first_step: 1 }, vec![vec![8]]);
        assert_eq!(resumed[0], fresh[2]);
    }

    #[test]
    fn a_broken_image_fails_its_batch_alone_or_is_left_out_of_it() {
        let (_folder, table) = photographs(&[4]);
        let failing = loader(&table, 2, 1 << 20, Broken::Fail);
        let mut batches = failing.batches([vec![1, 4], vec![2, 3]], &View::Evaluation);
        let message = batches.next().unwrap().unwrap_err().to_string();
        assert!(
            message.contains("4.jpg: not an image (first bytes 6e6f2070686f746f)"),
            "{message}"
        );
        assert_eq!(batches.next().unwrap().unwrap().rows, [2, 3]);
        assert!(batches.next().is_none());
        let skipping = loader(&table, 2, 1 << 20, Broken::Skip);
        let mut batches = skipping.batches([vec![1, 4, 2]], &View::Evaluation);
        let batch = batches.next().unwrap().unwrap();
        assert_eq!((batch.rows, batch.labels), (vec![1, 2], vec![1, 2]));
        assert_eq!(batch.images.shape, [2, 3, 12, 12]);
        assert_eq!(batch.skipped[0].0, 4);
        assert!(batch.skipped[0].1.contains("not an image"));
    }

    #[test]
    fn a_region_is_cut_out_before_anything_else() {
        let (_folder, table) = photographs(&[]);
        let mut cut = Table::clone(&table);
        cut.rows[8].region = Some(PixelBox {
            left: 10,
            top: 2,
            right: 30,
            bottom: 22,
        });
        cut.rows[7].region = Some(PixelBox {
            left: 500,
            top: 2,
            right: 510,
            bottom: 22,
        });
        let loader = loader(&Arc::new(cut), 1, 1 << 20, Broken::Fail);
        let mut batches = loader.batches([vec![8], vec![7]], &View::Evaluation);
        let found = batches.next().unwrap().unwrap().images.values;
        let pixels = decode(
            &encode(&gradient(60, 24).into(), ImageFormat::Png),
            Default::default(),
            DecodeLimits::default(),
        );
        let region = PixelBox {
            left: 10,
            top: 2,
            right: 30,
            bottom: 22,
        };
        let mut expected = vec![0.0; 3 * 12 * 12];
        let cut = pixels.unwrap().cut(region).unwrap();
        Workspace::default().render(
            &cut,
            loader.preprocessing(),
            &Draw::default(),
            &mut expected,
        );
        assert_eq!(found, expected);
        let message = batches.next().unwrap().unwrap_err().to_string();
        assert!(
            message.contains("7.jpg: region: PixelBox") && message.contains("55x24"),
            "{message}"
        );
    }

    #[test]
    fn the_plan_is_drawn_no_further_than_there_is_room() {
        let (_folder, table) = photographs(&[]);
        let drawn = std::cell::Cell::new(0);
        let plan = plan()
            .into_iter()
            .cycle()
            .take(50)
            .inspect(|_| drawn.set(drawn.get() + 1));
        // Room for four images of 3 x 12 x 12 values: after [0, 3, 6] one more batch is begun.
        let loader = loader(&table, 2, 4 * 3 * 12 * 12 * 4, Broken::Fail);
        let mut batches = loader.batches(plan, &View::Evaluation);
        batches.next().unwrap().unwrap();
        assert_eq!(drawn.get(), 2);
        // The four images of [8, 8, 1, 2] fill the room until they are taken; then [], [5] and [4, 0, ..] fit.
        batches.next().unwrap().unwrap();
        assert_eq!(drawn.get(), 2);
        batches.next().unwrap().unwrap();
        assert_eq!(drawn.get(), 5);
    }

    #[test]
    fn a_stream_that_is_dropped_early_ends_its_threads() {
        let (_folder, table) = photographs(&[]);
        let loader = loader(&table, 4, 1 << 20, Broken::Fail);
        let mut stream = loader.stream(&View::Evaluation);
        for rows in plan() {
            stream.submit(rows);
        }
        assert_eq!(stream.receive().unwrap().unwrap().rows, [0, 3, 6]);
        let shared = Arc::downgrade(&stream.shared);
        drop(stream);
        assert!(shared.upgrade().is_none());
    }
}
