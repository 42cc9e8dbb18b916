//! Which new cluster is which old one: the pairing with the least total distance between centres.
//!
//! Kuhn, *The Hungarian method for the assignment problem*, 1955, in the form with potentials and shortest augmenting paths,
//! which takes cubic time in the clusters of one class.

use lodestone_distances::{Rows, squared_distance};

/// For each row of `new` the row of `old` it is paired with; `None` for those left over where there are more new rows.
pub(crate) fn match_centres(old: Rows, new: Rows) -> Vec<Option<usize>> {
    let size = old.len().max(new.len());
    // Left-over rows meet partners of no cost, so they do not influence the rest.
    let cost = |i: usize, j: usize| match i < new.len() && j < old.len() {
        true => f64::from(squared_distance(new.row(i), old.row(j))),
        false => 0.0,
    };
    let costs: Vec<Vec<f64>> = (0..size)
        .map(|i| (0..size).map(|j| cost(i, j)).collect())
        .collect();
    let pairs = cheapest_pairs(&costs);
    (0..new.len())
        .map(|i| Some(pairs[i]).filter(|&j| j < old.len()))
        .collect()
}

/// Column of each row in the pairing of a square cost matrix with the least sum.
///
/// Rows join one by one. Each looks for the cheapest alternating path to a free column under reduced costs
/// `cost - row_price - column_price`, which the prices keep from being negative.
fn cheapest_pairs(costs: &[Vec<f64>]) -> Vec<usize> {
    let size = costs.len();
    let (mut row_price, mut column_price) = (vec![0.0; size], vec![0.0; size]);
    let mut row_of: Vec<Option<usize>> = vec![None; size];
    for start in 0..size {
        let mut distance = vec![f64::INFINITY; size];
        let mut before: Vec<Option<usize>> = vec![None; size];
        let mut done = vec![false; size];
        let (mut row, mut through, mut reached) = (start, None, 0.0);
        let free = loop {
            for column in (0..size).filter(|&column| !done[column]) {
                let step = costs[row][column] - row_price[row] - column_price[column];
                if reached + step < distance[column] {
                    distance[column] = reached + step;
                    before[column] = through;
                }
            }
            let open = (0..size).filter(|&column| !done[column]);
            let next = open.min_by(|&a, &b| distance[a].total_cmp(&distance[b]));
            let next = next.expect("there are as many columns as rows");
            done[next] = true;
            reached = distance[next];
            match row_of[next] {
                Some(taken_by) => (row, through) = (taken_by, Some(next)),
                None => break next,
            }
        };
        row_price[start] += reached;
        for column in (0..size).filter(|&column| done[column]) {
            let slack = reached - distance[column];
            column_price[column] -= slack;
            if let Some(row) = row_of[column] {
                row_price[row] += slack;
            }
        }
        // Walk the path back: each column takes the row of the column before it, the first one takes `start`.
        let mut column = free;
        while let Some(previous) = before[column] {
            row_of[column] = row_of[previous];
            column = previous;
        }
        row_of[column] = Some(start);
    }
    let mut pairs = vec![0; size];
    for (column, row) in row_of.iter().enumerate() {
        pairs[row.expect("every column was taken")] = column;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cheapest_by_trying_all(costs: &[Vec<f64>], row: usize, used: &mut Vec<bool>) -> f64 {
        if row == costs.len() {
            return 0.0;
        }
        let mut best = f64::INFINITY;
        for column in 0..costs.len() {
            if !used[column] {
                used[column] = true;
                best = best.min(costs[row][column] + cheapest_by_trying_all(costs, row + 1, used));
                used[column] = false;
            }
        }
        best
    }

    proptest! {
        #[test]
        fn no_pairing_is_cheaper(size in 1_usize..6, values in prop::collection::vec(0_u8..50, 25)) {
            let costs: Vec<Vec<f64>> = (0..size)
                .map(|i| (0..size).map(|j| f64::from(values[i * size + j])).collect())
                .collect();
            let pairs = cheapest_pairs(&costs);
            let mut columns = pairs.clone();
            columns.sort_unstable();
            prop_assert_eq!(columns, (0..size).collect::<Vec<_>>());
            let sum: f64 = pairs.iter().enumerate().map(|(i, &j)| costs[i][j]).sum();
            prop_assert_eq!(sum, cheapest_by_trying_all(&costs, 0, &mut vec![false; size]));
        }
    }

    #[test]
    fn a_permutation_is_undone_and_a_new_centre_stays_alone() {
        let old = [0.0, 10.0, 20.0];
        let new = [19.0, 1.0, 500.0, 11.0];
        let pairs = match_centres(Rows::new(&old, 1).unwrap(), Rows::new(&new, 1).unwrap());
        assert_eq!(pairs, [Some(2), Some(0), None, Some(1)]);
        let fewer = match_centres(
            Rows::new(&old, 1).unwrap(),
            Rows::new(&new[..2], 1).unwrap(),
        );
        assert_eq!(fewer, [Some(2), Some(0)]);
    }
}
