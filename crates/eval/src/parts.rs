//! A retrieval in parts: the queries are shared out among processes or machines, and their scores put together again.
//!
//! A query's scores depend on the gallery and on no other query, so the parts together are the whole to the last bit.

use std::ops::Range;
use std::path::{Path, PathBuf};

use lodestone_files::{WriteError, write_whole};
use serde::{Deserialize, Serialize};

use crate::scores::QueryScores;
use crate::{EvalError, Retrieval, RetrievalConfig, Search, Visibility};

/// Version of the layout; a reader refuses one that it does not know.
const VERSION: u32 = 1;

/// The scores of neighbouring queries of a larger retrieval: a JSON file.
///
/// # Example
/// ```
/// use lodestone_eval::{Convention, RankingMetric, Retrieval, RetrievalConfig, RetrievalPart, Rows, Search};
///
/// let rows = Rows::new(&[0.0, 1.0, 3.0, 10.0], 1).unwrap();
/// let labels = [5, 6, 5, 6];
/// let search = Search::leave_one_out(rows)?;
/// let config = RetrievalConfig::default();
/// let mut parts = Vec::new();
/// // Each of these could be another machine.
/// for queries in [2..4, 0..2] {
///     let scored = search.retrieval_of(queries.clone(), &labels, &labels, &config)?;
///     parts.push(RetrievalPart::new("four rows".into(), 4, queries.start, scored));
/// }
/// let retrieval = Retrieval::of_parts(parts).unwrap();
/// let mean = retrieval.mean(RankingMetric::RecallAt(2), Convention::Lodestone).unwrap();
/// assert_eq!((mean.value, mean.count), (0.75, 4));
/// # Ok::<(), lodestone_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrievalPart {
    version: u32,
    question: String,
    queries: usize,
    first: usize,
    cuts: Vec<usize>,
    labels: Vec<usize>,
    scores: Vec<QueryScores>,
    /// Where it was read from, for messages.
    #[serde(skip)]
    file: PathBuf,
}

/// Parts that do not make a whole.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// A file cannot be read, or holds something else.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The disk is full, or the like.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The parts answer different questions.
    #[error("{} and {} are not of one evaluation: embeddings, labels or settings differ", one.display(), other.display())]
    Question {
        /// A part.
        one: PathBuf,
        /// A part that does not go with it.
        other: PathBuf,
    },
    /// Some queries are in two parts.
    #[error("query {query} is in {} and again in {}", one.display(), other.display())]
    Twice {
        /// 0-based query number.
        query: usize,
        /// The first part that has it.
        one: PathBuf,
        /// The second.
        other: PathBuf,
    },
    /// Some queries are in no part.
    #[error("the part with queries {first} to {last} of {queries} is missing")]
    Missing {
        /// The first missing query, 0-based.
        first: usize,
        /// The last.
        last: usize,
        /// Number of queries of the whole.
        queries: usize,
    },
}

impl Search<'_> {
    /// Scores some neighbouring queries alone, as [`retrieval`](Self::retrieval) scores all.
    ///
    /// # Shapes
    /// - query_labels: `[all queries]`, gallery_labels: `[gallery]`
    ///
    /// # Errors
    /// As [`retrieval`](Self::retrieval), and if `queries` is empty.
    ///
    /// # Panics
    /// If `queries` ends after the last query.
    pub fn retrieval_of(
        &self,
        queries: Range<usize>,
        query_labels: &[usize],
        gallery_labels: &[usize],
        config: &RetrievalConfig,
    ) -> Result<Retrieval, EvalError> {
        if queries.is_empty() {
            return Err(EvalError::Empty("queries"));
        }
        if query_labels.len() != self.queries().len() {
            return Err(EvalError::Count {
                what: "labels",
                entries: query_labels.len(),
                rows: self.queries().len(),
            });
        }
        let asking: Vec<usize> = queries.clone().collect();
        let (own, sequences) = self.visibility().of_queries(&asking);
        let mut visibility = Visibility::own_rows(&own);
        if let Some((of_queries, of_gallery)) = &sequences {
            visibility = visibility.without_own_sequence(of_queries, of_gallery);
        }
        self.asked_by(queries.clone(), visibility)?.retrieval(
            &query_labels[queries],
            gallery_labels,
            config,
        )
    }
}

impl RetrievalPart {
    /// The scores of the queries from `first` on, of `queries` in all. `question` is compared when parts are put together: a
    /// fingerprint of everything that decides the scores.
    pub fn new(question: String, queries: usize, first: usize, retrieval: Retrieval) -> Self {
        let (cuts, labels, scores) = retrieval.into_parts();
        Self {
            version: VERSION,
            question,
            queries,
            first,
            cuts,
            labels,
            scores,
            file: PathBuf::new(),
        }
    }

    /// The question that was given to [`new`](Self::new).
    pub fn question(&self) -> &str {
        &self.question
    }

    /// Reads a file that [`write`](Self::write) made.
    ///
    /// # Errors
    /// If it cannot be read or is not such a file.
    pub fn read(path: &Path) -> Result<Self, PartError> {
        let wrong = |reason: String| PartError::Read {
            path: path.to_path_buf(),
            reason,
        };
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let mut part: Self =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        let rows = part.scores.len();
        if part.version != VERSION {
            return Err(wrong(format!(
                "it has version {}, this program reads version {VERSION}",
                part.version
            )));
        }
        if part.labels.len() != rows || rows == 0 || part.first + rows > part.queries {
            return Err(wrong(format!(
                "it has {} labels and {rows} scores from query {} on, of {} queries",
                part.labels.len(),
                part.first,
                part.queries
            )));
        }
        part.file = path.to_path_buf();
        Ok(part)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn write(&self, path: &Path) -> Result<(), PartError> {
        write_whole(path, |file| {
            serde_json::to_writer(file, self).map_err(std::io::Error::from)
        })?;
        Ok(())
    }

    /// What parts of one whole have in common.
    fn asked(&self) -> (&str, usize, &[usize]) {
        (&self.question, self.queries, &self.cuts)
    }

    fn end(&self) -> usize {
        self.first + self.scores.len()
    }
}

impl Retrieval {
    /// Puts parts together, in whatever order they are given.
    ///
    /// # Errors
    /// If parts are of different questions, or a query is in none or in two of them.
    pub fn of_parts(mut parts: Vec<RetrievalPart>) -> Result<Self, PartError> {
        parts.sort_by_key(|part| part.first);
        let missing = |first, next, queries| PartError::Missing {
            first,
            last: next - 1,
            queries,
        };
        let mut whole: Option<RetrievalPart> = None;
        let mut last = PathBuf::new();
        for part in parts {
            let Some(so_far) = &mut whole else {
                if part.first > 0 {
                    return Err(missing(0, part.first, part.queries));
                }
                last.clone_from(&part.file);
                whole = Some(part);
                continue;
            };
            if so_far.asked() != part.asked() {
                return Err(PartError::Question {
                    one: last,
                    other: part.file,
                });
            }
            let end = so_far.end();
            if part.first < end {
                return Err(PartError::Twice {
                    query: part.first,
                    one: last,
                    other: part.file,
                });
            }
            if part.first > end {
                return Err(missing(end, part.first, part.queries));
            }
            so_far.labels.extend(part.labels);
            so_far.scores.extend(part.scores);
            last = part.file;
        }
        match whole {
            Some(whole) if whole.end() == whole.queries => {
                Ok(Self::new(whole.cuts, whole.labels, whole.scores))
            }
            Some(whole) => Err(missing(whole.end(), whole.queries, whole.queries)),
            None => Err(missing(0, 1, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Depth, Rows};

    fn values(rows: usize, dim: usize) -> Vec<f32> {
        // Few different values, so that there are ties.
        (0..rows * dim).map(|i| ((i * 7919) % 13) as f32).collect()
    }

    #[test]
    fn parts_together_are_the_whole_whoever_is_hidden() {
        let values = values(57, 3);
        let labels: Vec<usize> = (0..57).map(|row| row % 5).collect();
        let sequences: Vec<usize> = (0..57).map(|row| row / 4).collect();
        let rows = Rows::new(&values, 3).unwrap();
        let alone = Search::leave_one_out(rows).unwrap();
        let hidden = Visibility::leave_one_out().without_own_sequence(&sequences, &sequences);
        let searches = [
            alone.clone(),
            alone.with_visibility(hidden).unwrap(),
            Search::between(rows, rows).unwrap(),
        ];
        for (search, depth) in searches
            .iter()
            .flat_map(|search| [(search, Depth::Full), (search, Depth::UpToR)])
        {
            let config = RetrievalConfig {
                depth,
                ..RetrievalConfig::default()
            };
            let whole = search.retrieval(&labels, &labels, &config).unwrap();
            let part = |queries: Range<usize>| {
                let first = queries.start;
                let scored = search.retrieval_of(queries, &labels, &labels, &config);
                RetrievalPart::new("q".into(), 57, first, scored.unwrap())
            };
            // In any order, and through files.
            let folder = tempfile::tempdir().unwrap();
            let read = |queries: Range<usize>| {
                let path = folder.path().join(format!("{}.json", queries.start));
                part(queries).write(&path).unwrap();
                RetrievalPart::read(&path).unwrap()
            };
            let together =
                Retrieval::of_parts(vec![read(40..57), read(0..1), read(1..40)]).unwrap();
            assert_eq!(together.queries(), whole.queries());
            assert_eq!(together.labels(), whole.labels());
        }
    }

    #[test]
    fn parts_that_make_no_whole_are_refused_with_what_is_wrong() {
        let values = values(10, 2);
        let labels: Vec<usize> = (0..10).map(|row| row % 2).collect();
        let search = Search::leave_one_out(Rows::new(&values, 2).unwrap()).unwrap();
        let config = RetrievalConfig::default();
        let part = |question: &str, queries: Range<usize>| {
            let first = queries.start;
            let scored = search.retrieval_of(queries, &labels, &labels, &config);
            let mut part = RetrievalPart::new(question.into(), 10, first, scored.unwrap());
            part.file = format!("{first}.json").into();
            part
        };
        let problem = |parts| Retrieval::of_parts(parts).unwrap_err().to_string();
        assert_eq!(
            problem(vec![part("a", 0..4), part("a", 6..10)]),
            "the part with queries 4 to 5 of 10 is missing"
        );
        assert_eq!(
            problem(vec![part("a", 0..4)]),
            "the part with queries 4 to 9 of 10 is missing"
        );
        assert_eq!(
            problem(vec![part("a", 3..4)]),
            "the part with queries 0 to 2 of 10 is missing"
        );
        assert_eq!(
            problem(vec![part("a", 0..5), part("a", 4..10)]),
            "query 4 is in 0.json and again in 4.json"
        );
        assert_eq!(
            problem(vec![part("a", 0..5), part("b", 5..10)]),
            "0.json and 5.json are not of one evaluation: embeddings, labels or settings differ"
        );
        assert!(Retrieval::of_parts(Vec::new()).is_err());
        assert!(
            search
                .retrieval_of(3..3, &labels, &labels, &config)
                .is_err()
        );
    }
}
