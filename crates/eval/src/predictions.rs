//! Predicted classes, best first, and the errors they make.
//!
//! Errors are taken over all rows: a class that the rule cannot know is simply wrong. Equal scores go to the lower class.

use serde::{Deserialize, Serialize};

use crate::{EvalError, Rows};

/// How many classes are kept for each row: as many as error@5 asks for.
pub(crate) const KEPT: usize = 5;

/// The best classes of each row, best first, at most five.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    pub(crate) ranked: Vec<Vec<usize>>,
}

/// Error rates of a classification rule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// Share of rows whose first prediction is wrong.
    pub at_1: f64,
    /// Share of rows whose class is not among the first five predictions.
    pub at_5: f64,
    /// Number of rows.
    pub rows: usize,
    /// Rows for which the rule could name fewer than five classes, so that `at_5` rests on fewer guesses.
    pub fewer_than_five: usize,
}

impl Predictions {
    /// The classes of the largest entries of each row of `logits`, `[rows, classes]`: the rule of a softmax head.
    ///
    /// # Errors
    /// If a logit is NaN.
    ///
    /// # Example
    /// ```
    /// use lodestone_eval::{Predictions, Rows};
    ///
    /// let logits = Rows::new(&[0.1, 2.0, 2.0, -1.0, 0.0, 3.0], 3).unwrap();
    /// let errors = Predictions::argmax(logits)?.errors(&[1, 0])?;
    /// // Row 0 has two equal best logits: class 1, the lower, wins.
    /// assert_eq!((errors.at_1, errors.at_5), (0.5, 0.0));
    /// # Ok::<(), lodestone_eval::EvalError>(())
    /// ```
    pub fn argmax(logits: Rows) -> Result<Self, EvalError> {
        if let Some(at) = logits.values().iter().position(|x| x.is_nan()) {
            return Err(EvalError::NotFinite {
                side: crate::Side::Only,
                row: at / logits.dim(),
                column: at % logits.dim(),
                value: f32::NAN,
            });
        }
        let best = |row: &[f32]| {
            let mut classes: Vec<usize> = (0..row.len()).collect();
            // A stable sort leaves equal logits in the order of their classes.
            classes.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            classes.truncate(KEPT);
            classes
        };
        Ok(Self {
            ranked: logits.iter().map(best).collect(),
        })
    }

    /// The classes predicted for each row, best first, at most five.
    pub fn ranked(&self) -> &[Vec<usize>] {
        &self.ranked
    }

    /// Compares with the true `labels`.
    ///
    /// # Errors
    /// If there is not one label a row, or no row.
    pub fn errors(&self, labels: &[usize]) -> Result<Errors, EvalError> {
        let rows = self.ranked.len();
        if labels.len() != rows {
            return Err(EvalError::Count {
                what: "labels",
                entries: labels.len(),
                rows,
            });
        }
        if rows == 0 {
            return Err(EvalError::Empty("rows"));
        }
        let missed = |k: usize| {
            let wrong = |(ranked, label): &(&Vec<usize>, &usize)| {
                !ranked.iter().take(k).any(|class| class == *label)
            };
            self.ranked.iter().zip(labels).filter(wrong).count() as f64 / rows as f64
        };
        Ok(Errors {
            at_1: missed(1),
            at_5: missed(KEPT),
            rows,
            fewer_than_five: self.ranked.iter().filter(|r| r.len() < KEPT).count(),
        })
    }

    /// How often each true class was taken for each class.
    ///
    /// # Errors
    /// If there is not one label a row.
    pub fn confusion(&self, labels: &[usize]) -> Result<Confusion, EvalError> {
        self.errors(labels)?;
        let predicted = self.ranked.iter().filter_map(|r| r.first().copied());
        let all: Vec<usize> = labels.iter().copied().chain(predicted).collect();
        let classes = crate::labelled::distinct(&all);
        let mut counts = vec![0; classes.len() * classes.len()];
        let place = |class: usize| classes.partition_point(|&c| c < class);
        for (ranked, &label) in self.ranked.iter().zip(labels) {
            if let Some(&class) = ranked.first() {
                counts[place(label) * classes.len() + place(class)] += 1;
            }
        }
        Ok(Confusion { classes, counts })
    }
}

/// A confusion matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// The classes that occur as label or prediction, ascending.
    pub classes: Vec<usize>,
    /// `[classes, classes]`, row-major: row = true class, column = predicted class.
    pub counts: Vec<usize>,
}

impl Confusion {
    /// Share of each class's rows that were predicted right; absent for a class without rows.
    pub fn accuracy_per_class(&self) -> Vec<(usize, Option<f64>)> {
        let lines = self.counts.chunks_exact(self.classes.len().max(1));
        let accuracy = |(i, line): (usize, &[usize])| {
            let total: usize = line.iter().sum();
            let share = (total > 0).then(|| line[i] as f64 / total as f64);
            (self.classes[i], share)
        };
        lines.enumerate().map(accuracy).collect()
    }

    /// The `most` most frequent mistakes as (true class, predicted class, count), the most frequent first.
    pub fn worst_pairs(&self, most: usize) -> Vec<(usize, usize, usize)> {
        let n = self.classes.len();
        let mut pairs: Vec<_> = (0..n * n)
            .filter(|at| at / n != at % n && self.counts[*at] > 0)
            .map(|at| (self.classes[at / n], self.classes[at % n], self.counts[at]))
            .collect();
        pairs
            .sort_by_key(|&(truth, taken_for, count)| (std::cmp::Reverse(count), truth, taken_for));
        pairs.truncate(most);
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_guess_counts_and_the_sixth_does_not() {
        let logits = Rows::new(&[6.0, 5.0, 4.0, 3.0, 2.0, 1.0], 6).unwrap();
        let predictions = Predictions::argmax(logits).unwrap();
        assert_eq!(predictions.ranked(), [[0, 1, 2, 3, 4]]);
        assert_eq!(predictions.errors(&[4]).unwrap().at_5, 0.0);
        assert_eq!(predictions.errors(&[5]).unwrap().at_5, 1.0);
    }

    #[test]
    fn few_classes_are_reported() {
        let logits = Rows::new(&[0.0, 1.0, 1.0, 0.0], 2).unwrap();
        let errors = Predictions::argmax(logits)
            .unwrap()
            .errors(&[1, 1])
            .unwrap();
        assert_eq!(
            (errors.at_1, errors.at_5, errors.fewer_than_five),
            (0.5, 0.0, 2)
        );
    }

    #[test]
    fn confusion_counts_true_by_predicted() {
        let predictions = Predictions {
            ranked: vec![vec![2], vec![2], vec![7], vec![], vec![2]],
        };
        let confusion = predictions.confusion(&[2, 7, 7, 7, 9]).unwrap();
        assert_eq!(confusion.classes, [2, 7, 9]);
        assert_eq!(confusion.counts, [1, 0, 0, 1, 1, 0, 1, 0, 0]);
        assert_eq!(
            confusion.accuracy_per_class(),
            [(2, Some(1.0)), (7, Some(0.5)), (9, Some(0.0))]
        );
        assert_eq!(confusion.worst_pairs(1), [(7, 2, 1)]);
    }

    #[test]
    fn labels_of_another_length_are_an_error_with_both_numbers() {
        let predictions = Predictions {
            ranked: vec![vec![1]],
        };
        let error = predictions.errors(&[1, 2]).unwrap_err();
        assert_eq!(error.to_string(), "2 labels for 1 rows");
    }
}
