//! A map of the test images of two merged classes: do the classes that training did not tell apart lie apart?

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};
use bhtsne::tSNE;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::kept::{Labels, Matrix};
use crate::files::write_whole;

/// Images on a map at most; a page has to stay quick.
const MOST: usize = 600;
const PERPLEXITY: f32 = 30.0;
const EPOCHS: usize = 500;
const SEED: u64 = 0;

/// Name of the file in the folder of a run.
pub(crate) const FILE: &str = "map.json";

/// A point of a map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    /// Row among the test images, and place on the sheet of pictures.
    pub(crate) row: usize,
    pub(crate) x: f32,
    pub(crate) y: f32,
    /// The class that training saw, and the class below it.
    pub(crate) trained: usize,
    pub(crate) fine: usize,
}

/// A map, and how many pictures stand in a line of the sheet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Map {
    pub(crate) points: Vec<Point>,
    pub(crate) columns: usize,
}

/// Draws the map of kept embeddings into the folder of the run, and measures how far the fine classes lie apart.
pub(crate) fn measure(kept: &Path, run: &Path) -> Result<BTreeMap<String, f64>> {
    let matrix = Matrix::read(&kept.join("queries.npy"))?;
    let labels = Labels::read(&kept.join("queries.csv"))?;
    let all = matrix.rows();
    ensure!(
        all.len() == labels.fine.len(),
        "{} has {} embeddings and {} labels",
        kept.display(),
        all.len(),
        labels.fine.len()
    );
    let mut shown: Vec<usize> = (0..all.len())
        .filter(|&row| labels.trained[row] < 2)
        .collect();
    let stride = shown.len().div_ceil(MOST).max(1);
    shown = shown.into_iter().step_by(stride).collect();
    ensure!(
        shown.len() as f32 > 3.0 * PERPLEXITY,
        "{} test images of two classes are too few for a map",
        shown.len()
    );
    let rows: Vec<&[f32]> = shown.iter().map(|&row| all[row]).collect();
    let places = places(&rows)?;
    let pick = |of: &[usize]| shown.iter().map(|&row| of[row]).collect::<Vec<usize>>();
    let (trained, fine) = (pick(&labels.trained), pick(&labels.fine));
    let flat: Vec<&[f32]> = places.chunks_exact(2).collect();
    let measures = BTreeMap::from([
        ("silhouette".to_owned(), silhouette(&rows, &trained, &fine)),
        (
            "silhouette_on_map".to_owned(),
            silhouette(&flat, &trained, &fine),
        ),
    ]);
    let points = shown.iter().zip(&flat).zip(trained.iter().zip(&fine));
    let map = Map {
        points: points
            .map(|((&row, place), (&trained, &fine))| Point {
                row,
                x: place[0],
                y: place[1],
                trained,
                fine,
            })
            .collect(),
        columns: (all.len() as f64).sqrt().ceil() as usize,
    };
    write_whole(&run.join(FILE), serde_json::to_string(&map)?.as_bytes())?;
    Ok(measures)
}

/// t-SNE in two dimensions, `[x, y, x, y, ..]`; exact, from a seeded start and on one thread, whose sums have one order, so that a
/// map can be drawn again.
fn places(rows: &[&[f32]]) -> Result<Vec<f32>> {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let start: Vec<f32> = (0..2 * rows.len())
        .map(|_| 1e-2 * (random.random::<f32>() - 0.5))
        .collect();
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    Ok(one.install(|| {
        let mut tsne: tSNE<'_, f32, &[f32]> = tSNE::new(rows);
        tsne.perplexity(PERPLEXITY)
            .epochs(EPOCHS)
            .initial_embedding(start)
            .exact(|a, b| distance(a, b) as f32);
        tsne.embedding()
    }))
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>().sqrt()
}

/// Mean silhouette of the fine classes, each image seen among those of its trained class alone (Rousseeuw 1987): 1 where they
/// are far apart, 0 where they mix.
fn silhouette(rows: &[&[f32]], trained: &[usize], fine: &[usize]) -> f64 {
    let mut values = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        // Sum and count of the distances to each fine class.
        let mut sums: BTreeMap<usize, (f64, usize)> = BTreeMap::new();
        for (j, other) in rows.iter().enumerate() {
            if i != j && trained[i] == trained[j] {
                let sum = sums.entry(fine[j]).or_default();
                *sum = (sum.0 + distance(row, other), sum.1 + 1);
            }
        }
        let mean = |class: &usize| sums.get(class).map(|(sum, count)| sum / *count as f64);
        let others = sums
            .keys()
            .filter(|&class| *class != fine[i])
            .filter_map(mean);
        let nearest = others.fold(f64::INFINITY, f64::min);
        if let Some(own) = mean(&fine[i])
            && nearest.is_finite()
        {
            values.push((nearest - own) / nearest.max(own).max(1e-12));
        }
    }
    super::stats::mean(&values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silhouette_is_near_one_for_classes_apart_and_looks_only_inside_the_trained_class() {
        let rows: Vec<Vec<f32>> = [0.0, 0.1, 10.0, 10.1, 5.0, 5.1].map(|x| vec![x]).into();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let fine = [0, 0, 1, 1, 2, 3];
        // Rows 4 and 5 are alone of their fine classes and tell nothing.
        let apart = silhouette(&rows, &[0, 0, 0, 0, 1, 1], &fine);
        assert!((apart - 0.99).abs() < 1e-3, "{apart}");
        let mixed = silhouette(&rows[..4], &[0; 4], &[0, 1, 0, 1]);
        assert!(mixed < 0.0, "{mixed}");
    }

    #[test]
    fn a_map_is_drawn_alike_twice_and_keeps_two_groups_apart() {
        let rows: Vec<[f32; 2]> = (0..120)
            .map(|i| [if i < 60 { 0.0 } else { 40.0 }, i as f32 % 7.0])
            .collect();
        let rows: Vec<&[f32]> = rows.iter().map(<[f32; 2]>::as_slice).collect();
        let (first, second) = (places(&rows).unwrap(), places(&rows).unwrap());
        assert_eq!(first.len(), 240);
        assert!(first.iter().all(|value| value.is_finite()));
        let flat: Vec<&[f32]> = first.chunks_exact(2).collect();
        let fine: Vec<usize> = (0..120).map(|i| usize::from(i >= 60)).collect();
        assert!(silhouette(&flat, &[0; 120], &fine) > 0.5);
        assert_eq!(first, second);
    }
}
