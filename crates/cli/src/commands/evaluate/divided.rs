//! Which rows of a file train and which are held out, as its column `split` says.

use std::collections::BTreeSet;

use anyhow::Result;
use lodestone_eval::Mode;
use lodestone_exchange::LabelTable;

/// Rows of a file by their use.
#[derive(Debug)]
pub(crate) struct Divided {
    /// Rows that train, ascending.
    pub(crate) train: Vec<usize>,
    /// Rows that are judged, ascending: those of `test`, or where there are none those of `validation`.
    pub(crate) held_out: Vec<usize>,
    /// Whether a training row has the class of each held-out row.
    pub(crate) seen: Vec<bool>,
    /// Number of all rows.
    rows: usize,
}

/// What the column says.
#[derive(Debug)]
pub(crate) enum Division {
    /// Nothing, or all rows are of one kind.
    None,
    /// Something else, which the note names.
    Unread(String),
    /// Which rows train and which are held out.
    Some(Divided),
}

impl Division {
    /// Reads the column `split`; classes are those of the column `label`.
    pub(crate) fn of(table: &LabelTable, label: &str) -> Result<Self> {
        let Some(split) = table.get("split") else {
            return Ok(Self::None);
        };
        let known = ["train", "validation", "test"];
        if let Some(other) = split.iter().find(|text| !known.contains(&text.as_str())) {
            return Ok(Self::Unread(format!(
                "{}: the column `split` says `{other}`, which is none of {}: all rows are judged together",
                table.file().display(),
                known.join(", ")
            )));
        }
        let rows = |name: &str| -> Vec<usize> {
            let all = split.iter().enumerate();
            all.filter(|(_, text)| *text == name)
                .map(|(row, _)| row)
                .collect()
        };
        let (train, test) = (rows("train"), rows("test"));
        let held_out = match test.is_empty() {
            true => rows("validation"),
            false => test,
        };
        if train.is_empty() || held_out.is_empty() {
            return Ok(Self::None);
        }
        let labels = table.column(label)?;
        let trained: BTreeSet<&String> = train.iter().map(|&row| &labels[row]).collect();
        Ok(Self::Some(Divided {
            seen: held_out
                .iter()
                .map(|&row| trained.contains(&labels[row]))
                .collect(),
            rows: split.len(),
            train,
            held_out,
        }))
    }
}

impl Divided {
    /// What is judged, in words.
    pub(crate) fn note(&self, mode: Mode) -> String {
        format!(
            "by the column `split` {} of {} rows are held out and {} train: {}",
            self.held_out.len(),
            self.rows,
            self.train.len(),
            mode.words()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn division(lines: &str) -> Division {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.csv");
        lodestone_files::write_whole(&file, |out| write!(out, "label,split\n{lines}")).unwrap();
        Division::of(&LabelTable::read(&file, "label").unwrap(), "label").unwrap()
    }

    #[test]
    fn test_rows_are_held_out_and_those_of_validation_where_there_are_none() {
        for (lines, train, held_out, seen) in [
            (
                "a,train\nb,validation\na,validation\n",
                &[0][..],
                &[1, 2][..],
                &[false, true][..],
            ),
            ("a,validation\na,test\na,train\n", &[2], &[1], &[true]),
        ] {
            let Division::Some(divided) = division(lines) else {
                panic!("{lines}");
            };
            assert_eq!(divided.train, train);
            assert_eq!(divided.held_out, held_out);
            assert_eq!(divided.seen, seen);
        }
    }

    #[test]
    fn rows_of_one_kind_are_not_divided_and_other_words_are_named() {
        for lines in ["a,train\nb,train\n", "a,test\n", "a,validation\nb,test\n"] {
            assert!(matches!(division(lines), Division::None), "{lines}");
        }
        let Division::Unread(note) = division("a,train\nb,val\n") else {
            panic!("`val` was read");
        };
        assert!(note.contains("the column `split` says `val`"), "{note}");
    }
}
