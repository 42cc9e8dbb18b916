//! One line a query, to find the photographs behind a number.

use std::io::{self, Write};
use std::path::Path;

use crate::{Convention, RankingMetric, Retrieval};

impl Retrieval {
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
    ///
    /// Values that are not known are empty.
    ///
    /// # Errors
    /// What `out` returns.
    ///
    /// # Example
    /// ```
    /// use lodestone_eval::{RetrievalConfig, Rows, Search};
    ///
    /// let rows = Rows::new(&[0.0, 1.0, 3.0], 1).unwrap();
    /// let labels = [5, 5, 6];
    /// let retrieval = Search::leave_one_out(rows)?.retrieval(&labels, &labels, &RetrievalConfig::default())?;
    /// let mut csv = Vec::new();
    /// retrieval.write_csv(&mut csv).unwrap();
    /// let lines: Vec<&str> = std::str::from_utf8(&csv).unwrap().lines().collect();
    /// assert_eq!(lines[1], "0,5,1,1,1,1,2,9");
    /// assert_eq!(lines[3], "2,6,0,,,,1,4");
    /// # Ok::<(), lodestone_eval::EvalError>(())
    /// ```
    pub fn write_csv(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "query,label,relevant,first_hit,average_precision,map_at_r,nearest_wrong,nearest_wrong_squared_distance"
        )?;
        for (query, (scores, label)) in self.queries().iter().zip(self.labels()).enumerate() {
            let value = |metric| text(self.of_query(query, metric, Convention::Lodestone));
            writeln!(
                out,
                "{query},{label},{},{},{},{},{},{}",
                scores.relevant,
                text(scores.first_hit),
                value(RankingMetric::MeanAveragePrecision),
                value(RankingMetric::MapAtR),
                text(scores.nearest_wrong.map(|n| n.row)),
                text(scores.nearest_wrong.map(|n| n.squared_distance)),
            )?;
        }
        Ok(())
    }

    /// [`write_csv`](Self::write_csv) into a file that appears whole or not at all.
    ///
    /// # Errors
    /// What the file system says, with the path.
    pub fn save_csv(&self, path: &Path) -> Result<(), lodestone_files::WriteError> {
        lodestone_files::write_whole(path, |file| self.write_csv(file))
    }
}

fn text<T: ToString>(value: Option<T>) -> String {
    value.map_or(String::new(), |v| v.to_string())
}
