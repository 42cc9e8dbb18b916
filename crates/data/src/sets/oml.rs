//! A CSV table in the format of open-metric-learning: one row a photograph, with split, roles and boxes.
//!
//! Required columns: `label` (any whole number), `path`, `split` (`train` or `validation`), `is_query`, `is_gallery` (empty
//! on training rows). Optional: `category` (coarse label), `sequence`, `x_1`, `x_2`, `y_1`, `y_2` (left, right, top, bottom),
//! and our `class_name`. Other columns are ignored, with a notice. Rows of `validation` are tested on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use csv::StringRecord;

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
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(bytes);
    let header = reader
        .headers()
        .map_err(|error| unreadable(file, &error))?
        .clone();
    let columns = Columns::find(file, &header)?;
    let mut classes = Numbering::default();
    let mut categories = Numbering::default();
    let mut sequences = Numbering::default();
    let mut names: BTreeMap<i64, String> = BTreeMap::new();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| unreadable(file, &error))?;
        let line = Line {
            file,
            columns: &columns,
            record: &record,
        };
        let label = line.whole("label")?;
        if let Some(name) = line.optional("class_name") {
            let known = names.entry(label).or_insert_with(|| name.to_owned());
            if known != name {
                let problem = format!("label {label} is {name:?} here and {known:?} before");
                return Err(line.error("class_name", problem));
            }
        }
        let path = line.text("path");
        if path.is_empty() || path.contains('\0') {
            return Err(line.error("path", format!("{path:?} is no path")));
        }
        let (split, roles) = line.split_and_roles()?;
        rows.push(Row {
            source: Source::File(PathBuf::from(path)),
            label: classes.of(label),
            coarse: line
                .optional("category")
                .map(|name| categories.of(name.to_owned())),
            split,
            region: line.region()?,
            roles,
            sequence: line
                .optional("sequence")
                .map(|name| sequences.of(name.to_owned())),
        });
    }
    let mut table = Table::of_files("oml", root, Vec::new(), rows);
    let class_order = classes.sort(&mut table.rows, |row| Some(&mut row.label));
    table.class_names = class_order
        .iter()
        .map(|label| {
            names
                .get(label)
                .cloned()
                .unwrap_or_else(|| label.to_string())
        })
        .collect();
    table.class_ids = class_order.iter().map(i64::to_string).collect();
    table.coarse_names = categories.sort(&mut table.rows, |row| row.coarse.as_mut());
    let ignored: Vec<&str> = header
        .iter()
        .filter(|column| !REQUIRED.contains(column) && !OPTIONAL.contains(column))
        .collect();
    if !ignored.is_empty() {
        table
            .notices
            .push(format!("columns ignored: {}", ignored.join(", ")));
    }
    lone_queries(&mut table);
    Ok(table)
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

/// One record, with what its messages need.
struct Line<'a> {
    file: &'a Path,
    columns: &'a Columns,
    record: &'a StringRecord,
}

impl<'a> Line<'a> {
    fn error(&self, column: &str, problem: impl Into<String>) -> DataError {
        let line = self.record.position().map_or(0, csv::Position::line);
        DataError::content(self.file, format!("line {line}, {column}"), problem)
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Table, DataError> {
        parse(Path::new("t.csv"), Path::new("root"), text.as_bytes())
    }

    #[test]
    fn every_column_finds_its_place() {
        let table = read(
            "label,path,split,is_query,is_gallery,category,sequence,x_1,x_2,y_1,y_2,text,class_name\n\
             7,a b.jpg,train,,,shoes,,1,5.0,2,6,hi,boot\n\
             -3,\"é,\n.jpg\",validation,1,False,bags,s1,,,,,,\n\
             -3,/x.jpg,validation,0,TRUE,bags,s2,,,,,,\n\
             9,y.jpg,validation,true,true,,,,,,,,\n",
        )
        .unwrap();
        assert_eq!(table.class_names, ["-3", "boot", "9"]);
        assert_eq!(table.class_ids, ["-3", "7", "9"]);
        assert_eq!(table.coarse_names, ["bags", "shoes"]);
        assert_eq!(table.labels(&[0, 1, 2, 3]), [1, 0, 0, 2]);
        assert_eq!(table.rows[0].coarse, Some(1));
        assert_eq!(
            table.rows[0].region,
            Some(PixelBox {
                left: 1,
                top: 2,
                right: 5,
                bottom: 6
            })
        );
        assert_eq!(
            table.rows[1].roles,
            Some(Roles {
                query: true,
                gallery: false
            })
        );
        assert_eq!(
            (table.rows[1].sequence, table.rows[2].sequence),
            (Some(0), Some(1))
        );
        assert_eq!(table.rows[1].source, Source::File("é,\n.jpg".into()));
        assert_eq!(table.split(Split::Test), [1, 2, 3]);
        let notices = [
            "columns ignored: text",
            "1 queries have no other gallery row of their label",
        ];
        assert_eq!(table.notices, notices);
    }

    #[test]
    fn mistakes_are_named_with_line_and_column() {
        let header = "label,path,split,is_query,is_gallery,x_1,x_2,y_1,y_2\n";
        let cases = [
            (
                "label,path,split,is_query\n".to_owned(),
                "header: no column \"is_gallery\", only",
            ),
            (
                "label,label,path,split,is_query,is_gallery\n".to_owned(),
                "two columns \"label\"",
            ),
            (
                format!("{header}x,a,train,,,,,,\n"),
                "line 2, label: \"x\" is not a whole number",
            ),
            (
                format!("{header}1,,train,,,,,,\n"),
                "line 2, path: \"\" is no path",
            ),
            (
                format!("{header}1,a,test,,,,,,\n"),
                "line 2, split: \"test\" is neither",
            ),
            (
                format!("{header}1,a,train,1,,,,,\n"),
                "line 2, is_query: \"1\" on a training row",
            ),
            (
                format!("{header}1,a,validation,1,,,,,\n"),
                "is_gallery: \"\" is neither true nor",
            ),
            (
                format!("{header}1,a,train,,,1,,,\n"),
                "line 2, y_1: \"\" is not a whole number",
            ),
            (
                format!("{header}1,a,train,,,5,5,0,9\n"),
                "the box [5, 5] x [0, 9] is empty",
            ),
            (format!("{header}1,a,train\n"), "line 2: CSV error"),
        ];
        for (text, expected) in cases {
            let message = read(&text).unwrap_err().to_string();
            assert!(
                message.starts_with("t.csv: ") && message.contains(expected),
                "{message}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(rows in prop::collection::vec("[-0-9a-z,\"\n]{0,30}", 0..6), junk in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut bytes = b"label,path,split,is_query,is_gallery,x_1,x_2,y_1,y_2\n".to_vec();
            bytes.extend(rows.join("\n").into_bytes());
            bytes.extend(junk);
            let _ = parse(Path::new("t"), Path::new(""), &bytes);
        }
    }
}
