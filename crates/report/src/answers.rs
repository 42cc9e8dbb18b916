//! What each photograph finds, and what it would be taken for.

use lodestone_eval::{Labelled, Neighbour, Search, SoftVote};

use crate::ReportError;
use crate::material::Material;

/// The answers to all queries.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answers {
    /// The nearest photographs of each query, nearest first.
    pub(crate) neighbours: Vec<Vec<Neighbour>>,
    /// The class that each query would be taken for.
    pub(crate) predicted: Vec<usize>,
    /// The share of the votes that its own class gets, as a logarithm; minus infinity if no voter is of it.
    pub(crate) own: Vec<f64>,
    /// The share of the votes that the predicted class gets, in [0, 1].
    pub(crate) sure: Vec<f64>,
}

/// Photographs that vote.
pub(crate) const VOTERS: usize = 32;

impl Answers {
    /// Looks up `shown` neighbours of each query and lets the nearest [`VOTERS`] vote, nearer ones more.
    pub(crate) fn new(material: &Material, shown: usize) -> Result<Self, ReportError> {
        let (queries, found) = (material.queries, material.found());
        let search = match material.gallery {
            Some(gallery) => Search::between(queries.rows, gallery.rows)?,
            None => Search::leave_one_out(queries.rows)?,
        };
        let neighbours = search.nearest(shown)?;
        let variance = Labelled::from_rows(found.rows, found.labels)?.within_class_variance();
        let vote = SoftVote {
            nearest: VOTERS,
            // Where every class is one point, any spread ranks the votes alike.
            variance: if variance > 0.0 { variance } else { 1.0 },
        };
        let scores = search.soft_vote(found.labels, vote)?;
        let mut answers = Self {
            neighbours,
            predicted: Vec::with_capacity(scores.len()),
            own: Vec::with_capacity(scores.len()),
            sure: Vec::with_capacity(scores.len()),
        };
        for (scores, &label) in scores.iter().zip(queries.labels) {
            let own = scores.iter().find(|score| score.class == label);
            let first = scores.first();
            answers
                .own
                .push(own.map_or(f64::NEG_INFINITY, |score| score.log_probability));
            // A single photograph has nobody to ask; it is then taken for what it is called.
            answers
                .predicted
                .push(first.map_or(label, |score| score.class));
            answers
                .sure
                .push(first.map_or(0.0, |score| score.probability()));
        }
        Ok(answers)
    }

    /// Queries that would be taken for another class.
    pub(crate) fn wrong<'a>(&'a self, labels: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
        (0..labels.len()).filter(|&query| self.predicted[query] != labels[query])
    }
}

#[cfg(test)]
mod tests {
    use lodestone_eval::Rows;

    use super::*;
    use crate::Side;

    #[test]
    fn a_photograph_among_strangers_is_taken_for_one_of_them() {
        let values = [0.0, 0.25, 0.75, 9.0, 9.25, 9.75, 0.5];
        let labels = [0, 0, 0, 1, 1, 1, 1];
        let names = vec![String::new(); 7];
        let classes = ["a".to_owned(), "b".to_owned()];
        let queries = Side::new(Rows::new(&values, 1).unwrap(), &labels, &names).unwrap();
        let material = Material::new("t", &classes, queries);
        let answers = Answers::new(&material, 3).unwrap();
        assert_eq!(answers.predicted, [0, 0, 0, 1, 1, 1, 0]);
        assert_eq!(answers.wrong(&labels).collect::<Vec<_>>(), [6]);
        // 0.5 is 0.25 from both of its neighbours; the lower row comes first.
        let rows: Vec<usize> = answers.neighbours[6].iter().map(|n| n.row).collect();
        assert_eq!(rows, [1, 2, 0]);
        assert!(answers.own[6] < answers.own[3] && answers.sure[6] > 0.5);
    }
}
