//! How much memory a search may take, and what it will take, known before it starts.

use std::str::FromStr;

use crate::{Bytes, EvalError};

impl FromStr for Bytes {
    type Err = EvalError;

    fn from_str(text: &str) -> Result<Self, EvalError> {
        let bad = || EvalError::BadSize {
            text: text.to_owned(),
        };
        let trimmed = text.trim();
        let digits = trimmed
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(trimmed.len());
        let number: f64 = trimmed[..digits].parse().map_err(|_| bad())?;
        let unit = match trimmed[digits..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "k" | "kb" => 1e3,
            "m" | "mb" => 1e6,
            "g" | "gb" => 1e9,
            "t" | "tb" => 1e12,
            "kib" => 1024.0,
            "mib" => 1024.0 * 1024.0,
            "gib" => 1024.0 * 1024.0 * 1024.0,
            _ => return Err(bad()),
        };
        Ok(Bytes((number * unit) as u64))
    }
}

/// What a search will cost, to be shown before it starts.
///
/// The arithmetic is exact; seconds depend on the machine, so [`seconds`](Self::seconds) takes a rate that the caller has
/// measured, for instance on the first thousand rows.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Forecast {
    /// Number of queries.
    pub queries: usize,
    /// Number of gallery rows.
    pub gallery: usize,
    /// Length of an embedding.
    pub dim: usize,
    /// The embeddings of queries and gallery; counted once if they are the same rows.
    pub embeddings: Bytes,
    /// Everything the search allocates: distance tiles, lists per query, results.
    pub working: Bytes,
    /// Multiplications with an addition in the distance tiles.
    pub multiply_adds: f64,
}

impl Forecast {
    /// Embeddings and working memory together.
    pub fn total(&self) -> Bytes {
        Bytes(self.embeddings.0 + self.working.0)
    }

    /// One line for people.
    pub fn line(&self) -> String {
        format!(
            "{} queries in {} rows of {} values: {} in all ({} embeddings, {} work), {:.2e} multiply-adds",
            self.queries,
            self.gallery,
            self.dim,
            self.total(),
            self.embeddings,
            self.working,
            self.multiply_adds
        )
    }

    /// Seconds at a rate of `multiply_adds_per_second`.
    pub fn seconds(&self, multiply_adds_per_second: f64) -> f64 {
        self.multiply_adds / multiply_adds_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forecast_names_memory_and_work() {
        let forecast = Forecast {
            queries: 4,
            gallery: 9,
            dim: 8,
            embeddings: Bytes(2_000),
            working: Bytes(500),
            multiply_adds: 288.0,
        };
        assert_eq!(
            forecast.line(),
            "4 queries in 9 rows of 8 values: 2.5 kB in all (2.0 kB embeddings, 500 B work), 2.88e2 multiply-adds"
        );
        assert_eq!(forecast.seconds(144.0), 2.0);
    }

    #[test]
    fn sizes_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("17b", 17),
            ("3 kB", 3000),
            ("2GB", 2_000_000_000),
            ("2GiB", 2_147_483_648),
            ("0.5m", 500_000),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "GB", "2 sheep", "-1MB", "1.2.3GB"] {
            let error = text.parse::<Bytes>().unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
