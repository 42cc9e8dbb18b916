//! All pairs of queries and gallery rows, in tiles, under a memory limit.
//!
//! Each query owns a [`Collector`] that says up to which distance it still cares. A tile of approximate distances is compared
//! with that, and only what passes is handed over; so nothing of size queries × gallery ever exists. When queries and gallery
//! are the same rows and all collectors fit into memory, each distance is computed once and offered to both of its rows.

use std::sync::Mutex;

use lodestone_distances::{Rows, squared_norms};
use rayon::prelude::*;

use crate::labelled::check_finite;
use crate::tile::Engine;
use crate::{Bytes, EvalError, Forecast, Side, Visibility};

/// Queries, a gallery, and what each query may see of it.
///
/// # Example
/// ```
/// use lodestone_eval::{Rows, Search};
///
/// let rows = Rows::new(&[0.0, 1.0, 5.0, 2.0], 1).unwrap();
/// let nearest = Search::leave_one_out(rows)?.nearest(2)?;
/// // Row 1 is 1 from rows 0 and 3: the lower row comes first.
/// assert_eq!(nearest[1].iter().map(|n| n.row).collect::<Vec<_>>(), [0, 3]);
/// assert_eq!(nearest[1][0].squared_distance, 1.0);
/// # Ok::<(), lodestone_eval::EvalError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Search<'a> {
    queries: Rows<'a>,
    gallery: Rows<'a>,
    visibility: Visibility<'a>,
    engine: Engine,
    memory: Option<Bytes>,
    tile_rows: Option<usize>,
}

/// A pair whose squared distance lies between `lower` and `upper`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) lower: f32,
    pub(crate) upper: f32,
    pub(crate) row: u32,
}

/// What one query gathers from its gallery.
pub(crate) trait Collector: Send {
    /// Rows that are certainly farther than this need not be offered.
    fn bound(&self) -> f32;
    /// Takes a visible row; `exact` gives the squared distance of any gallery row to the query.
    fn offer(&mut self, candidate: Candidate, exact: impl Fn(u32) -> f64);
}

impl<'a> Search<'a> {
    /// Looks for `queries` in a separate `gallery`.
    ///
    /// # Errors
    /// If a side is empty, the dimensions differ, or a value is not finite.
    pub fn between(queries: Rows<'a>, gallery: Rows<'a>) -> Result<Self, EvalError> {
        check_finite(queries, Side::Query)?;
        check_finite(gallery, Side::Gallery)?;
        Self::unchecked(queries, gallery, Visibility::everything())
    }

    /// Looks for each row among all the others.
    ///
    /// # Errors
    /// If there is no row or a value is not finite.
    pub fn leave_one_out(rows: Rows<'a>) -> Result<Self, EvalError> {
        check_finite(rows, Side::Only)?;
        Self::unchecked(rows, rows, Visibility::leave_one_out())
    }

    fn unchecked(
        queries: Rows<'a>,
        gallery: Rows<'a>,
        visibility: Visibility<'a>,
    ) -> Result<Self, EvalError> {
        if queries.is_empty() {
            return Err(EvalError::Empty("queries"));
        }
        if gallery.is_empty() {
            return Err(EvalError::Empty("gallery rows"));
        }
        if queries.dim() != gallery.dim() {
            return Err(EvalError::Dimensions {
                queries: queries.dim(),
                gallery: gallery.dim(),
            });
        }
        let rows = queries.len().max(gallery.len());
        if u32::try_from(rows).is_err() {
            return Err(EvalError::TooManyRows { rows });
        }
        Ok(Self {
            queries,
            gallery,
            visibility,
            engine: Engine::Host,
            memory: None,
            tile_rows: None,
        })
    }

    /// Replaces what each query may see.
    ///
    /// # Errors
    /// If a list in `visibility` has not one entry a row of its side.
    pub fn with_visibility(self, visibility: Visibility<'a>) -> Result<Self, EvalError> {
        visibility.check(self.queries.len(), self.gallery.len())?;
        Ok(Self { visibility, ..self })
    }

    /// Computes the tiles elsewhere; the result stays the same.
    pub fn with_engine(self, engine: Engine) -> Self {
        Self { engine, ..self }
    }

    /// Limits the memory of embeddings and search together; without it tiles have their fastest size.
    pub fn with_memory(self, limit: Bytes) -> Self {
        Self {
            memory: Some(limit),
            ..self
        }
    }

    /// Sets the number of rows of a tile, at least 1; the result stays the same.
    pub fn with_tile_rows(self, rows: usize) -> Self {
        Self {
            tile_rows: Some(rows.max(1)),
            ..self
        }
    }

    /// The rows that ask, `[queries, dim]`.
    pub fn queries(&self) -> Rows<'a> {
        self.queries
    }

    /// The rows that are found, `[gallery, dim]`.
    pub fn gallery(&self) -> Rows<'a> {
        self.gallery
    }

    /// What each query may see.
    pub fn visibility(&self) -> Visibility<'a> {
        self.visibility
    }

    /// The true squared distance of a pair: f64 differences of the f32 values, summed in a fixed order.
    pub(crate) fn exact(&self, query: usize, row: u32) -> f64 {
        exact_squared_distance(self.queries.row(query), self.gallery.row(row as usize))
    }

    /// Whether both sides are literally the same rows.
    fn is_self_search(&self) -> bool {
        std::ptr::eq(self.queries.values(), self.gallery.values()) && self.visibility.is_symmetric()
    }

    /// Chooses tile size and order of the work for collectors of `state` bytes and results of `result` bytes a query.
    ///
    /// # Errors
    /// [`EvalError::Memory`] if even the smallest tiles exceed the limit.
    pub(crate) fn plan(&self, state: f64, result: f64) -> Result<Plan, EvalError> {
        let threads = rayon::current_num_threads();
        let (q, g, dim) = (self.queries.len(), self.gallery.len(), self.queries.dim());
        let same_rows = std::ptr::eq(self.queries.values(), self.gallery.values());
        let values = self.queries.values().len()
            + match same_rows {
                true => 0,
                false => self.gallery.values().len(),
            };
        let embeddings = Bytes(4 * values as u64);
        // Results are gathered from blocks, so that for a moment they exist twice; norms stay throughout.
        let fixed = (2.0 * result + 4.0) * q as f64 + 4.0 * g as f64;
        // A device holds both operands as well, and hands the products over in a second copy.
        let tile_bytes = |rows: usize| match &self.engine {
            Engine::Host => 4.0 * (rows * rows) as f64,
            Engine::Device(_) => 4.0 * (2 * rows * rows + 4 * rows * dim) as f64,
        };
        let limit = self.memory.map_or(f64::INFINITY, |limit| limit.0 as f64) - embeddings.0 as f64;
        let widest = q.max(g);
        let fastest = self.tile_rows.unwrap_or_else(|| {
            // Few queries are cut finer, so that every thread has some.
            let shared = q.div_ceil(4 * threads).max(16);
            self.engine.tile_rows().min(shared)
        });
        let forecast = |working: f64, pairs: f64| Forecast {
            embeddings,
            working: Bytes(working as u64),
            multiply_adds: pairs * dim as f64,
        };
        if self.is_self_search() {
            let rows = fastest.min(widest);
            let working = fixed + state * q as f64 + tile_bytes(rows) * threads as f64;
            if working <= limit {
                let pairs = 0.5 * (q as f64 + rows as f64) * g as f64;
                return Ok(Plan {
                    rows,
                    order: Order::EachPairOnce,
                    forecast: forecast(working, pairs),
                });
            }
        }
        let mut rows = fastest.min(widest);
        loop {
            let working = fixed + (tile_bytes(rows) + state * rows.min(q) as f64) * threads as f64;
            if working <= limit {
                return Ok(Plan {
                    rows,
                    order: Order::QueryBlocks,
                    forecast: forecast(working, q as f64 * g as f64),
                });
            }
            if rows == 1 || self.tile_rows.is_some() {
                return Err(EvalError::Memory {
                    needed: Bytes(embeddings.0 + working.ceil() as u64),
                    embeddings,
                    limit: self.memory.unwrap_or(Bytes(u64::MAX)),
                });
            }
            rows = rows.div_ceil(2);
        }
    }

    /// Runs a collector for each query over all rows that the query may see, and finishes it.
    pub(crate) fn sweep<C: Collector, T: Send>(
        &self,
        plan: &Plan,
        start: impl Fn(usize) -> C + Sync,
        finish: impl Fn(usize, C) -> T + Sync,
    ) -> Vec<T> {
        let tiles = Tiles::new(self, plan.rows);
        match plan.order {
            Order::QueryBlocks => tiles.query_blocks(start, finish),
            Order::EachPairOnce => tiles.each_pair_once(start, finish),
        }
    }
}

/// How the pairs will be walked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Plan {
    rows: usize,
    order: Order,
    /// What it will cost.
    pub(crate) forecast: Forecast,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Order {
    /// Each thread takes a block of queries through the whole gallery.
    QueryBlocks,
    /// The queries are the gallery, and a tile serves both of its sides.
    EachPairOnce,
}

/// A search cut into blocks of rows, with what all tiles share.
struct Tiles<'s, 'a> {
    search: &'s Search<'a>,
    rows: usize,
    query_norms: Vec<f32>,
    gallery_norms: Vec<f32>,
    relative_error: f32,
}

impl<'s, 'a> Tiles<'s, 'a> {
    fn new(search: &'s Search<'a>, rows: usize) -> Self {
        Self {
            search,
            rows,
            query_norms: squared_norms(search.queries),
            gallery_norms: squared_norms(search.gallery),
            relative_error: search.engine.relative_error(search.queries.dim()),
        }
    }

    fn query_blocks<C: Collector, T: Send>(
        &self,
        start: impl Fn(usize) -> C + Sync,
        finish: impl Fn(usize, C) -> T + Sync,
    ) -> Vec<T> {
        let queries = self.search.queries.len();
        let mut blocks: Vec<Vec<T>> = Vec::new();
        (0..queries.div_ceil(self.rows))
            .into_par_iter()
            .map(|block| {
                let mut tile = Tile::default();
                let range = self.range(block, queries);
                let mut collectors: Vec<C> = range.clone().map(&start).collect();
                for gallery_block in 0..self.search.gallery.len().div_ceil(self.rows) {
                    self.fill(&mut tile, block, gallery_block);
                    self.offer_rows(&tile, &mut collectors);
                }
                range.zip(collectors).map(|(q, c)| finish(q, c)).collect()
            })
            .collect_into_vec(&mut blocks);
        blocks.into_iter().flatten().collect()
    }

    fn each_pair_once<C: Collector, T: Send>(
        &self,
        start: impl Fn(usize) -> C + Sync,
        finish: impl Fn(usize, C) -> T + Sync,
    ) -> Vec<T> {
        let rows = self.search.queries.len();
        let blocks = rows.div_ceil(self.rows);
        let collectors: Vec<Mutex<Vec<C>>> = (0..blocks)
            .into_par_iter()
            .map(|block| Mutex::new(self.range(block, rows).map(&start).collect()))
            .collect();
        // Walking along the diagonals keeps two threads off one block for most of the time.
        let pairs: Vec<(usize, usize)> = (0..blocks)
            .flat_map(|offset| (0..blocks - offset).map(move |first| (first, first + offset)))
            .collect();
        pairs
            .into_par_iter()
            .for_each_init(Tile::default, |tile, (first, second)| {
                self.fill(tile, first, second);
                // Lower block first everywhere, so that no two threads wait for each other.
                let mut row_side = lock(&collectors[first]);
                if first == second {
                    self.offer_rows(tile, &mut row_side);
                } else {
                    let mut column_side = lock(&collectors[second]);
                    self.offer_both(tile, &mut row_side, &mut column_side);
                }
            });
        let mut results: Vec<Vec<T>> = Vec::new();
        collectors
            .into_par_iter()
            .enumerate()
            .map(|(block, collectors)| {
                let collectors = collectors.into_inner().unwrap_or_else(|e| e.into_inner());
                let range = self.range(block, rows);
                range.zip(collectors).map(|(q, c)| finish(q, c)).collect()
            })
            .collect_into_vec(&mut results);
        results.into_iter().flatten().collect()
    }

    fn range(&self, block: usize, rows: usize) -> std::ops::Range<usize> {
        block * self.rows..rows.min((block + 1) * self.rows)
    }

    /// Replaces `tile` by the approximate distances of a query block to a gallery block.
    fn fill(&self, tile: &mut Tile, query_block: usize, gallery_block: usize) {
        let (queries, gallery) = (self.search.queries, self.search.gallery);
        tile.queries = self.range(query_block, queries.len());
        tile.gallery = self.range(gallery_block, gallery.len());
        let entries = tile.queries.len() * tile.gallery.len();
        tile.distances.resize(entries, 0.0);
        let gallery_norms = &self.gallery_norms[tile.gallery.clone()];
        self.search.engine.fill(
            queries.slice(tile.queries.clone()),
            &self.query_norms[tile.queries.clone()],
            gallery.slice(tile.gallery.clone()),
            gallery_norms,
            &mut tile.distances,
        );
        tile.gallery_error.clear();
        tile.gallery_error
            .extend(gallery_norms.iter().map(|norm| self.error(*norm)));
    }

    /// A row's share of the error of its distances. The constant covers products too small for a normal f32.
    fn error(&self, squared_norm: f32) -> f32 {
        self.relative_error * squared_norm + self.search.queries.dim() as f32 * f32::MIN_POSITIVE
    }

    /// Offers the tile's columns to the collectors of its rows.
    fn offer_rows<C: Collector>(&self, tile: &Tile, collectors: &mut [C]) {
        for (i, collector) in collectors.iter_mut().enumerate() {
            let query = tile.queries.start + i;
            let error = self.error(self.query_norms[query]);
            for strip in tile.strips(i) {
                let bound = collector.bound();
                if strip.any(|distance, gallery_error, _| distance - gallery_error <= bound + error)
                {
                    for (j, (lower, upper)) in strip.enclosed(error) {
                        if lower <= collector.bound() {
                            self.offer(collector, query, tile.gallery.start + j, lower, upper);
                        }
                    }
                }
            }
        }
    }

    /// Offers the tile's columns to the collectors of its rows, and its rows to those of its columns.
    fn offer_both<C: Collector>(&self, tile: &Tile, row_side: &mut [C], column_side: &mut [C]) {
        let mut column_bounds: Vec<f32> = column_side.iter().map(Collector::bound).collect();
        for (i, collector) in row_side.iter_mut().enumerate() {
            let query = tile.queries.start + i;
            let error = self.error(self.query_norms[query]);
            for strip in tile.strips(i) {
                let bound = collector.bound();
                let bounds = &column_bounds[strip.start..];
                let wanted = strip.any(|distance, gallery_error, j| {
                    distance - gallery_error <= bound.max(bounds[j]) + error
                });
                if !wanted {
                    continue;
                }
                for (j, (lower, upper)) in strip.enclosed(error) {
                    let row = tile.gallery.start + j;
                    if lower <= collector.bound() {
                        self.offer(collector, query, row, lower, upper);
                    }
                    if lower <= column_bounds[j] {
                        self.offer(&mut column_side[j], row, query, lower, upper);
                        column_bounds[j] = column_side[j].bound();
                    }
                }
            }
        }
    }

    fn offer<C: Collector>(
        &self,
        collector: &mut C,
        query: usize,
        row: usize,
        lower: f32,
        upper: f32,
    ) {
        if !self.search.visibility.hides(query, row) {
            let row = row as u32;
            let candidate = Candidate { lower, upper, row };
            collector.offer(candidate, |row| self.search.exact(query, row));
        }
    }
}

/// Distances that are compared with a bound in one go: some vector registers' worth.
const STRIP: usize = 64;

/// One block of queries against one block of the gallery.
#[derive(Default)]
struct Tile {
    queries: std::ops::Range<usize>,
    gallery: std::ops::Range<usize>,
    /// About the squared distances, `[queries, gallery]`.
    distances: Vec<f32>,
    /// Each gallery row's share of the error, `[gallery]`.
    gallery_error: Vec<f32>,
}

/// A piece of one line of a tile.
struct Strip<'t> {
    /// Column of the first entry.
    start: usize,
    distances: &'t [f32],
    gallery_error: &'t [f32],
}

impl Tile {
    /// Line `i` in pieces.
    fn strips(&self, i: usize) -> impl Iterator<Item = Strip<'_>> {
        let width = self.gallery.len();
        let line = self.distances[i * width..(i + 1) * width].chunks(STRIP);
        let pieces = line.zip(self.gallery_error.chunks(STRIP)).enumerate();
        pieces.map(|(piece, (distances, gallery_error))| Strip {
            start: piece * STRIP,
            distances,
            gallery_error,
        })
    }
}

impl Strip<'_> {
    /// Whether `test` (distance, error of the gallery row, place in the strip) holds anywhere; tests all, without a branch.
    fn any(&self, test: impl Fn(f32, f32, usize) -> bool) -> bool {
        let pairs = self.distances.iter().zip(self.gallery_error).enumerate();
        pairs.fold(false, |any, (j, (&distance, &error))| {
            any | test(distance, error, j)
        })
    }

    /// Column of the tile, and bounds of its true distance, for a query with this share of the error.
    fn enclosed(&self, query_error: f32) -> impl Iterator<Item = (usize, (f32, f32))> {
        let pairs = self.distances.iter().zip(self.gallery_error);
        (self.start..).zip(pairs.map(move |(distance, gallery_error)| {
            let error = query_error + gallery_error;
            (distance - error, distance + error)
        }))
    }
}

/// A thread that panicked has already stopped the sweep; the others may finish with what they see.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// `‖a - b‖²` in f64 with eight partial sums, the same on every machine.
pub(crate) fn exact_squared_distance(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let square = |x: f32, y: f32| (f64::from(x) - f64::from(y)).powi(2);
    let mut sums = [0.0; LANES];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += square(a[lane], b[lane]);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(&x, &y)| square(x, y)).sum();
    sums.iter().sum::<f64>() + rest
}
