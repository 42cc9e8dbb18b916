//! The walk over all tiles of a search.
//!
//! Each query owns a [`Collector`] that says up to which distance it still cares. A tile of approximate distances is compared
//! with that, and only what passes is handed over; so nothing of size queries × gallery ever exists.

use std::sync::Mutex;

use lodestone_distances::squared_norms;
use rayon::prelude::*;

use crate::Search;
use crate::search::{Order, Plan};

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

impl Search<'_> {
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

/// A search cut into blocks of rows, with what all tiles share.
struct Tiles<'s, 'a> {
    search: &'s Search<'a>,
    rows: usize,
    query_norms: Vec<f32>,
    gallery_norms: Vec<f32>,
    relative_error: f32,
}

impl<'s, 'a> Tiles<'s, 'a> {
    pub(crate) fn new(search: &'s Search<'a>, rows: usize) -> Self {
        Self {
            search,
            rows,
            query_norms: squared_norms(search.queries()),
            gallery_norms: squared_norms(search.gallery()),
            relative_error: search.engine().relative_error(search.queries().dim()),
        }
    }

    /// Each thread takes a block of queries through the whole gallery.
    pub(crate) fn query_blocks<C: Collector, T: Send>(
        &self,
        start: impl Fn(usize) -> C + Sync,
        finish: impl Fn(usize, C) -> T + Sync,
    ) -> Vec<T> {
        let queries = self.search.queries().len();
        let mut blocks: Vec<Vec<T>> = Vec::new();
        (0..queries.div_ceil(self.rows))
            .into_par_iter()
            .map(|block| {
                let mut tile = Tile::default();
                let range = self.range(block, queries);
                let mut collectors: Vec<C> = range.clone().map(&start).collect();
                for gallery_block in 0..self.search.gallery().len().div_ceil(self.rows) {
                    self.fill(&mut tile, block, gallery_block);
                    self.offer_rows(&tile, &mut collectors);
                }
                range.zip(collectors).map(|(q, c)| finish(q, c)).collect()
            })
            .collect_into_vec(&mut blocks);
        blocks.into_iter().flatten().collect()
    }

    /// The queries are the gallery, and a tile serves both of its sides.
    pub(crate) fn each_pair_once<C: Collector, T: Send>(
        &self,
        start: impl Fn(usize) -> C + Sync,
        finish: impl Fn(usize, C) -> T + Sync,
    ) -> Vec<T> {
        let rows = self.search.queries().len();
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
        let (queries, gallery) = (self.search.queries(), self.search.gallery());
        tile.queries = self.range(query_block, queries.len());
        tile.gallery = self.range(gallery_block, gallery.len());
        let entries = tile.queries.len() * tile.gallery.len();
        tile.distances.resize(entries, 0.0);
        let gallery_norms = &self.gallery_norms[tile.gallery.clone()];
        self.search.engine().fill(
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
        self.relative_error * squared_norm + self.search.queries().dim() as f32 * f32::MIN_POSITIVE
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
        if !self.search.visibility().hides(query, row) {
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
