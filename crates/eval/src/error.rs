//! What a caller can get wrong, said with the place and both values.

use crate::bytes::Bytes;

/// Which of the two sides of a search a row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// One set that has no sides.
    Only,
    /// The rows that ask.
    Query,
    /// The rows that are found.
    Gallery,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Side::Only => "row",
            Side::Query => "query row",
            Side::Gallery => "gallery row",
        })
    }
}

/// An input from which no meaningful number can be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EvalError {
    /// A row holds NaN or an infinity, or is so long that its squared length overflows.
    #[error(
        "{side} {row} has {value} in column {column}: every value must be finite and at most 1e15"
    )]
    NotFinite {
        /// Where the row stands.
        side: Side,
        /// 0-based row number.
        row: usize,
        /// 0-based column number.
        column: usize,
        /// What stands there.
        value: f32,
    },
    /// Cosine distance was asked for and a row has no direction.
    #[error("{side} {row} is all zeros and has no direction: cosine distance is undefined")]
    NoDirection {
        /// Where the row stands.
        side: Side,
        /// 0-based row number.
        row: usize,
    },
    /// Something with one entry a row has another number of entries.
    #[error("{entries} {what} for {rows} rows")]
    Count {
        /// What was counted, for instance `labels`.
        what: &'static str,
        /// How many there are.
        entries: usize,
        /// How many rows there are.
        rows: usize,
    },
    /// Queries and gallery do not live in one space.
    #[error("queries have {queries} dimensions, the gallery has {gallery}")]
    Dimensions {
        /// Dimension of a query.
        queries: usize,
        /// Dimension of a gallery row.
        gallery: usize,
    },
    /// There is nothing to measure.
    #[error("no {0}: at least one is needed")]
    Empty(&'static str),
    /// More gallery rows than row numbers.
    #[error("{rows} rows: at most 4294967295 can be searched")]
    TooManyRows {
        /// How many were given.
        rows: usize,
    },
    /// A number outside the range in which the formula has a meaning.
    #[error("{name} is {value}, must be {must_be}")]
    OutOfRange {
        /// The setting or argument.
        name: &'static str,
        /// What it is.
        value: f64,
        /// What it has to be.
        must_be: &'static str,
    },
    /// A ranked list ends before the rank up to which a metric has to look.
    #[error(
        "query {query}: the ranked list holds {listed} rows, but {metric} looks at the first {needed}"
    )]
    ShortList {
        /// 0-based query number.
        query: usize,
        /// The metric that cannot be computed.
        metric: &'static str,
        /// Length of the list.
        listed: usize,
        /// Length that is needed.
        needed: usize,
    },
    /// A ranked list names a row that is not there, twice there, or hidden from the query.
    #[error("query {query}: row {row} in the ranked list {problem}")]
    BadList {
        /// 0-based query number.
        query: usize,
        /// The gallery row.
        row: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A hierarchy in which a class hangs below two others.
    #[error("fine class {fine} has two coarse classes, {} and {}", coarse[0], coarse[1])]
    TwoParents {
        /// The fine class.
        fine: usize,
        /// The coarse classes.
        coarse: [usize; 2],
    },
    /// The work does not fit into the memory it was given.
    #[error(
        "{needed} are needed ({embeddings} of them for the embeddings), but the limit is {limit}"
    )]
    Memory {
        /// Least total that would do.
        needed: Bytes,
        /// What the embeddings take by themselves.
        embeddings: Bytes,
        /// The limit that was set.
        limit: Bytes,
    },
    /// The approximate index gave up.
    #[cfg(feature = "approximate")]
    #[error("approximate index: {0}")]
    Index(String),
    /// Not a size in bytes.
    #[error("`{text}` is not a size: write for instance 500MB, 2GB or 1.5GiB")]
    BadSize {
        /// What was written.
        text: String,
    },
}
