//! From a row of a table to the values of a view.

use lodestone_files::Preprocessing;
use std::sync::Arc;

use crate::augmentation::Draw;
use crate::cache::{Cache, CacheContent};
use crate::decode::read_file;
use crate::draws::DrawKey;
use crate::error::DataError;
use crate::look::Encoded;
use crate::photograph::Photograph;
use crate::pixels::{DecodeLimits, Pixels};
use crate::render::Workspace;
use crate::resize;
use crate::table::{Source, Table};
use crate::view::View;

/// What all streams of a loader read.
#[derive(Debug)]
pub(crate) struct Renderer {
    pub(crate) table: Arc<Table>,
    pub(crate) preprocessing: Preprocessing,
    pub(crate) limits: DecodeLimits,
    pub(crate) cache: Option<Cache>,
}

/// Which image of a stream is rendered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    /// Number of the batch in its stream.
    pub(crate) batch: usize,
    /// Place in the batch.
    pub(crate) position: usize,
}

impl Renderer {
    /// The values of a row, in a buffer that may have been used before.
    pub(crate) fn render(
        &self,
        workspace: &mut Workspace,
        view: &View,
        job: Job,
        row: usize,
        mut buffer: Vec<f32>,
    ) -> Result<Vec<f32>, DataError> {
        let draw = |size| self.draw(view, job, row, size);
        let (photograph, draw) = match (&self.table.rows[row].source, &self.cache) {
            (Source::Packed(position), _) => {
                let photograph = Photograph::from(self.packed(*position));
                let draw = draw(photograph.size);
                (photograph, draw)
            }
            (Source::File(_), None) => {
                self.with_file(row, |file| file.look(&self.preprocessing, draw))?
            }
            (Source::File(_), Some(cache)) => {
                let photograph = Photograph::from(self.kept(cache, workspace, row)?);
                let draw = draw(photograph.size);
                (photograph, draw)
            }
        };
        buffer.resize(self.preprocessing.values(), 0.0);
        workspace.render(&photograph, &self.preprocessing, &draw, &mut buffer);
        Ok(buffer)
    }

    fn packed(&self, position: usize) -> Pixels {
        let packed = self
            .table
            .packed
            .as_ref()
            .expect("a table with packed rows has packed pixels");
        Pixels::from_grey(packed.width, packed.height, packed.image(position))
    }

    fn with_file<T>(
        &self,
        row: usize,
        read: impl FnOnce(Encoded<'_>) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        let name = self.table.describe(row);
        let bytes = read_file(&name, self.limits)?;
        read(Encoded {
            bytes: &bytes,
            name: &name,
            region: self.table.rows[row].region,
            limits: self.limits,
            orientation: self.preprocessing.orientation,
        })
    }

    /// The photograph of a row as the cache keeps it, read anew if it is not there.
    fn kept(
        &self,
        cache: &Cache,
        workspace: &mut Workspace,
        row: usize,
    ) -> Result<Arc<Pixels>, DataError> {
        let key = cache.key(&self.table, row, &self.preprocessing)?;
        if let Some(pixels) = cache.get(&key) {
            return Ok(pixels);
        }
        let pixels = Arc::new(match cache.content() {
            CacheContent::Decoded => self.with_file(row, |file| file.whole())?,
            CacheContent::Resized => {
                let side = self.preprocessing.resize;
                let photograph = self.with_file(row, |file| file.at_least(side))?;
                if photograph.size.0.min(photograph.size.1) > side {
                    resize::whole(&photograph, side, workspace.resizer())
                } else {
                    // It was not decoded at a reduced scale either.
                    Arc::unwrap_or_clone(photograph.pixels)
                }
            }
        });
        cache.offer(&key, &pixels);
        Ok(pixels)
    }

    fn draw(&self, view: &View, job: Job, row: usize, (width, height): (usize, usize)) -> Draw {
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
                augmentation.draw(key, width, height, self.preprocessing.crop)
            }
        }
    }
}
