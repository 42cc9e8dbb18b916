//! Which photographs the page holds, and where each of them stands.

use std::collections::BTreeMap;

use super::{EXEMPLARS, Findings};
use crate::material::{Material, Place};

/// Photographs in an order, each once.
#[derive(Debug, Clone, Default)]
pub(super) struct Ordered {
    places: Vec<Place>,
    slots: BTreeMap<Place, usize>,
}

impl Ordered {
    fn add(&mut self, place: Place) {
        let next = self.places.len();
        self.slots.entry(place).or_insert_with(|| {
            self.places.push(place);
            next
        });
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    pub(super) fn slot(&self, place: Place) -> Option<usize> {
        self.slots.get(&place).copied()
    }
}

/// The photographs of a page.
pub(super) struct Slots {
    /// Those that are shown at once: strips, mistakes, modes.
    pub(super) large: Ordered,
    /// Those that are shown on demand: points of the map and their neighbours.
    pub(super) small: Ordered,
}

impl Slots {
    /// Everything that is shown at once, and up to `most` of the others.
    pub(super) fn new(material: &Material, findings: &Findings, most: usize) -> Self {
        let mut large = Ordered::default();
        let Findings {
            answers, strips, ..
        } = findings;
        for &query in strips.worst.iter().chain(&strips.best) {
            large.add(Place::Query(query));
            for neighbour in &answers.neighbours[query] {
                large.add(material.place(neighbour.row));
            }
        }
        for pair in &findings.confused {
            pair.examples
                .iter()
                .for_each(|&query| large.add(Place::Query(query)));
        }
        for &number in &findings.clusters {
            for &row in material.clusters[number].exemplars.iter().take(EXEMPLARS) {
                large.add(material.place(row));
            }
        }
        let mut small = Ordered::default();
        let queries = material.queries.rows.len();
        // Evenly over the rows, so that no class is left out where rows are sorted by class.
        let stride = queries.div_ceil(most.max(1)).max(1);
        for query in (0..queries).step_by(stride).take(most) {
            small.add(Place::Query(query));
        }
        for row in most_found(findings, material.found().rows.len()) {
            if small.len() >= most {
                break;
            }
            small.add(material.place(row));
        }
        Self { large, small }
    }
}

/// Rows that are neighbours, those of the most queries first.
fn most_found(findings: &Findings, rows: usize) -> Vec<usize> {
    let mut times = vec![0_usize; rows];
    for neighbour in findings.answers.neighbours.iter().flatten() {
        times[neighbour.row] += 1;
    }
    let mut order: Vec<usize> = (0..rows).filter(|&row| times[row] > 0).collect();
    order.sort_by_key(|&row| std::cmp::Reverse(times[row]));
    order
}
