//! What is known of each row beside its embedding: label, path, series, role.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use csv::StringRecord;

use crate::error::read;
use crate::labels::{is_missing, without_fractions};
use crate::matrix::ValueColumns;
use crate::table::TextTable;
use crate::{ExchangeError, Place, npy, tensors};

/// Columns by name, each with a value a row: from CSV, from Parquet, or from an array of labels.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelTable {
    file: PathBuf,
    columns: BTreeMap<String, Vec<String>>,
    places: Vec<Place>,
    /// Where the columns are named, if lines are.
    header: &'static str,
}

/// Columns whose texts are names as they stand: nothing in them is a number or a space too many.
const NAMES: [&str; 2] = ["path", "class_name"];

impl LabelTable {
    /// Reads a table; what has no names of columns, an array or a list of numbers, is the column `list`.
    ///
    /// What the file holds decides how it is read: Parquet, `.npy`, the `labels` of an `.npz`, else CSV; the ending `.safetensors`
    /// the `labels` of such a file.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, has two columns of one name, or an array holds no labels.
    pub fn read(file: &Path, list: &str) -> Result<Self, ExchangeError> {
        let bytes = read(file)?;
        let tensors = file
            .extension()
            .is_some_and(|ending| ending == "safetensors");
        let labels = if bytes.starts_with(b"\x93NUMPY") {
            npy::labels(Cursor::new(&bytes)).map(Some)
        } else if bytes.starts_with(b"PK\x03\x04") {
            npy::labels_in(&bytes)
        } else if tensors {
            tensors::labels_in(&bytes)
        } else {
            return Self::of_table(file, TextTable::new(file, &bytes)?, list, None);
        };
        let no_labels = |problem| ExchangeError::Array {
            path: file.to_path_buf(),
            problem,
        };
        let labels = labels.map_err(no_labels)?;
        let labels = labels.ok_or_else(|| no_labels("holds no `labels`".to_owned()))?;
        Ok(Self::of_array(file, labels, list))
    }

    /// An array of labels as the column `list`.
    pub(crate) fn of_array(file: &Path, labels: Vec<String>, list: &str) -> Self {
        let mut table = Self {
            file: file.to_path_buf(),
            places: (0..labels.len() as u64).map(Place::Row).collect(),
            columns: BTreeMap::from([(list.to_owned(), labels)]),
            header: "labels",
        };
        table.tidy();
        table
    }

    /// The columns of a table but for those of embeddings, whose values are gathered.
    pub(crate) fn of_table(
        file: &Path,
        table: TextTable<'_>,
        list: &str,
        mut embeddings: Option<&mut ValueColumns<'_>>,
    ) -> Result<Self, ExchangeError> {
        let table = table.with_bare_list_as(list);
        let header_place = table.header_place();
        let mut columns = Vec::<(usize, String, Vec<String>)>::new();
        for (position, name) in table.header().iter().enumerate() {
            let embedded = embeddings
                .as_ref()
                .is_some_and(|those| those.contains(position));
            // Spreadsheets leave columns without a name behind.
            if embedded || name.is_empty() || !table.holds_values(name) {
                continue;
            }
            if columns.iter().any(|(_, other, _)| other == name) {
                let problem = format!("two columns `{name}`");
                return Err(ExchangeError::content(file, header_place, problem));
            }
            columns.push((position, name.to_owned(), Vec::new()));
        }
        let names: Vec<String> = columns.iter().map(|(_, name, _)| name.clone()).collect();
        let mut places = Vec::new();
        let take = |place: Place, record: &StringRecord| {
            places.push(place);
            for (position, _, column) in &mut columns {
                column.push(record.get(*position).unwrap_or_default().to_owned());
            }
            match &mut embeddings {
                Some(embeddings) => embeddings.add(place, record),
                None => Ok(()),
            }
        };
        table.each_row(|name| names.iter().any(|known| known == name), take)?;
        let columns = columns.into_iter().map(|(_, name, column)| (name, column));
        let mut table = Self {
            file: file.to_path_buf(),
            columns: columns.collect(),
            places,
            header: header_place,
        };
        table.tidy();
        Ok(table)
    }

    /// Takes off what pandas, numpy and spreadsheets add to a value.
    fn tidy(&mut self) {
        for (name, column) in &mut self.columns {
            if NAMES.contains(&name.as_str()) {
                continue;
            }
            for text in column.iter_mut() {
                if text.trim().len() < text.len() {
                    *text = text.trim().to_owned();
                }
            }
            without_fractions(column.iter_mut());
        }
    }

    /// The same for some rows only.
    pub fn gather(&self, rows: &[usize]) -> Self {
        let gathered = |column: &Vec<String>| rows.iter().map(|&row| column[row].clone()).collect();
        let columns = self.columns.iter();
        Self {
            file: self.file.clone(),
            columns: columns
                .map(|(name, column)| (name.clone(), gathered(column)))
                .collect(),
            places: rows.iter().map(|&row| self.places[row]).collect(),
            header: self.header,
        }
    }

    /// The file it came from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.places.len()
    }

    /// The names of the columns, ascending.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.keys().map(String::as_str)
    }

    /// A column that may be missing, and whose values may be.
    pub fn get(&self, name: &str) -> Option<&[String]> {
        self.columns.get(name).map(Vec::as_slice)
    }

    /// A column that has to be there, with a value in every row.
    ///
    /// # Errors
    /// If it is not, or with the first row that [lacks](is_missing) its value.
    pub fn column(&self, name: &str) -> Result<&[String], ExchangeError> {
        let column = self.get(name).ok_or_else(|| self.lacks(name))?;
        match column.iter().position(|text| is_missing(text)) {
            None => Ok(column),
            Some(row) => {
                let missing = column.iter().filter(|text| is_missing(text)).count();
                let all = match missing {
                    1 => String::new(),
                    missing => format!("; {missing} of {} rows have none", column.len()),
                };
                let problem = format!("{:?} is no value{all}", column[row]);
                Err(self.wrong(row, name, problem))
            }
        }
    }

    /// A column of truth values: `is_query`, `is_gallery`.
    ///
    /// # Errors
    /// As [`column`](Self::column), or with the first row whose value is neither true nor false.
    pub fn flags(&self, name: &str) -> Result<Vec<bool>, ExchangeError> {
        let flag = |(row, text): (usize, &String)| {
            truth(text).ok_or_else(|| self.wrong(row, name, format!("`{text}` is not 0 or 1")))
        };
        self.column(name)?.iter().enumerate().map(flag).collect()
    }

    /// The error of a value, with its file, place and column.
    pub fn wrong(&self, row: usize, column: &str, problem: impl Into<String>) -> ExchangeError {
        let place = format!("{}, {column}", self.places[row]);
        ExchangeError::content(&self.file, place, problem)
    }

    /// The error of a column that is not there.
    pub(crate) fn lacks(&self, name: &str) -> ExchangeError {
        let known: Vec<&str> = self.names().collect();
        let mut problem = format!("no column `{name}`, only {}", known.join(", "));
        if self.header == "line 1" {
            problem += "; this line is taken for the names of the columns";
        }
        ExchangeError::content(&self.file, self.header, problem)
    }
}

/// A truth value as programs write it; of whole floats the fraction is gone.
fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<LabelTable, ExchangeError> {
        let file = Path::new("labels.csv");
        LabelTable::of_table(file, TextTable::new(file, text.as_bytes())?, "label", None)
    }

    #[test]
    fn a_list_of_numbers_needs_no_header() {
        for text in [
            "3\n1\n3\n",
            "3.000000000000000000e+00\n1.000000000000000000e+00\n3.000000000000000000e+00",
            "label\n3\n1\n3\n",
            "label,path\n3,a\n1,b\n 3 ,c\n",
            "label,,\n3.0,,\n1.0,,\n3.0,,\n",
        ] {
            let table = table(text).unwrap();
            assert_eq!(table.column("label").unwrap(), ["3", "1", "3"], "{text:?}");
            assert_eq!(table.rows(), 3);
        }
    }

    #[test]
    fn text_stays_text() {
        let table = table("label,path,class_name\n01,a ,1.0\n1,b,2.0\n+1,c,pug \n").unwrap();
        assert_eq!(table.column("label").unwrap(), ["01", "1", "+1"]);
        assert_eq!(table.column("path").unwrap(), ["a ", "b", "c"]);
        assert_eq!(table.column("class_name").unwrap(), ["1.0", "2.0", "pug "]);
    }

    #[test]
    fn some_rows_keep_their_places() {
        let table = table("label,is_query\n1,1\n2,yes\n").unwrap();
        let error = table.gather(&[1]).flags("is_query").unwrap_err();
        assert_eq!(
            error.to_string(),
            "labels.csv: line 3, is_query: `yes` is not 0 or 1"
        );
    }

    #[test]
    fn truth_values_are_read_as_programs_write_them() {
        let table = table("q,g\n1.0,True\n0.0,false\n").unwrap();
        assert_eq!(table.flags("q").unwrap(), [true, false]);
        assert_eq!(table.flags("g").unwrap(), [true, false]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let label = |table: &LabelTable| table.column("label").map(drop);
        for (text, says) in [
            (
                "path,class\na,1\n",
                "line 1: no column `label`, only class, path",
            ),
            (
                "pug\npug\nbeagle\n",
                "line 1: no column `label`, only pug; this line is taken for the names of the columns",
            ),
            ("label,label\n1,2\n", "line 1: two columns `label`"),
            ("label,path\n1,a\n2\n", "found record with 1 fields"),
            ("", "the file is empty"),
            ("label\n1\n\n2\n", "line 3, label: \"\" is no value"),
            (
                "label,path\n1,a\nnan,b\nNULL,c\n",
                "line 3, label: \"nan\" is no value; 2 of 3 rows have none",
            ),
            ("nan\n1\n", "line 1, label: \"nan\" is no value"),
        ] {
            let error = table(text).and_then(|table| label(&table)).unwrap_err();
            let error = error.to_string();
            assert!(
                error.starts_with("labels.csv: line ") && error.contains(says),
                "{error}"
            );
        }
    }
}
