//! Equal files, and photographs that look alike on both sides of the split.

use std::collections::{BTreeMap, BTreeSet};

use super::{Group, Leak};
use crate::table::{Split, Table};

/// Photographs that differ in at most this many of 128 bits count as the same picture. Eight bands of 16 bits then cannot
/// all differ, which is what makes the search fast.
const MOST_BITS: u32 = 7;
const BANDS: u32 = 8;

/// Groups of rows with the same bytes, in order of their first row.
pub(super) fn exact(table: &Table, sums: &[Option<[u8; 32]>]) -> Vec<Group> {
    let mut by_sum: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
    for (row, sum) in sums.iter().enumerate() {
        if let Some(sum) = sum {
            by_sum.entry(*sum).or_default().push(row);
        }
    }
    let mut groups: Vec<Vec<usize>> = by_sum.into_values().filter(|rows| rows.len() > 1).collect();
    groups.sort();
    groups
        .into_iter()
        .map(|rows| {
            let trains = |row: &usize| table.rows[*row].split == Split::Train;
            let label = table.rows[rows[0]].label;
            Group {
                across_splits: rows.iter().any(trains) && !rows.iter().all(trains),
                across_labels: rows.iter().any(|&row| table.rows[row].label != label),
                paths: rows.into_iter().map(|row| table.describe(row)).collect(),
            }
        })
        .collect()
}

/// Pairs of a training and a held-out row that look alike and are not the same file, by training row.
pub(super) fn near(table: &Table, sums: &[Option<[u8; 32]>], looks: &[Option<u128>]) -> Vec<Leak> {
    let mut pairs = BTreeSet::new();
    for band in 0..BANDS {
        let key = |look: u128| (look >> (16 * band)) as u16;
        let mut training: BTreeMap<u16, Vec<(usize, u128)>> = BTreeMap::new();
        let rows = || {
            looks
                .iter()
                .enumerate()
                .filter_map(|(row, look)| Some((row, (*look)?)))
        };
        for (row, look) in rows().filter(|&(row, _)| table.rows[row].split == Split::Train) {
            training.entry(key(look)).or_default().push((row, look));
        }
        for (held_out, look) in rows().filter(|&(row, _)| table.rows[row].split != Split::Train) {
            for &(row, other) in training.get(&key(look)).map_or(&[][..], Vec::as_slice) {
                if (look ^ other).count_ones() <= MOST_BITS && sums[row] != sums[held_out] {
                    pairs.insert((row, held_out, (look ^ other).count_ones()));
                }
            }
        }
    }
    let leak = |(row, held_out, bits)| Leak {
        training: table.describe(row),
        held_out: table.describe(held_out),
        bits,
    };
    pairs.into_iter().map(leak).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::table::Row;

    #[test]
    fn the_banded_search_finds_what_comparing_all_pairs_finds() {
        let mut state = 1u128;
        let mut next = || {
            state = state.wrapping_mul(0xda94_2042_e4dd_58b5).wrapping_add(1);
            state ^ state << 64
        };
        // Every fourth look is an earlier one with up to 10 bits turned over.
        let mut looks: Vec<Option<u128>> = Vec::new();
        for row in 0..400u32 {
            let turned = (0..row % 11).fold(0u128, |bits, n| bits | (1 << ((n * 37 + row) % 128)));
            let look = if row % 4 == 3 {
                looks[row as usize / 4 * 2].unwrap() ^ turned
            } else {
                next()
            };
            looks.push(Some(look));
        }
        let split = |row: usize| {
            if row.is_multiple_of(2) {
                Split::Train
            } else {
                Split::Test
            }
        };
        let rows = (0..400)
            .map(|row| Row::file(row.to_string(), 0, split(row)))
            .collect();
        let table = Table::of_files("t", Path::new(""), vec!["a".into()], rows);
        let sums: Vec<Option<[u8; 32]>> = (0..400u32)
            .map(|row| {
                let mut sum = [0; 32];
                sum[..4].copy_from_slice(&row.to_le_bytes());
                Some(sum)
            })
            .collect();
        let found = near(&table, &sums, &looks);
        let mut expected = 0;
        for training in (0..400).step_by(2) {
            for held_out in (1..400).step_by(2) {
                let bits = (looks[training].unwrap() ^ looks[held_out].unwrap()).count_ones();
                expected += usize::from(bits <= MOST_BITS);
            }
        }
        assert!(expected > 20, "{expected} pairs to find");
        assert_eq!(found.len(), expected);
    }
}
