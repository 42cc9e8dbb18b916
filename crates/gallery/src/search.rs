//! What a photograph is most like, what it would be called, and whether it is known at all.

use lodestone_eval::{Neighbour, Rows, Search, SoftVote};
use serde::Serialize;

use crate::{Gallery, GalleryError, Kind};

/// The answer to one query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The nearest rows, nearest first.
    pub nearest: Vec<Near>,
    /// Shares of the votes of the nearest cluster centres (kNC), best first, at most five; empty where no row has a class.
    pub classes: Vec<ClassVote>,
    /// Whether it is farther from everything than known photographs are; absent if the gallery cannot tell.
    pub unknown: Option<bool>,
    /// The distance beyond which a query is unknown; absent if the gallery cannot tell.
    pub unknown_beyond: Option<f64>,
    /// Share of the known photographs that are as far from what is nearest to them, or farther.
    pub familiarity: Option<f64>,
}

/// A row that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Near {
    /// Its place in the gallery.
    pub row: usize,
    /// Its number for life.
    pub key: u64,
    /// Where the photograph lies.
    pub path: String,
    /// Name of its class; empty if nobody says.
    pub class_name: String,
    /// Euclidean distance.
    pub distance: f64,
}

/// A class and its share of the votes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassVote {
    /// Its name.
    pub class_name: String,
    /// The share, in [0, 1].
    pub probability: f64,
}

/// Classes that are told of each query.
const TOLD: usize = 5;

impl Gallery {
    /// Looks for the `count` nearest rows of each query. A query is unknown if it is farther from what is nearest than the
    /// distance up to which a share `precision` of those accepted are known, as measured on the gallery itself.
    ///
    /// # Errors
    /// If the gallery is empty, the queries have another length or are not finite, `count` is 0, or `precision` is not in [0, 1].
    pub fn search(
        &self,
        queries: Rows,
        count: usize,
        precision: f64,
    ) -> Result<Vec<Answer>, GalleryError> {
        self.check(queries)?;
        let found = Search::between(queries, self.rows())?.nearest(count)?;
        self.answers(queries, found, precision)
    }

    pub(crate) fn check(&self, queries: Rows) -> Result<(), GalleryError> {
        if self.is_empty() {
            return Err(GalleryError::Empty);
        }
        self.has_length(queries)
    }

    /// Whether it says that it is searched by a graph.
    pub fn wants_graph(&self) -> bool {
        self.settings.kind == Kind::Graph
    }

    pub(crate) fn answers(
        &self,
        queries: Rows,
        found: Vec<Vec<Neighbour>>,
        precision: f64,
    ) -> Result<Vec<Answer>, GalleryError> {
        if self.centres.labels.is_empty() {
            let nearest = |list: Vec<Neighbour>| list.into_iter().map(|n| self.near(n)).collect();
            let answer = |list| Answer {
                nearest: nearest(list),
                classes: Vec::new(),
                unknown: None,
                unknown_beyond: None,
                familiarity: None,
            };
            return Ok(found.into_iter().map(answer).collect());
        }
        let vote = SoftVote::new(match self.centres.variance {
            // Where every row is its own centre, any spread ranks the votes alike.
            0.0 => 1.0,
            variance => variance,
        });
        let votes = Search::between(queries, self.centres.rows(self.dim))?
            .soft_vote(&self.centres.labels, vote)?;
        let threshold = self.calibration.threshold(precision)?;
        // Where some are known and no distance keeps the precision, nothing is near enough.
        let can_tell = !self.calibration.known.is_empty() && !self.calibration.unknown.is_empty();
        let beyond = match threshold {
            Some(threshold) => Some(threshold.threshold),
            None => can_tell.then_some(0.0),
        };
        let answer = |(list, votes): (Vec<Neighbour>, Vec<lodestone_eval::ClassScore>)| {
            let first = list.first().map(|neighbour| neighbour.squared_distance);
            Answer {
                unknown: first.zip(beyond).map(|(first, beyond)| first > beyond),
                unknown_beyond: beyond.map(f64::sqrt),
                familiarity: first.and_then(|first| self.calibration.familiarity(first)),
                classes: votes
                    .iter()
                    .take(TOLD)
                    .map(|score| ClassVote {
                        class_name: self.classes[score.class].clone(),
                        probability: score.probability(),
                    })
                    .collect(),
                nearest: list.into_iter().map(|n| self.near(n)).collect(),
            }
        };
        Ok(found.into_iter().zip(votes).map(answer).collect())
    }

    fn near(&self, neighbour: Neighbour) -> Near {
        let row = neighbour.row;
        Near {
            row,
            key: self.keys[row],
            path: self.paths[row].clone(),
            class_name: self.classes[self.labels[row]].clone(),
            distance: neighbour.squared_distance.sqrt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use crate::gallery::tests::filled;

    #[test]
    fn a_query_between_classes_is_unknown_and_one_inside_is_sure() {
        let gallery = filled(&["a", "b", "c"], 20);
        let queries = [10.3, 0.1, 15.5, 0.0];
        let answers = gallery
            .search(Rows::new(&queries, 2).unwrap(), 3, 0.95)
            .unwrap();
        assert_eq!(answers[0].nearest.len(), 3);
        assert!(answers[0].nearest.iter().all(|near| near.class_name == "b"));
        assert!(
            answers[0]
                .nearest
                .is_sorted_by(|x, y| x.distance <= y.distance)
        );
        assert_eq!(answers[0].classes[0].class_name, "b");
        assert!(answers[0].classes[0].probability > 0.99);
        assert_eq!(
            (answers[0].unknown, answers[1].unknown),
            (Some(false), Some(true))
        );
        assert_eq!(answers[1].familiarity, Some(0.0));
    }

    #[test]
    fn a_search_that_cannot_be_answered_says_why() {
        let empty = Gallery::new(2, Settings::default());
        let query = [0.0, 0.0];
        let rows = Rows::new(&query, 2).unwrap();
        let error = empty.search(rows, 1, 0.9).unwrap_err().to_string();
        assert_eq!(error, "the gallery is empty");
        let error = filled(&["a", "b"], 2)
            .search(Rows::new(&query, 1).unwrap(), 1, 0.9)
            .unwrap_err();
        assert!(matches!(
            error,
            GalleryError::Dimension {
                given: 1,
                gallery: 2
            }
        ));
    }
}
