//! Which part of all embeddings a file holds.

use std::fmt;
use std::str::FromStr;

use crate::LabelTable;

/// The name under which a part says what it is: a column of text, a note of Parquet.
pub(crate) const NOTE: &str = "shard";

/// One of several parts that are made each for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    pub number: usize,
    /// Of how many.
    pub count: usize,
    /// A fingerprint of what the whole is made of; parts of one whole have the same. A word without white space.
    pub whole: String,
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{} {}", self.number, self.count, self.whole)
    }
}

impl FromStr for Shard {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (part, whole) = text.split_once(' ').ok_or(())?;
        let (number, count) = part.split_once('/').ok_or(())?;
        let (number, count) = (number.parse().map_err(drop)?, count.parse().map_err(drop)?);
        match (1..=count).contains(&number) {
            true => Ok(Self {
                number,
                count,
                whole: whole.to_owned(),
            }),
            false => Err(()),
        }
    }
}

impl Shard {
    /// The part that every row of a table says to be of.
    pub(crate) fn of(table: &LabelTable) -> Option<Self> {
        let column = table.get(NOTE)?;
        let first = column.first()?;
        let all = column.iter().all(|text| text == first);
        all.then(|| first.parse().ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_reads_back_from_its_words_and_nothing_else_is_one() {
        let shard = Shard {
            number: 3,
            count: 16,
            whole: "4f2a".into(),
        };
        assert_eq!(shard.to_string().parse(), Ok(shard));
        for text in ["", "3/16", "0/2 a", "3/2 a", "x/2 a", "3 2"] {
            assert_eq!(text.parse::<Shard>(), Err(()), "{text:?}");
        }
    }
}
