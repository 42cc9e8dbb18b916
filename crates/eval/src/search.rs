//! All pairs of queries and gallery rows, in tiles, under a memory limit.
//!
//! A search chooses the size of its tiles and the order of the work from the memory that it may use. When queries and gallery
//! are the same rows and the state of all queries fits, each distance is computed once and offered to both of its rows.

use lodestone_distances::Rows;

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

    /// The same queries, engine and memory over another gallery, of which nothing is hidden.
    ///
    /// # Errors
    /// As [`between`](Self::between).
    pub fn against<'b>(&self, gallery: Rows<'b>) -> Result<Search<'b>, EvalError>
    where
        'a: 'b,
    {
        check_finite(gallery, Side::Gallery)?;
        let search = Search::unchecked(self.queries, gallery, Visibility::everything())?;
        Ok(Search {
            engine: self.engine.clone(),
            memory: self.memory,
            tile_rows: self.tile_rows,
            ..search
        })
    }

    /// The same gallery, engine and memory for neighbouring queries alone, which see what `visibility` says.
    pub(crate) fn asked_by<'b>(
        &self,
        queries: std::ops::Range<usize>,
        visibility: Visibility<'b>,
    ) -> Result<Search<'b>, EvalError>
    where
        'a: 'b,
    {
        let search = Search {
            queries: self.queries.slice(queries),
            gallery: self.gallery,
            visibility: Visibility::everything(),
            engine: self.engine.clone(),
            memory: self.memory,
            tile_rows: self.tile_rows,
        };
        search.with_visibility(visibility)
    }

    /// The same question of other rows, one for each of its own on either side.
    pub(crate) fn of_rows<'b>(&self, queries: Rows<'b>, gallery: Rows<'b>) -> Search<'b>
    where
        'a: 'b,
    {
        Search {
            queries,
            gallery,
            visibility: self.visibility,
            engine: self.engine.clone(),
            memory: self.memory,
            tile_rows: self.tile_rows,
        }
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

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The true squared distance of a pair: f64 differences of the f32 values, summed in a fixed order.
    pub(crate) fn exact(&self, query: usize, row: u32) -> f64 {
        exact_squared_distance(self.queries.row(query), self.gallery.row(row as usize))
    }

    /// Whether both sides are literally the same rows.
    pub(crate) fn same_rows(&self) -> bool {
        std::ptr::eq(self.queries.values(), self.gallery.values())
    }

    /// Whether they are, and one distance serves both of its rows.
    fn is_self_search(&self) -> bool {
        self.same_rows() && self.visibility.is_symmetric()
    }

    /// Chooses tile size and order of the work for collectors of `state` bytes and results of `result` bytes a query.
    ///
    /// # Errors
    /// [`EvalError::Memory`] if even the smallest tiles exceed the limit.
    pub(crate) fn plan(&self, state: f64, result: f64) -> Result<Plan, EvalError> {
        let threads = rayon::current_num_threads();
        let (q, g, dim) = (self.queries.len(), self.gallery.len(), self.queries.dim());
        let values = self.queries.values().len()
            + match self.same_rows() {
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
            queries: q,
            gallery: g,
            dim,
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
}

/// How the pairs will be walked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Plan {
    /// Rows of a block.
    pub(crate) rows: usize,
    pub(crate) order: Order,
    /// What it will cost.
    pub(crate) forecast: Forecast,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Order {
    /// Each thread takes a block of queries through the whole gallery.
    QueryBlocks,
    /// The queries are the gallery, and a tile serves both of its sides.
    EachPairOnce,
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
