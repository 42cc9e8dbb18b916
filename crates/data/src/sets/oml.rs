//! A table in the format of open-metric-learning, CSV or Parquet: one row a photograph, with split, roles and boxes.
//!
//! Required columns: `label` (any whole number), `path`, `split` (`train` or `validation`), `is_query`, `is_gallery` (empty
//! on training rows). Optional: `category` (coarse label), `sequence`, `x_1`, `x_2`, `y_1`, `y_2` (left, right, top, bottom),
//! and our `class_name`. Other columns are ignored, with a notice. Rows of `validation` are tested on. A Parquet file is
//! known by its content and read into the same text fields, so both forms mean the same and make the same mistakes.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use csv::StringRecord;

use super::parquet::ParquetTable;
use super::paths::check_files;
use crate::error::DataError;
use crate::table::{PixelBox, Roles, Row, Source, Split, Table};

const REQUIRED: [&str; 5] = ["label", "path", "split", "is_query", "is_gallery"];
const OPTIONAL: [&str; 7] = [
    "category",
    "sequence",
    "x_1",
    "x_2",
    "y_1",
    "y_2",
    "class_name",
];

/// Reads the table `file`, whose relative paths start from `root`.
pub(crate) fn open(root: &Path, file: &Path) -> Result<Table, DataError> {
    let file = root.join(file);
    let bytes = std::fs::read(&file).map_err(|source| DataError::read(&file, source))?;
    let table = parse(&file, root, &bytes)?;
    check_files(root, &table.rows)?;
    Ok(table)
}

/// Reads the bytes of a table without looking for its photographs.
pub(crate) fn parse(file: &Path, root: &Path, bytes: &[u8]) -> Result<Table, DataError> {
    if ParquetTable::is_one(bytes) {
        let table = ParquetTable::open(file, bytes)?;
        let mut rows = Rows::new(file, table.header())?;
        let known = |name: &str| REQUIRED.contains(&name) || OPTIONAL.contains(&name);
        table.each_row(known, |number, record| rows.add(Place::Row(number), record))?;
        return Ok(rows.finish(root));
    }
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(bytes);
    let header = reader
        .headers()
        .map_err(|error| unreadable(file, &error))?
        .clone();
    let mut rows = Rows::new(file, header)?;
    let mut record = StringRecord::new();
    while reader
        .read_record(&mut record)
        .map_err(|error| unreadable(file, &error))?
    {
        let line = record.position().map_or(0, csv::Position::line);
        rows.add(Place::Line(line), &record)?;
    }
    Ok(rows.finish(root))
}

/// The table as far as it is read.
struct Rows<'a> {
    file: &'a Path,
    header: StringRecord,
    columns: Columns,
    classes: Numbering<i64>,
    categories: Numbering<String>,
    sequences: Numbering<String>,
    /// Names of the labels that have one.
    names: BTreeMap<i64, String>,
    /// The split of each image, or part of one.
    splits: BTreeMap<(PathBuf, Option<[u32; 4]>), Split>,
    rows: Vec<Row>,
}

impl<'a> Rows<'a> {
    fn new(file: &'a Path, header: StringRecord) -> Result<Self, DataError> {
        Ok(Rows {
            columns: Columns::find(file, &header)?,
            file,
            header,
            classes: Numbering::default(),
            categories: Numbering::default(),
            sequences: Numbering::default(),
            names: BTreeMap::new(),
            splits: BTreeMap::new(),
            rows: Vec::new(),
        })
    }

    fn add(&mut self, place: Place, record: &StringRecord) -> Result<(), DataError> {
        let line = Line {
            file: self.file,
            columns: &self.columns,
            place,
            record,
        };
        let label = line.whole("label")?;
        if let Some(name) = line.optional("class_name") {
            let known = self.names.entry(label).or_insert_with(|| name.to_owned());
            if known != name {
                let problem = format!("label {label} is {name:?} here and {known:?} before");
                return Err(line.error("class_name", problem));
            }
        }
        let (split, roles) = line.split_and_roles()?;
        let (path, region) = (line.path()?, line.region()?);
        let cut = region.map(|region| [region.left, region.top, region.right, region.bottom]);
        let known = *self.splits.entry((path.clone(), cut)).or_insert(split);
        if known != split {
            let problem = format!("{} is trained on and tested", path.display());
            return Err(line.error("split", problem));
        }
        self.rows.push(Row {
            source: Source::File(path),
            label: self.classes.of(label),
            coarse: line
                .optional("category")
                .map(|name| self.categories.of(name.to_owned())),
            split,
            region,
            roles,
            sequence: line
                .optional("sequence")
                .map(|name| self.sequences.of(name.to_owned())),
        });
        Ok(())
    }

    fn finish(self, root: &Path) -> Table {
        let mut table = Table::of_files("oml", root, Vec::new(), self.rows);
        let class_order = self
            .classes
            .sort(&mut table.rows, |row| Some(&mut row.label));
        let name = |label: &i64| self.names.get(label).cloned();
        table.class_names = class_order
            .iter()
            .map(|label| name(label).unwrap_or_else(|| label.to_string()))
            .collect();
        table.class_ids = class_order.iter().map(i64::to_string).collect();
        table.coarse_names = self
            .categories
            .sort(&mut table.rows, |row| row.coarse.as_mut());
        let ignored: Vec<&str> = self
            .header
            .iter()
            .filter(|column| !REQUIRED.contains(column) && !OPTIONAL.contains(column))
            .collect();
        if !ignored.is_empty() {
            table
                .notices
                .push(format!("columns ignored: {}", ignored.join(", ")));
        }
        lone_queries(&mut table);
        table
    }
}

/// Values in order of appearance, renumbered by their own order at the end.
struct Numbering<T>(BTreeMap<T, usize>);

impl<T> Default for Numbering<T> {
    fn default() -> Self {
        Numbering(BTreeMap::new())
    }
}

impl<T: Ord> Numbering<T> {
    fn of(&mut self, value: T) -> usize {
        let next = self.0.len();
        *self.0.entry(value).or_insert(next)
    }

    /// Replaces numbers of appearance by positions in the sorted list, which is returned.
    fn sort(
        self,
        rows: &mut [Row],
        mut column: impl FnMut(&mut Row) -> Option<&mut usize>,
    ) -> Vec<T> {
        let mut position_of = vec![0; self.0.len()];
        for (position, &appearance) in self.0.values().enumerate() {
            position_of[appearance] = position;
        }
        for row in rows {
            if let Some(number) = column(row) {
                *number = position_of[*number];
            }
        }
        self.0.into_keys().collect()
    }
}

/// Position of every known column in a record.
struct Columns(BTreeMap<&'static str, usize>);

impl Columns {
    fn find(file: &Path, header: &StringRecord) -> Result<Self, DataError> {
        let mut columns = BTreeMap::new();
        for name in REQUIRED.into_iter().chain(OPTIONAL) {
            let mut positions = header
                .iter()
                .enumerate()
                .filter(|(_, column)| *column == name);
            match (positions.next(), positions.next()) {
                (Some((position, _)), None) => drop(columns.insert(name, position)),
                (Some(_), Some(_)) => {
                    return Err(DataError::content(
                        file,
                        "header",
                        format!("two columns {name:?}"),
                    ));
                }
                (None, _) if REQUIRED.contains(&name) => {
                    let found: Vec<&str> = header.iter().collect();
                    let problem = format!("no column {name:?}, only {found:?}");
                    return Err(DataError::content(file, "header", problem));
                }
                (None, _) => {}
            }
        }
        Ok(Columns(columns))
    }
}

/// Where a record stands: text has lines, Parquet has rows. Both are counted from 1.
#[derive(Clone, Copy)]
enum Place {
    Line(u64),
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

/// One record, with what its messages need.
struct Line<'a> {
    file: &'a Path,
    columns: &'a Columns,
    place: Place,
    record: &'a StringRecord,
}

impl<'a> Line<'a> {
    fn error(&self, column: &str, problem: impl Into<String>) -> DataError {
        DataError::content(self.file, format!("{}, {column}", self.place), problem)
    }

    /// The field of a column, empty if there is no such column.
    fn text(&self, column: &str) -> &'a str {
        let position = self.columns.0.get(column);
        position
            .and_then(|&position| self.record.get(position))
            .unwrap_or_default()
    }

    fn optional(&self, column: &str) -> Option<&'a str> {
        Some(self.text(column)).filter(|text| !text.is_empty())
    }

    fn whole(&self, column: &str) -> Result<i64, DataError> {
        let text = self.text(column);
        text.parse()
            .map_err(|_| self.error(column, format!("{text:?} is not a whole number")))
    }

    /// An absolute path, or one that stays below the root.
    fn path(&self) -> Result<PathBuf, DataError> {
        let text = self.text("path");
        if text.is_empty() || text.contains('\0') {
            return Err(self.error("path", format!("{text:?} is no path")));
        }
        let path = PathBuf::from(text);
        let climbs = path.components().any(|part| part == Component::ParentDir);
        if path.is_relative() && climbs {
            return Err(self.error("path", format!("{text:?} leaves the data set's folder")));
        }
        Ok(path)
    }

    fn split_and_roles(&self) -> Result<(Split, Option<Roles>), DataError> {
        match self.text("split") {
            "train" => {
                for column in ["is_query", "is_gallery"] {
                    if let Some(text) = self.optional(column) {
                        let problem = format!("{text:?} on a training row, which has no role");
                        return Err(self.error(column, problem));
                    }
                }
                Ok((Split::Train, None))
            }
            "validation" => {
                let query = self.role("is_query")?;
                let gallery = self.role("is_gallery")?;
                Ok((Split::Test, Some(Roles { query, gallery })))
            }
            other => {
                let problem = format!("{other:?} is neither \"train\" nor \"validation\"");
                Err(self.error("split", problem))
            }
        }
    }

    fn role(&self, column: &str) -> Result<bool, DataError> {
        let text = self.text(column);
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "1.0" => Ok(true),
            "0" | "false" | "0.0" => Ok(false),
            _ => Err(self.error(column, format!("{text:?} is neither true nor false"))),
        }
    }

    fn region(&self) -> Result<Option<PixelBox>, DataError> {
        let corners = ["x_1", "y_1", "x_2", "y_2"];
        let given = corners
            .iter()
            .filter(|column| self.optional(column).is_some())
            .count();
        if given == 0 {
            return Ok(None);
        }
        let mut values = [0u32; 4];
        for (value, column) in values.iter_mut().zip(corners) {
            let text = self.text(column);
            // Tables written by pandas hold whole numbers as floats when some rows are empty.
            let text = text.strip_suffix(".0").unwrap_or(text);
            *value = text.parse().map_err(|_| {
                self.error(
                    column,
                    format!("{text:?} is not a whole number of 0 or more"),
                )
            })?;
        }
        let [left, top, right, bottom] = values;
        if left >= right || top >= bottom {
            let problem = format!("the box [{left}, {right}] x [{top}, {bottom}] is empty");
            return Err(self.error("x_1", problem));
        }
        Ok(Some(PixelBox {
            left,
            top,
            right,
            bottom,
        }))
    }
}

fn unreadable(file: &Path, error: &csv::Error) -> DataError {
    let line = error.position().map_or(1, csv::Position::line);
    DataError::content(file, format!("line {line}"), error.to_string())
}

/// A query whose label no other gallery row has can never be answered; evaluation counts it, the user should know.
fn lone_queries(table: &mut Table) {
    let mut gallery = vec![0usize; table.classes()];
    let roles = |row: &Row| row.roles.unwrap_or_default();
    for row in table.rows.iter().filter(|row| roles(row).gallery) {
        gallery[row.label] += 1;
    }
    let lone = table
        .rows
        .iter()
        .filter(|row| roles(row).query && gallery[row.label] == usize::from(roles(row).gallery))
        .count();
    if lone > 0 {
        table.notices.push(format!(
            "{lone} queries have no other gallery row of their label"
        ));
    }
}

#[cfg(test)]
mod tests;
