//! A table in the format of open-metric-learning, CSV or Parquet: one row a photograph, with split, roles and boxes.
//!
//! Required columns: `label` (a whole number, or any text), `path`, `split` (`train` or `validation`). Optional: `is_query` and
//! `is_gallery` (both or neither; empty on training rows), `category` (coarse label), `sequence`, `x_1`, `x_2`, `y_1`, `y_2` (left, right, top,
//! bottom), and our `class_name`. Other columns are not used, with a notice. Rows of `validation` are tested on. A Parquet file is
//! known by its content and read into the same text fields, so both forms mean the same and make the same mistakes; what a label
//! means is said in [`lodestone_exchange`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use lodestone_exchange::{
    Place, StringRecord, TextTable, class_order, is_missing, without_fractions,
};

use super::paths::check_files;
use crate::error::DataError;
use crate::table::{PixelBox, Roles, Row, Source, Split, Table};

const REQUIRED: [&str; 3] = ["label", "path", "split"];
/// Without these, rows of `validation` are tested by what suits their classes.
const ROLES: [&str; 2] = ["is_query", "is_gallery"];
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
    let table = TextTable::new(file, bytes)?;
    let mut rows = Rows::new(file, table.header().clone())?;
    table.each_row(is_known, |place, record| rows.add(place, record))?;
    Ok(rows.finish(root))
}

fn is_known(name: &str) -> bool {
    let known: [&[&str]; 3] = [&REQUIRED, &ROLES, &OPTIONAL];
    known.iter().any(|names| names.contains(&name))
}

/// The table as far as it is read.
struct Rows<'a> {
    file: &'a Path,
    header: StringRecord,
    columns: Columns,
    classes: Numbering,
    categories: Numbering,
    sequences: Numbering,
    /// Names of the classes that have one.
    names: BTreeMap<usize, String>,
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
        let label = line.label()?;
        let class = self.classes.of(label);
        let name = line.text("class_name");
        if !name.is_empty() {
            let known = self.names.entry(class).or_insert_with(|| name.to_owned());
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
            label: class,
            coarse: line
                .optional("category")
                .map(|name| self.categories.of(name)),
            split,
            region,
            roles,
            sequence: line
                .optional("sequence")
                .map(|name| self.sequences.of(name)),
        });
        Ok(())
    }

    fn finish(self, root: &Path) -> Table {
        let mut table = Table::of_files("oml", root, Vec::new(), self.rows);
        let labels = self.classes.texts();
        let order = class_order(labels.iter().map(String::as_str));
        let place_of = places(&labels, &order);
        table.class_ids = order.iter().map(|&label| label.to_owned()).collect();
        table.class_names.clone_from(&table.class_ids);
        for (class, name) in self.names {
            table.class_names[place_of[class]] = name;
        }
        let categories = self.categories.texts();
        let coarse_order: BTreeSet<&str> = categories.iter().map(String::as_str).collect();
        let coarse_order = Vec::from_iter(coarse_order);
        let coarse_place_of = places(&categories, &coarse_order);
        table.coarse_names = coarse_order.iter().map(|&name| name.to_owned()).collect();
        for row in &mut table.rows {
            row.label = place_of[row.label];
            row.coarse = row.coarse.map(|number| coarse_place_of[number]);
        }
        let ignored: Vec<&str> = self
            .header
            .iter()
            .filter(|column| !is_known(column))
            .collect();
        if !ignored.is_empty() {
            table
                .notices
                .push(format!("columns not used: {}", ignored.join(", ")));
        }
        lone_queries(&mut table);
        table
    }
}

/// Texts with the number of their first appearance.
#[derive(Default)]
struct Numbering(BTreeMap<String, usize>);

impl Numbering {
    fn of(&mut self, text: &str) -> usize {
        if let Some(&number) = self.0.get(text) {
            return number;
        }
        let number = self.0.len();
        self.0.insert(text.to_owned(), number);
        number
    }

    /// The texts by their numbers, read as the labels of a column.
    fn texts(self) -> Vec<String> {
        let mut texts = vec![String::new(); self.0.len()];
        for (text, number) in self.0 {
            texts[number] = text;
        }
        without_fractions(texts.iter_mut());
        texts
    }
}

/// Where each text stands in `order`, which has all of them.
fn places(texts: &[String], order: &[&str]) -> Vec<usize> {
    let place_of: BTreeMap<&str, usize> = order.iter().copied().zip(0..).collect();
    texts.iter().map(|text| place_of[text.as_str()]).collect()
}

/// Position of every known column in a record.
struct Columns(BTreeMap<&'static str, usize>);

impl Columns {
    fn find(file: &Path, header: &StringRecord) -> Result<Self, DataError> {
        let mut columns = BTreeMap::new();
        // One role without the other says nothing.
        let has_roles = ROLES
            .iter()
            .any(|role| header.iter().any(|name| name == *role));
        let needed = |name: &str| REQUIRED.contains(&name) || has_roles && ROLES.contains(&name);
        for name in REQUIRED.into_iter().chain(ROLES).chain(OPTIONAL) {
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
                (None, _) if needed(name) => {
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

    /// What the field says, if it says anything.
    fn optional(&self, column: &str) -> Option<&'a str> {
        Some(self.text(column).trim()).filter(|text| !is_missing(text))
    }

    fn label(&self) -> Result<&'a str, DataError> {
        self.optional("label").ok_or_else(|| {
            let text = self.text("label");
            self.error("label", format!("{text:?} is no label"))
        })
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
            "validation" if !self.columns.0.contains_key("is_query") => Ok((Split::Test, None)),
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
