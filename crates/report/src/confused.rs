//! Which class is taken for which, and the photographs that show it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::answers::Answers;

/// A class that is taken for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Confused {
    /// What the photographs show.
    pub(crate) class: usize,
    /// What they are taken for.
    pub(crate) taken_for: usize,
    /// How often.
    pub(crate) count: usize,
    /// Photographs of `class` in all.
    pub(crate) of: usize,
    /// Those that are taken for it most surely.
    pub(crate) examples: Vec<usize>,
}

/// The `most` most frequent mistakes, each with up to `examples` photographs.
pub(crate) fn confused(
    answers: &Answers,
    labels: &[usize],
    most: usize,
    examples: usize,
) -> Vec<Confused> {
    let mut by_pair: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for query in answers.wrong(labels) {
        let pair = (labels[query], answers.predicted[query]);
        by_pair.entry(pair).or_default().push(query);
    }
    let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
    for &label in labels {
        *sizes.entry(label).or_default() += 1;
    }
    let mut pairs: Vec<_> = by_pair.into_iter().collect();
    pairs.sort_by_key(|(pair, queries)| (Reverse(queries.len()), *pair));
    pairs.truncate(most);
    let describe = |((class, taken_for), mut queries): ((usize, usize), Vec<usize>)| {
        let count = queries.len();
        queries.sort_by(|&a, &b| answers.sure[b].total_cmp(&answers.sure[a]).then(a.cmp(&b)));
        queries.truncate(examples);
        Confused {
            class,
            taken_for,
            count,
            of: sizes[&class],
            examples: queries,
        }
    };
    pairs.into_iter().map(describe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_mistake_comes_first_with_its_surest_photographs() {
        let answers = Answers {
            neighbours: Vec::new(),
            predicted: vec![1, 1, 0, 0, 1, 1],
            own: vec![0.0; 6],
            sure: vec![0.5, 0.9, 0.8, 1.0, 1.0, 0.7],
        };
        let found = confused(&answers, &[0, 0, 1, 0, 1, 0], 5, 2);
        let expected = [
            Confused {
                class: 0,
                taken_for: 1,
                count: 3,
                of: 4,
                examples: vec![1, 5],
            },
            Confused {
                class: 1,
                taken_for: 0,
                count: 1,
                of: 2,
                examples: vec![2],
            },
        ];
        assert_eq!(found, expected);
    }
}
