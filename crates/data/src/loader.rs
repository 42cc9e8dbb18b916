//! Batches decoded ahead of the training step, on threads, in the order they were asked for.
//!
//! Rows are rendered one by one, so that one slow photograph delays its own batch only. How far the loader runs ahead is
//! bounded by bytes and not by batches, because a batch of 299-pixel images is a hundred times one of 28-pixel images.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use lodestone_files::Preprocessing;
use lodestone_files::told;

use crate::cache::{Cache, CacheConfig};
use crate::error::DataError;
use crate::pixels::DecodeLimits;
use crate::preprocessing::check;
use crate::render::{Images, Workspace};
use crate::renderer::{Job, Renderer};
use crate::table::Table;
use crate::view::View;

/// The most threads of a loader: far above the cores of any machine, and below where systems refuse to start them.
pub const MOST_THREADS: usize = 1024;

/// What a broken image does to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Broken {
    /// Its batch is an error that names the file.
    #[default]
    Fail,
    /// It is left out of its batch and listed in [`ImageBatch::skipped`].
    Skip,
}

/// How a loader works. Only a cache changes the values it delivers, and how is said at [`CacheContent`](crate::CacheContent).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderConfig {
    /// Threads that decode, from 1 to [`MOST_THREADS`].
    pub threads: usize,
    /// Bytes of rendered images that may wait for the caller. One batch is always worked on, whatever its size.
    pub ahead_bytes: usize,
    /// Photographs that are kept for the next epoch.
    pub cache: Option<CacheConfig>,
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
            cache: None,
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

impl ImageBatch {
    /// Positions in `asked`, the rows that the batch was asked for, of the images that are there, ascending: all of them under
    /// [`Broken::Fail`].
    pub fn places(&self, asked: &[usize]) -> Vec<usize> {
        let mut there = self.rows.iter().peekable();
        let places = asked.iter().enumerate();
        places
            .filter_map(|(place, row)| there.next_if_eq(&row).map(|_| place))
            .collect()
    }
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
    left_out: LeftOut,
}

/// Rows that were broken when they were asked for, with the reason.
type LeftOut = Arc<Mutex<BTreeMap<usize, String>>>;

impl Loader {
    /// A loader of `table`; starts nothing yet.
    ///
    /// # Errors
    /// If `preprocessing` contradicts itself, there are no threads or too many, or the folder of the cache cannot be used.
    pub fn new(
        table: Arc<Table>,
        preprocessing: Preprocessing,
        config: LoaderConfig,
    ) -> Result<Self, DataError> {
        if !(1..=MOST_THREADS).contains(&config.threads) {
            let problem = format!("{} is not within 1..={MOST_THREADS}", config.threads);
            return Err(DataError::setting("data.threads", problem));
        }
        check(&preprocessing)?;
        let renderer = Renderer {
            table,
            preprocessing,
            limits: config.limits,
            cache: config.cache.as_ref().map(Cache::new).transpose()?,
        };
        Ok(Loader {
            renderer: Arc::new(renderer),
            config,
            left_out: LeftOut::default(),
        })
    }

    /// The same loader, with what it keeps, for which a broken image is another matter.
    #[must_use]
    pub fn with_broken(&self, broken: Broken) -> Self {
        let mut loader = self.clone();
        loader.config.broken = broken;
        loader
    }

    /// Rows that this loader and its clones have left out under [`Broken::Skip`] so far, ascending, with the reason.
    pub fn left_out(&self) -> Vec<(usize, String)> {
        let rows = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        rows.iter()
            .map(|(&row, reason)| (row, reason.clone()))
            .collect()
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
            left_out: Arc::clone(&self.left_out),
            state: Mutex::new(State::default()),
            work: Condvar::new(),
            done: Condvar::new(),
        });
        let (mut workers, mut refused) = (Vec::new(), None);
        for number in 1..=self.config.threads {
            let worked = Arc::clone(&shared);
            match std::thread::Builder::new().spawn(move || worked.work()) {
                Ok(worker) => workers.push(worker),
                Err(error) => {
                    let all = self.config.threads;
                    refused = Some(format!("cannot start thread {number} of {all}: {error}"));
                    break;
                }
            }
        }
        // Those that run have nothing to do yet and end, so that no batch is half done.
        shared.lock().closed = refused.is_some();
        shared.work.notify_all();
        let image_bytes = self.renderer.preprocessing.values() * size_of::<f32>();
        Stream {
            shared,
            workers,
            refused,
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
    /// What the system said where it gave fewer threads than were asked for.
    refused: Option<String>,
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
    /// The first broken image of the batch, under [`Broken::Fail`]; later batches can still be received. Of every batch, if the
    /// system did not give the threads.
    pub fn receive(&mut self) -> Option<Result<ImageBatch, DataError>> {
        let mut state = self.shared.lock();
        if let Some(problem) = &self.refused {
            state.batches.pop_front()?;
            return Some(Err(DataError::setting("data.threads", problem.clone())));
        }
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
    left_out: LeftOut,
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

    /// A panic on one of these threads must not leave the caller waiting for ever.
    fn render_caught(
        &self,
        workspace: &mut Workspace,
        job: Job,
        row: usize,
        buffer: Vec<f32>,
    ) -> Result<Vec<f32>, DataError> {
        let rendered = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.renderer
                .render(workspace, &self.view, job, row, buffer)
        }));
        rendered.unwrap_or_else(|_| {
            *workspace = Workspace::default();
            let path: PathBuf = self.renderer.table.describe(row);
            Err(DataError::content(
                &path,
                "rendering",
                "stopped on this photograph",
            ))
        })
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
                    Broken::Skip => skipped.push((row, told(&error))),
                },
            }
        }
        if !skipped.is_empty() {
            let mut left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
            left_out.extend(skipped.iter().cloned());
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
mod tests;
