//! Tables of text, CSV or Parquet, row by row: both mean the same and make the same mistakes.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use csv::StringRecord;

use crate::ExchangeError;
#[cfg(not(feature = "embeddings"))]
use crate::no_parquet::ParquetFile;
#[cfg(feature = "embeddings")]
use crate::parquet_file::ParquetFile;

/// Where a row stands: text has lines, counted from 1; other files have rows, counted from 0 as numpy and pandas do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The line of a text file, from 1.
    Line(u64),
    /// The row, from 0.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(number) => write!(formatter, "line {number}"),
            Place::Row(number) => write!(formatter, "row {number}"),
        }
    }
}

/// A table whose columns are known and whose rows are yet to be read.
pub struct TextTable<'a> {
    file: &'a Path,
    header: StringRecord,
    rows: Source<'a>,
}

enum Source<'a> {
    Csv(Lines<'a>),
    Parquet(ParquetFile),
}

impl<'a> TextTable<'a> {
    /// Reads the names of the columns. What the bytes hold decides whether they are Parquet; `file` names them in messages.
    ///
    /// # Errors
    /// If there is no first line, or no Parquet file behind its first bytes.
    pub fn new(file: &'a Path, bytes: &'a [u8]) -> Result<Self, ExchangeError> {
        if ParquetFile::is_one(bytes) {
            let rows = ParquetFile::open(file, bytes.to_vec().into())?;
            return Ok(Self::of_parquet(file, rows));
        }
        let mut lines = Lines::new(bytes);
        let mut header = StringRecord::new();
        if lines.next(file, &mut header)?.is_none() {
            return Err(ExchangeError::content(file, "line 1", "the file is empty"));
        }
        header.trim();
        Ok(Self {
            file,
            header,
            rows: Source::Csv(lines),
        })
    }

    pub(crate) fn of_parquet(file: &'a Path, rows: ParquetFile) -> Self {
        Self {
            file,
            header: rows.header(),
            rows: Source::Parquet(rows),
        }
    }

    /// Names of all columns.
    pub fn header(&self) -> &StringRecord {
        &self.header
    }

    /// Where the names of the columns stand.
    pub(crate) fn header_place(&self) -> &'static str {
        match self.rows {
            Source::Csv(_) => "line 1",
            Source::Parquet(_) => "schema",
        }
    }

    /// Takes a table whose only column begins with a number for a list without a line of names, and calls it `name`.
    pub(crate) fn with_bare_list_as(mut self, name: &str) -> Self {
        if let Source::Csv(lines) = &mut self.rows
            && self.header.len() == 1
            && self.header[0].parse::<f64>().is_ok()
        {
            let first = std::mem::replace(&mut self.header, StringRecord::from(vec![name]));
            lines.first = Some(first);
        }
        self
    }

    /// Whether a column holds one value a row, not a list or a group of them.
    pub(crate) fn holds_values(&self, column: &str) -> bool {
        match &self.rows {
            Source::Csv(_) => true,
            Source::Parquet(file) => file.holds_values(column),
        }
    }

    /// Hands over every row, its fields in the order of the header. Those of columns that are not `wanted` may be empty.
    ///
    /// A value that is not there, and in Parquet a NaN, which pandas writes for it, is empty.
    ///
    /// # Errors
    /// What `take` returns; or if the file is damaged, or a wanted column of Parquet holds what is no text, number or truth value.
    pub fn each_row<E: From<ExchangeError>>(
        self,
        wanted: impl Fn(&str) -> bool,
        mut take: impl FnMut(Place, &StringRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut lines = match self.rows {
            Source::Parquet(rows) => return rows.each_row(wanted, take),
            Source::Csv(lines) => lines,
        };
        let mut record = StringRecord::new();
        if let Some(first) = lines.first.take() {
            take(Place::Line(1), &first)?;
        }
        let nothing = StringRecord::from(vec![""]);
        while let Some(line) = lines.next(self.file, &mut record)? {
            // In a table of one column an empty line is a row without a value.
            if self.header.len() == 1 {
                for blank in line.blank_from..line.number {
                    take(Place::Line(blank), &nothing)?;
                }
            }
            take(Place::Line(line.number), &record)?;
        }
        Ok(())
    }
}

/// Records of a CSV file with the lines they stand on.
struct Lines<'a> {
    bytes: &'a [u8],
    reader: csv::Reader<&'a [u8]>,
    /// The line that the reader has come to.
    line: u64,
    /// A first record that turned out to be no header.
    first: Option<StringRecord>,
}

/// Where a record begins, and the empty lines before it.
struct Line {
    blank_from: u64,
    number: u64,
}

impl<'a> Lines<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let mut reader = csv::ReaderBuilder::new();
        Self {
            bytes,
            reader: reader.has_headers(false).from_reader(bytes),
            line: 1,
            first: None,
        }
    }

    fn next(
        &mut self,
        file: &Path,
        record: &mut StringRecord,
    ) -> Result<Option<Line>, ExchangeError> {
        let from = self.reader.position().byte() as usize;
        let read = self.reader.read_record(record);
        let to = self.reader.position().byte() as usize;

        // The reader's own count is off behind empty lines, and where lines end in two bytes.
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let before = self.bytes[from..to].iter().take_while(|byte| is_end(byte));
        let begin = from + before.count();
        let rest_of_end = from > 0 && self.bytes[from - 1..].starts_with(b"\r\n");
        let line = Line {
            blank_from: self.line + u64::from(rest_of_end),
            number: self.line + line_ends(self.bytes, from..begin),
        };
        self.line = line.number + line_ends(self.bytes, begin..to);
        let there = read.map_err(|error| {
            ExchangeError::content(file, format!("line {}", line.number), error.to_string())
        })?;
        Ok(there.then_some(line))
    }
}

/// How many lines end in a part of a text; one that ends in two bytes ends in the second.
fn line_ends(bytes: &[u8], part: Range<usize>) -> u64 {
    let ends = |&at: &usize| match bytes[at] {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    part.filter(ends).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Vec<(u64, Vec<String>)>, ExchangeError> {
        let mut rows = Vec::new();
        let table = TextTable::new(Path::new("t.csv"), text.as_bytes())?;
        table.with_bare_list_as("label").each_row(
            |_| true,
            |place, record| {
                let Place::Line(line) = place else {
                    unreachable!("text has lines")
                };
                rows.push((line, record.iter().map(str::to_owned).collect()));
                Ok::<(), ExchangeError>(())
            },
        )?;
        Ok(rows)
    }

    #[test]
    fn every_row_knows_its_line() {
        for end in ["", "\n", "\n\n"] {
            let text = format!("\u{feff}a,b\r\n1,2\r\n\r\n\"x\ny\",3\n4,\"5\n6\"{end}");
            let lines: Vec<u64> = rows(&text).unwrap().iter().map(|row| row.0).collect();
            assert_eq!(lines, [2, 4, 6], "{text:?}");
        }
    }

    #[test]
    fn an_empty_line_of_a_list_is_a_row_without_a_value() {
        let owned = |line, text: &str| (line, vec![text.to_owned()]);
        let expected = [owned(2, "a"), owned(3, ""), owned(4, ""), owned(5, "b")];
        assert_eq!(rows("label\na\n\n\nb\n\n").unwrap(), expected);
        // The end of the file ends no row.
        assert_eq!(rows("label\na\n\n\nb").unwrap(), expected);
    }

    #[test]
    fn a_list_that_begins_with_a_number_has_no_header() {
        for first in ["3", "003", "-1", "0.000000000000000000e+00", "nan"] {
            let read = rows(&format!("{first}\n1\n")).unwrap();
            assert_eq!(read[0], (1, vec![first.to_owned()]));
            assert_eq!(read.len(), 2);
        }
        assert_eq!(rows("cup\n1\n").unwrap().len(), 1);
        assert_eq!(rows("1,2\n1,2\n").unwrap().len(), 1);
    }

    #[test]
    fn damage_is_told_with_its_line() {
        for (text, says) in [
            ("", "t.csv: line 1: the file is empty"),
            ("a,b\n1,2\n\n3\n", "found record with 1 fields"),
        ] {
            let error = rows(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
