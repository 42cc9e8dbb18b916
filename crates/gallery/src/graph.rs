//! The graph of a gallery (Malkov, Yashunin, TPAMI 2020), by usearch, whose own programs can read its file.

use std::path::Path;

use lodestone_eval::{Neighbour, Rows, Search};
use lodestone_files::write_whole;
use rayon::prelude::*;
use usearch::{Index, IndexOptions, MetricKind, ScalarKind};

use crate::{Answer, Gallery, GalleryError};

/// Links of a row.
const CONNECTIVITY: usize = 16;
/// Candidates that are kept while a row is added or looked for.
const EXPANSION: usize = 128;

/// The graph of one gallery, as it stood when it was opened.
pub struct Graph {
    index: Index,
    /// Keys of the gallery's rows.
    keys: Vec<u64>,
}

impl Gallery {
    /// Reads the graph that lies beside the gallery's file at `path`, once for any number of searches. A file that is missing or
    /// does not fit is told, not passed over.
    ///
    /// # Errors
    /// If the graph cannot be read, or holds another number of rows or values than the gallery.
    pub fn open_graph(&self, path: &Path) -> Result<Graph, GalleryError> {
        let file = self.graph_file(path);
        let bytes = std::fs::read(&file).map_err(|error| unreadable(&file, error))?;
        let index = Index::restore_from_buffer(&bytes).map_err(|e| unreadable(&file, e))?;
        if index.size() != self.len() || index.dimensions() != self.dim {
            let reason = format!(
                "it holds {} rows of {} values, the gallery {} of {}",
                index.size(),
                index.dimensions(),
                self.len(),
                self.dim
            );
            return Err(unreadable(&file, reason));
        }
        let keys = self.keys.clone();
        Ok(Graph { index, keys })
    }

    /// [`search`](Self::search) through its graph.
    ///
    /// # Errors
    /// As [`search`](Self::search), and if rows came or went since the graph was opened.
    pub fn search_graph(
        &self,
        graph: &Graph,
        queries: Rows,
        count: usize,
        precision: f64,
    ) -> Result<Vec<Answer>, GalleryError> {
        self.check(queries)?;
        // Queries that no distance can be computed with, and counts of 0, are refused as by the exact search.
        Search::between(queries, self.rows())?.forecast_nearest(count)?;
        if graph.keys != self.keys {
            return Err(GalleryError::Graph(
                "rows came or went since it was opened".into(),
            ));
        }
        graph.index.change_expansion_search(EXPANSION.max(count));
        let found: Vec<Vec<Neighbour>> = (0..queries.len())
            .into_par_iter()
            .map(|query| self.ask(&graph.index, queries.row(query), count))
            .collect::<Result<_, _>>()?;
        self.answers(queries, found, precision)
    }

    /// What the graph finds, ranked by exact distances.
    fn ask(
        &self,
        index: &Index,
        query: &[f32],
        count: usize,
    ) -> Result<Vec<Neighbour>, GalleryError> {
        let found = index.search(query, count).map_err(failed)?;
        let rows = found
            .keys
            .iter()
            // Keys ascend with the rows, as rows are only ever added at the end.
            .filter_map(|key| self.keys.binary_search(key).ok());
        let mut neighbours: Vec<Neighbour> = rows
            .map(|row| Neighbour {
                squared_distance: squared(query, self.rows().row(row)),
                row,
            })
            .collect();
        neighbours.sort_unstable_by(|a, b| {
            let distance = a.squared_distance.total_cmp(&b.squared_distance);
            distance.then(a.row.cmp(&b.row))
        });
        Ok(neighbours)
    }

    /// Writes the graph of the rows to `after`, grown from the one at `before` if that is there and can be read.
    pub(crate) fn write_graph(&self, before: &Path, after: &Path) -> Result<(), GalleryError> {
        let index = match std::fs::read(before) {
            Ok(bytes) => Index::restore_from_buffer(&bytes).ok(),
            Err(_) => None,
        };
        let index = match index {
            Some(index) if index.dimensions() == self.dim => index,
            _ => self.empty_graph()?,
        };
        index
            .reserve_capacity_and_threads(self.next_key as usize + 1, rayon::current_num_threads())
            .map_err(failed)?;
        for key in 0..self.next_key {
            let row = self.keys.binary_search(&key);
            match (row, index.contains(key)) {
                (Ok(row), false) => index.add(key, self.rows().row(row)).map_err(failed)?,
                (Err(_), true) => {
                    index.remove(key).map_err(failed)?;
                }
                (Ok(_), true) | (Err(_), false) => {}
            }
        }
        let mut bytes = vec![0; index.serialized_length()];
        index.save_to_buffer(&mut bytes).map_err(failed)?;
        Ok(write_whole(after, |file| file.write_all(&bytes))?)
    }

    fn empty_graph(&self) -> Result<Index, GalleryError> {
        Index::new(&IndexOptions {
            dimensions: self.dim,
            metric: MetricKind::L2sq,
            quantization: ScalarKind::F32,
            connectivity: CONNECTIVITY,
            expansion_add: EXPANSION,
            expansion_search: EXPANSION,
            multi: false,
        })
        .map_err(failed)
    }
}

fn squared(a: &[f32], b: &[f32]) -> f64 {
    let terms = a.iter().zip(b);
    terms
        .map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2))
        .sum()
}

fn failed(error: impl std::fmt::Display) -> GalleryError {
    GalleryError::Graph(error.to_string())
}

fn unreadable(file: &Path, reason: impl ToString) -> GalleryError {
    GalleryError::Read {
        path: file.to_path_buf(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::gallery::tests::{class_of, filled};

    #[test]
    fn the_graph_grows_and_shrinks_with_the_gallery_and_finds_nearly_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.index");
        let mut gallery = filled(&["a", "b"], 60);
        gallery.settings.kind = Kind::Graph;
        gallery.write(&path).unwrap();
        gallery.remove(|path, _| path.ends_with("7.jpg")).unwrap();
        let (values, entries) = class_of("c", 4, 30);
        gallery
            .add(Rows::new(&values, 2).unwrap(), &entries)
            .unwrap();
        gallery.write(&path).unwrap();
        let read = Gallery::read(&path).unwrap();
        let queries = [0.4, 0.1, 40.3, 0.2, 10.8, 0.7];
        let rows = Rows::new(&queries, 2).unwrap();
        let graph = read.open_graph(&path).unwrap();
        let by_graph = read.search_graph(&graph, rows, 5, 0.95).unwrap();
        let exact = read.search(rows, 5, 0.95).unwrap();
        // A graph may miss some, but what it finds it finds with its true distance.
        let mut found = 0;
        for (by_graph, exact) in by_graph.iter().zip(&exact) {
            assert_eq!(by_graph.classes, exact.classes);
            assert_eq!(by_graph.nearest.len(), 5);
            found += by_graph
                .nearest
                .iter()
                .filter(|near| exact.nearest.contains(near))
                .count();
        }
        assert!(found >= 12, "{found} of 15");
        // The graph of the first write is gone.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        // One that is older than the rows is refused.
        let mut fewer = read.clone();
        fewer.remove(|path, _| path.ends_with("8.jpg")).unwrap();
        let old = fewer.search_graph(&graph, rows, 5, 0.95).unwrap_err();
        assert!(old.to_string().contains("came or went"), "{old}");
    }
}
