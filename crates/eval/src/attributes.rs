//! Attribute concentration: do neighbours share what nobody trained for?
//!
//! Rippel et al., ICLR 2016, section on attribute concentration. Images carry attribute labels +1, -1 or 0, where 0 is
//! ambiguous and never used. For a query that has an attribute, the curve tells which share of its n nearest usable images has
//! it too; the base line is the share among all usable images that the query sees.

use serde::{Deserialize, Serialize};

use crate::nearest::NearestRows;
use crate::sweep::{Candidate, Collector};
use crate::visibility::Hidden;
use crate::{EvalError, Search};

/// The label of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Attribute {
    /// The image has it: +1.
    Present,
    /// The image lacks it: -1.
    Absent,
    /// Not decided: 0. Never used.
    Ambiguous,
}

/// How concentrated attributes are around images that have them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Concentration {
    /// Names of the attributes, in the order of `per_attribute`; empty where the caller has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The neighbourhood sizes n.
    pub sizes: Vec<usize>,
    /// Mean over all pairs of an image and an attribute that it has.
    pub pooled: Curve,
    /// Mean over attributes of the mean over images: each attribute counts alike.
    pub over_attributes: Curve,
    /// The curve of each attribute; absent where no image can be asked.
    pub per_attribute: Vec<Option<Curve>>,
}

/// Share of neighbours with the attribute, by neighbourhood size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// One share for each n.
    pub shares: Vec<f64>,
    /// The mean over queries of the share among all usable images that the query sees: not itself, nor what else is hidden from it.
    pub base: f64,
    /// Images (or image-attribute pairs, or attributes) in the mean.
    pub count: usize,
}

/// Measures the `attributes` of the rows of `search`, which looks for each row among all the others.
///
/// # Shapes
/// - attributes: one list a attribute, each `[rows]`
/// - sizes: the n, each at least 1; an n above the number of usable images means all of them
///
/// # Errors
/// If an attribute has another number of labels than there are rows, a size is 0, or no image has any attribute while another
/// is usable.
///
/// # Example
/// ```
/// use lodestone_eval::{Attribute::*, Rows, Search, concentration};
///
/// let rows = Rows::new(&[0.0, 1.0, 2.5, 9.0], 1).unwrap();
/// let striped = vec![Present, Present, Absent, Present];
/// let result = concentration(&Search::leave_one_out(rows)?, &[striped], &[1, 2])?;
/// // Nearest of 0, 1 and 9 are 1, 0 and 2.5; their second are 2.5, 2.5 and 1.
/// assert_eq!(result.pooled.shares, [2.0 / 3.0, 0.5]);
/// assert_eq!(result.pooled.base, 2.0 / 3.0);
/// # Ok::<(), lodestone_eval::EvalError>(())
/// ```
pub fn concentration(
    search: &Search,
    attributes: &[Vec<Attribute>],
    sizes: &[usize],
) -> Result<Concentration, EvalError> {
    let rows = search.gallery().len();
    for labels in attributes {
        if labels.len() != rows || search.queries().len() != rows {
            return Err(EvalError::Count {
                what: "attribute labels",
                entries: labels.len(),
                rows,
            });
        }
    }
    let Some(&largest) = sizes.iter().max() else {
        return Err(EvalError::Empty("neighbourhood sizes"));
    };
    if sizes.contains(&0) {
        return Err(EvalError::OutOfRange {
            name: "n",
            value: 0.0,
            must_be: "at least 1",
        });
    }
    let per_attribute: Vec<Option<Curve>> = attributes
        .iter()
        .map(|labels| curve(search, labels, sizes, largest))
        .collect::<Result<_, _>>()?;
    let known: Vec<&Curve> = per_attribute.iter().flatten().collect();
    if known.is_empty() {
        return Err(EvalError::Empty(
            "images with an attribute and another usable image",
        ));
    }
    let pooled = average(
        &known,
        |curve| curve.count as f64,
        known.iter().map(|c| c.count).sum(),
    );
    let over_attributes = average(&known, |_| 1.0, known.len());
    Ok(Concentration {
        names: Vec::new(),
        sizes: sizes.to_vec(),
        pooled,
        over_attributes,
        per_attribute,
    })
}

/// The mean of curves of which each has a weight.
fn average(curves: &[&Curve], weight: impl Fn(&Curve) -> f64, count: usize) -> Curve {
    let total: f64 = curves.iter().map(|c| weight(c)).sum();
    let mean = |value: &dyn Fn(&Curve) -> f64| {
        curves.iter().map(|c| weight(c) * value(c)).sum::<f64>() / total
    };
    Curve {
        shares: (0..curves[0].shares.len())
            .map(|i| mean(&|c| c.shares[i]))
            .collect(),
        base: mean(&|c| c.base),
        count,
    }
}

/// The curve of one attribute, or `None` if no image has it or none could be its neighbour.
fn curve(
    search: &Search,
    labels: &[Attribute],
    sizes: &[usize],
    largest: usize,
) -> Result<Option<Curve>, EvalError> {
    let usable = labels
        .iter()
        .filter(|l| **l != Attribute::Ambiguous)
        .count();
    let present = labels.iter().filter(|l| **l == Attribute::Present).count();
    if present == 0 || usable < 2 {
        return Ok(None);
    }
    let hidden = Hidden::new(search.visibility());
    // Of the usable images that the query sees, the share that has the attribute: what its neighbours are compared with.
    let base = |query: usize| {
        let (mut seen, mut having) = (usable, present);
        for row in hidden.of(query) {
            seen -= usize::from(labels[row] != Attribute::Ambiguous);
            having -= usize::from(labels[row] == Attribute::Present);
        }
        having as f64 / seen as f64
    };
    let k = largest.min(usable - 1);
    let plan = search.plan(NearestRows::bytes(k), (sizes.len() * 8 + 32) as f64)?;
    let shares: Vec<Option<(Vec<f64>, f64)>> = search.sweep(
        &plan,
        |query| match labels[query] {
            Attribute::Present => UsableRows {
                labels,
                nearest: Some(NearestRows::new(k)),
            },
            Attribute::Absent | Attribute::Ambiguous => UsableRows {
                labels,
                nearest: None,
            },
        },
        |query, rows| {
            let neighbours = rows.nearest?.finish(|row| search.exact(query, row));
            if neighbours.is_empty() {
                return None;
            }
            let share = |&n: &usize| {
                let first = &neighbours[..n.min(neighbours.len())];
                let hits = first
                    .iter()
                    .filter(|n| labels[n.row] == Attribute::Present)
                    .count();
                hits as f64 / first.len() as f64
            };
            Some((sizes.iter().map(share).collect(), base(query)))
        },
    );
    let asked: Vec<(Vec<f64>, f64)> = shares.into_iter().flatten().collect();
    if asked.is_empty() {
        return Ok(None);
    }
    let count = asked.len() as f64;
    let mean = |i: usize| asked.iter().map(|(shares, _)| shares[i]).sum::<f64>() / count;
    Ok(Some(Curve {
        shares: (0..sizes.len()).map(mean).collect(),
        base: asked.iter().map(|(_, base)| base).sum::<f64>() / count,
        count: asked.len(),
    }))
}

/// The nearest rows whose label is decided, for a query that has the attribute; nothing for any other query.
struct UsableRows<'a> {
    labels: &'a [Attribute],
    nearest: Option<NearestRows>,
}

impl Collector for UsableRows<'_> {
    fn bound(&self) -> f32 {
        self.nearest
            .as_ref()
            .map_or(f32::NEG_INFINITY, Collector::bound)
    }

    fn offer(&mut self, candidate: Candidate, exact: impl Fn(u32) -> f64) {
        if let Some(nearest) = &mut self.nearest
            && self.labels[candidate.row as usize] != Attribute::Ambiguous
        {
            nearest.offer(candidate, exact);
        }
    }
}

#[cfg(test)]
mod tests {
    use Attribute::{Absent, Ambiguous, Present};

    use super::*;
    use crate::Rows;

    #[test]
    fn ambiguous_images_are_neither_asked_nor_counted() {
        let rows = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        let search = Search::leave_one_out(Rows::new(&rows, 1).unwrap()).unwrap();
        let spots = vec![Present, Ambiguous, Present, Absent, Ambiguous, Absent];
        let nobody = vec![Absent; 6];
        let all = vec![Present; 6];
        let result = concentration(&search, &[spots, nobody, all], &[1, 2, 3, 50]).unwrap();
        // Row 0 sees rows 2, 3, 5 (+ - -); row 2 sees 3, 0, 5 (- + -).
        let spots = result.per_attribute[0].as_ref().unwrap();
        assert_eq!(spots.shares, [0.5, 0.5, 1.0 / 3.0, 1.0 / 3.0]);
        assert_eq!((spots.base, spots.count), (1.0 / 3.0, 2));
        assert_eq!(result.per_attribute[1], None);
        assert_eq!(result.pooled.count, 8);
        assert!((result.pooled.shares[0] - 7.0 / 8.0).abs() < 1e-12);
        assert!((result.over_attributes.shares[0] - 0.75).abs() < 1e-12);
        assert!((result.over_attributes.base - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn images_of_the_own_sequence_are_neither_neighbours_nor_base() {
        let rows = [0.0, 0.1, 3.0, 4.0, 5.0];
        let sequences = [0, 0, 1, 1, 2];
        let search = Search::leave_one_out(Rows::new(&rows, 1).unwrap()).unwrap();
        let hidden = search
            .visibility()
            .without_own_sequence(&sequences, &sequences);
        let search = search.with_visibility(hidden).unwrap();
        let spots = vec![Present, Present, Absent, Ambiguous, Present];
        let result = concentration(&search, &[spots], &[1]).unwrap();
        // Rows 0 and 1 see 2 and 4 (- +), row 4 sees 0, 1 and 2, of which 2 is nearest.
        let spots = result.per_attribute[0].as_ref().unwrap();
        assert_eq!((spots.shares[0], spots.count), (0.0, 3));
        let base = (0.5 + 0.5 + 2.0 / 3.0) / 3.0;
        assert!((spots.base - base).abs() < 1e-12, "{}", spots.base);
    }

    #[test]
    fn nothing_to_ask_is_an_error() {
        let search = Search::leave_one_out(Rows::new(&[0.0, 1.0], 1).unwrap()).unwrap();
        assert!(concentration(&search, &[vec![Absent, Absent]], &[1]).is_err());
        assert!(concentration(&search, &[vec![Present, Ambiguous]], &[1]).is_err());
        assert!(concentration(&search, &[vec![Present]], &[1]).is_err());
        assert!(concentration(&search, &[vec![Present, Present]], &[0]).is_err());
        assert!(concentration(&search, &[vec![Present, Present]], &[]).is_err());
    }
}
