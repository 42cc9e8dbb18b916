//! Reading the text lists of CUB-200-2011, Stanford Online Products and In-Shop: lines of fields between blanks, whose values
//! are checked one by one.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use lodestone_files::read_text;

use super::paths::relative;
use crate::error::DataError;

/// A text file and what is in it.
pub(crate) struct TextList {
    path: PathBuf,
    text: String,
}

impl TextList {
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        Ok(TextList {
            path: path.to_path_buf(),
            text: read_text(path)?,
        })
    }

    /// The lines that are not empty.
    pub(crate) fn lines(&self) -> Vec<Line<'_>> {
        let lines = self.text.lines().enumerate();
        lines
            .filter(|(_, text)| !text.trim().is_empty())
            .map(|(position, text)| Line {
                list: &self.path,
                number: position + 1,
                text,
            })
            .collect()
    }

    /// The lines below the one that names the columns, which must be these.
    pub(crate) fn below_header(&self, columns: &str) -> Result<Vec<Line<'_>>, DataError> {
        self.table(self.lines(), columns)
    }

    /// The lines below the one with their number and the one that names the columns.
    pub(crate) fn counted(&self, columns: &str) -> Result<Vec<Line<'_>>, DataError> {
        let mut first = self.lines();
        if first.is_empty() {
            return Err(self.headless("the number of lines is missing"));
        }
        let rest = self.table(first.split_off(1), columns)?;
        let announced = first[0].whole("number of lines", first[0].text.trim(), 0..=usize::MAX)?;
        if announced != rest.len() {
            let problem = format!("{announced} lines are announced, {} follow", rest.len());
            return Err(first[0].error(problem));
        }
        Ok(rest)
    }

    fn table<'a>(
        &self,
        mut lines: Vec<Line<'a>>,
        columns: &str,
    ) -> Result<Vec<Line<'a>>, DataError> {
        let Some(header) = lines.first() else {
            return Err(self.headless(&format!("the columns {columns:?} are not named")));
        };
        if !header.text.split_whitespace().eq(columns.split(' ')) {
            let problem = format!("the columns are {:?} instead of {columns:?}", header.text);
            return Err(header.error(problem));
        }
        Ok(lines.split_off(1))
    }

    fn headless(&self, problem: &str) -> DataError {
        DataError::content(&self.path, "header", problem)
    }
}

/// One line, with what its messages need.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    list: &'a Path,
    /// Counted from 1.
    pub(crate) number: usize,
    pub(crate) text: &'a str,
}

impl<'a> Line<'a> {
    pub(crate) fn error(&self, problem: impl Into<String>) -> DataError {
        DataError::content(self.list, self.place(), problem)
    }

    pub(crate) fn place(&self) -> String {
        format!("line {}", self.number)
    }

    pub(crate) fn fields<const N: usize>(&self) -> Result<[&'a str; N], DataError> {
        let fields: Vec<&str> = self.text.split_whitespace().collect();
        fields.try_into().map_err(|fields: Vec<&str>| {
            let (found, text) = (fields.len(), self.text);
            self.error(format!("{found} fields instead of {N} in {text:?}"))
        })
    }

    /// A field as a number of a range; `name` is what the message calls it.
    pub(crate) fn whole(
        &self,
        name: &str,
        text: &str,
        range: RangeInclusive<usize>,
    ) -> Result<usize, DataError> {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let (lowest, highest) = (range.start(), range.end());
            self.error(match *highest {
                usize::MAX => format!("{name} {text:?} is not a whole number from {lowest} on"),
                _ => format!("{name} {text:?} is not a whole number of {lowest}..={highest}"),
            })
        })
    }

    /// A listed path below the folder of the set.
    pub(crate) fn path(&self, text: &str) -> Result<PathBuf, DataError> {
        relative(self.list, &self.place(), text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(text: &str) -> TextList {
        TextList {
            path: PathBuf::from("list"),
            text: text.to_owned(),
        }
    }

    #[test]
    fn lines_keep_their_numbers_and_ends_of_windows_are_no_part_of_them() {
        let list = list("a b\r\n\r\n 3  c \n");
        let lines = list.lines();
        assert_eq!((lines.len(), lines[1].number), (2, 3));
        assert_eq!(lines[0].fields().unwrap(), ["a", "b"]);
        let [number, _] = lines[1].fields().unwrap();
        assert_eq!(lines[1].whole("id", number, 1..=3).unwrap(), 3);
        let message = |range| lines[1].whole("id", number, range).unwrap_err().to_string();
        assert_eq!(
            message(1..=2),
            "list: line 3: id \"3\" is not a whole number of 1..=2"
        );
        assert_eq!(
            message(4..=usize::MAX),
            "list: line 3: id \"3\" is not a whole number from 4 on"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "([0-9]{1,3}\n|x y\n|[a-z ]{0,9}\n|[^\\x00]{0,20}\n){0,6}") {
            let list = list(&text);
            let count = list.lines().len();
            if let Ok(lines) = list.below_header("x y") {
                prop_assert_eq!(lines.len(), count - 1);
            }
            if let Ok(lines) = list.counted("x y") {
                prop_assert_eq!(lines.len(), count - 2);
            }
        }
    }
}
