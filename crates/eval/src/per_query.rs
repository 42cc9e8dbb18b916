//! One line a query, to find the photographs behind a number.

use std::io::{self, Read, Write};
use std::path::Path;

use crate::{Convention, RankingMetric, Retrieval};

/// The columns that every such file has.
const COLUMNS: &str = "query,label,relevant,first_hit,average_precision,map_at_r,nearest_wrong,nearest_wrong_squared_distance";

impl Retrieval {
    /// Whether a file begins as one that [`write_csv`](Self::write_csv) wrote.
    pub fn is_csv(path: &Path) -> bool {
        let mut start = vec![0; COLUMNS.len()];
        let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
        read.is_ok() && start == COLUMNS.as_bytes()
    }

    /// Writes one CSV line a query.
    ///
    /// | column | meaning |
    /// |---|---|
    /// | `query` | 0-based row number among the queries |
    /// | `label` | its class |
    /// | `relevant` | R; 0 marks a lone query, whose scores are empty |
    /// | `first_hit` | 1-based rank of the first relevant row |
    /// | `average_precision` | over the whole ranking |
    /// | `map_at_r` | over the first R |
    /// | `nearest_wrong` | gallery row of the nearest row of another class |
    /// | `nearest_wrong_squared_distance` | how near it is |
    /// | `query_path`, `nearest_wrong_path` | if `query_paths` and `gallery_paths` are given: the names of the two rows |
    ///
    /// Values that are not known are empty.
    ///
    /// # Errors
    /// What `out` returns.
    ///
    /// # Panics
    /// If there are fewer paths than rows.
    ///
    /// # Example
    /// ```
    /// use lodestone_eval::{RetrievalConfig, Rows, Search};
    ///
    /// let rows = Rows::new(&[0.0, 1.0, 3.0], 1).unwrap();
    /// let labels = [5, 5, 6];
    /// let retrieval = Search::leave_one_out(rows)?.retrieval(&labels, &labels, &RetrievalConfig::default())?;
    /// let mut csv = Vec::new();
    /// retrieval.write_csv(&mut csv, None, None).unwrap();
    /// let lines: Vec<&str> = std::str::from_utf8(&csv).unwrap().lines().collect();
    /// assert_eq!(lines[1], "0,5,1,1,1,1,2,9");
    /// assert_eq!(lines[3], "2,6,0,,,,1,4");
    /// # Ok::<(), lodestone_eval::EvalError>(())
    /// ```
    pub fn write_csv(
        &self,
        out: &mut dyn Write,
        query_paths: Option<&[String]>,
        gallery_paths: Option<&[String]>,
    ) -> io::Result<()> {
        let paths = query_paths.zip(gallery_paths);
        write!(out, "{COLUMNS}")?;
        writeln!(
            out,
            "{}",
            if paths.is_some() {
                ",query_path,nearest_wrong_path"
            } else {
                ""
            }
        )?;
        for (query, (scores, label)) in self.queries().iter().zip(self.labels()).enumerate() {
            let value = |metric| text(self.of_query(query, metric, Convention::Lodestone));
            write!(
                out,
                "{query},{label},{},{},{},{},{},{}",
                scores.relevant,
                text(scores.first_hit),
                value(RankingMetric::MeanAveragePrecision),
                value(RankingMetric::MapAtR),
                text(scores.nearest_wrong.map(|n| n.row)),
                text(scores.nearest_wrong.map(|n| n.squared_distance)),
            )?;
            if let Some((of_queries, of_gallery)) = paths {
                let wrong = scores.nearest_wrong.map(|n| quoted(&of_gallery[n.row]));
                write!(out, ",{},{}", quoted(&of_queries[query]), text(wrong))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    /// [`write_csv`](Self::write_csv) into a file that appears whole or not at all.
    ///
    /// # Errors
    /// What the file system says, with the path.
    pub fn save_csv(
        &self,
        path: &Path,
        query_paths: Option<&[String]>,
        gallery_paths: Option<&[String]>,
    ) -> Result<(), lodestone_files::WriteError> {
        lodestone_files::write_whole(path, |file| {
            self.write_csv(file, query_paths, gallery_paths)
        })
    }
}

/// A path as a CSV field: in quotes if it holds what would end the field (RFC 4180).
fn quoted(path: &str) -> String {
    match path.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", path.replace('"', "\"\"")),
        false => path.to_owned(),
    }
}

fn text<T: ToString>(value: Option<T>) -> String {
    value.map_or(String::new(), |v| v.to_string())
}

#[cfg(test)]
mod tests {
    use crate::{RetrievalConfig, Rows, Search};

    #[test]
    fn paths_stand_at_the_end_and_are_quoted_where_they_must_be() {
        let rows = Rows::new(&[0.0, 1.0, 3.0], 1).unwrap();
        let labels = [5, 5, 6];
        let search = Search::leave_one_out(rows).unwrap();
        let config = RetrievalConfig::default();
        let retrieval = search.retrieval(&labels, &labels, &config).unwrap();
        let paths = ["a.jpg", "b, \"the\" dog.jpg", "c.jpg"].map(str::to_owned);
        let mut csv = Vec::new();
        retrieval
            .write_csv(&mut csv, Some(&paths), Some(&paths))
            .unwrap();
        let text = String::from_utf8(csv).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with(",query_path,nearest_wrong_path"));
        assert_eq!(lines[1], "0,5,1,1,1,1,2,9,a.jpg,c.jpg");
        assert!(lines[3].ends_with(",c.jpg,\"b, \"\"the\"\" dog.jpg\""));
    }
}
