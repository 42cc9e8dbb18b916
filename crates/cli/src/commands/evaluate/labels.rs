//! What stands beside embeddings: a table with one line a row, from a `.csv` or a `.npy` of whole numbers.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use ndarray::Array1;
use ndarray_npy::ReadNpyExt;

/// Columns by name, each as long as the embeddings.
#[derive(Clone, Debug)]
pub(crate) struct LabelTable {
    file: PathBuf,
    columns: BTreeMap<String, Vec<String>>,
    rows: usize,
}

impl LabelTable {
    /// Reads `file`; what has no header is one column, called `label`.
    pub(crate) fn read(file: &Path, label_column: &str) -> Result<Self> {
        let columns = match file.extension().is_some_and(|ending| ending == "npy") {
            true => BTreeMap::from([(label_column.to_owned(), read_npy(file)?)]),
            false => read_csv(file, label_column)?,
        };
        let rows = columns.values().next().map_or(0, Vec::len);
        Ok(Self {
            file: file.to_path_buf(),
            columns,
            rows,
        })
    }

    /// The same for some rows only.
    pub(crate) fn gather(&self, rows: &[usize]) -> Self {
        let gathered = |column: &Vec<String>| rows.iter().map(|&row| column[row].clone()).collect();
        Self {
            file: self.file.clone(),
            columns: self
                .columns
                .iter()
                .map(|(name, column)| (name.clone(), gathered(column)))
                .collect(),
            rows: rows.len(),
        }
    }

    /// The file it came from.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Number of lines.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The names of the columns, ascending.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.keys().map(String::as_str)
    }

    /// A column that may be missing.
    pub(crate) fn get(&self, name: &str) -> Option<&[String]> {
        self.columns.get(name).map(Vec::as_slice)
    }

    /// A column that has to be there.
    pub(crate) fn column(&self, name: &str) -> Result<&[String]> {
        self.get(name).with_context(|| {
            let known: Vec<&str> = self.columns.keys().map(String::as_str).collect();
            format!(
                "{} has no column `{name}`, only {}",
                self.file.display(),
                known.join(", ")
            )
        })
    }

    /// A column of flags: `is_query`, `is_gallery`.
    pub(crate) fn flags(&self, name: &str) -> Result<Vec<bool>> {
        let flag = |(row, text): (usize, &String)| match text.as_str() {
            "1" | "true" | "True" => Ok(true),
            "0" | "false" | "False" => Ok(false),
            other => bail!(
                "{} row {row}: {name} is `{other}`, must be 0 or 1",
                self.file.display()
            ),
        };
        self.column(name)?.iter().enumerate().map(flag).collect()
    }
}

/// Classes of several lists of labels in one numbering, and their names unless the labels are numbers already.
///
/// Labels that are all whole numbers stay what they are, so that ties between classes go where the numbers say.
pub(crate) fn numbered(lists: &[&[String]]) -> (Vec<Vec<usize>>, BTreeMap<usize, String>) {
    let as_numbers = |list: &&[String]| list.iter().map(|text| text.parse().ok()).collect();
    let numbers: Option<Vec<Vec<usize>>> = lists.iter().map(as_numbers).collect();
    if let Some(numbers) = numbers {
        return (numbers, BTreeMap::new());
    }
    let mut names: Vec<&String> = lists.iter().copied().flatten().collect();
    names.sort();
    names.dedup();
    let number = |text: &String| names.partition_point(|name| *name < text);
    let numbers = lists
        .iter()
        .map(|list| list.iter().map(number).collect())
        .collect();
    let named = names.iter().enumerate();
    (
        numbers,
        named.map(|(i, name)| (i, (*name).clone())).collect(),
    )
}

fn read_csv(file: &Path, label_column: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let name = file.display();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_path(file)
        .with_context(|| format!("cannot read {name}"))?;
    let mut records = reader.records();
    let first = records
        .next()
        .with_context(|| format!("{name} is empty"))?
        .with_context(|| format!("cannot read {name}"))?;
    // One column of numbers without a word above it is a list of labels.
    let headless = first.len() == 1 && first[0].parse::<i64>().is_ok();
    let header: Vec<String> = match headless {
        true => vec![label_column.to_owned()],
        false => first.iter().map(str::to_owned).collect(),
    };
    let mut columns: Vec<Vec<String>> = vec![Vec::new(); header.len()];
    let lines = headless
        .then(|| Ok(first.clone()))
        .into_iter()
        .chain(records);
    for record in lines {
        let record = record.with_context(|| format!("cannot read {name}"))?;
        for (column, text) in columns.iter_mut().zip(&record) {
            column.push(text.to_owned());
        }
    }
    let mut named = BTreeMap::new();
    for (column, values) in header.into_iter().zip(columns) {
        ensure!(
            !named.contains_key(&column),
            "{name} has two columns `{column}`"
        );
        named.insert(column, values);
    }
    Ok(named)
}

/// Whole numbers of any width, as text like everything else in the table.
fn read_npy(file: &Path) -> Result<Vec<String>> {
    fn typed<T: ndarray_npy::ReadableElement + ToString>(file: &Path) -> Result<Vec<String>> {
        let open = File::open(file)?;
        let array = Array1::<T>::read_npy(std::io::BufReader::new(open))?;
        Ok(array.iter().map(ToString::to_string).collect())
    }
    std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?;
    let attempts = [
        typed::<i64>,
        typed::<i32>,
        typed::<u64>,
        typed::<u32>,
        typed::<u8>,
    ];
    let mut first = None;
    for attempt in attempts {
        match attempt(file) {
            Ok(labels) => return Ok(labels),
            Err(error) => first = first.or(Some(error)),
        }
    }
    let error = first.map_or_else(String::new, |error| format!("{error:#}"));
    bail!(
        "{} is no .npy of whole numbers with one dimension: {error}",
        file.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<LabelTable> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("labels.csv");
        lodestone_files::write_whole(&file, |out| out.write_all(text.as_bytes())).unwrap();
        LabelTable::read(&file, "label")
    }

    #[test]
    fn a_list_of_numbers_needs_no_header() {
        for text in [
            "3\n1\n3\n",
            "label\n3\n1\n3\n",
            "label,path\n3,a\n1,b\n 3 ,c\n",
        ] {
            let table = table(text).unwrap();
            assert_eq!(table.column("label").unwrap(), ["3", "1", "3"]);
            assert_eq!(table.rows(), 3);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &str, ask: fn(&LabelTable) -> Result<()>| {
            let result = table(text).and_then(|table| ask(&table));
            format!("{:#}", result.unwrap_err())
        };
        let label = |table: &LabelTable| table.column("label").map(|_| ());
        let flags = |table: &LabelTable| table.flags("is_query").map(|_| ());
        for (text, ask, says) in [
            (
                "path,class\na,1\n",
                label as fn(&LabelTable) -> Result<()>,
                "has no column `label`, only class, path",
            ),
            ("label,label\n1,2\n", label, "two columns `label`"),
            ("label,path\n1,a\n2\n", label, "found record with 1 fields"),
            ("", label, "is empty"),
            (
                "label,is_query\n1,yes\n",
                flags,
                "row 0: is_query is `yes`, must be 0 or 1",
            ),
        ] {
            let error = error(text, ask);
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn words_get_numbers_in_their_order_and_numbers_stay() {
        let texts = |list: &[&str]| list.iter().map(|x| (*x).to_owned()).collect::<Vec<_>>();
        let (a, b) = (texts(&["pug", "beagle"]), texts(&["pug", "collie"]));
        let (numbers, names) = numbered(&[&a, &b]);
        assert_eq!(numbers, [[2, 0], [2, 1]]);
        assert_eq!(names[&1], "collie");
        let (a, b) = (texts(&["7", "3"]), texts(&["10"]));
        let (numbers, names) = numbered(&[&a, &b]);
        assert_eq!(numbers, [vec![7, 3], vec![10]]);
        assert!(names.is_empty());
    }
}
