//! Tables as text.

use std::io::{BufRead, BufReader};
use std::path::Path;

use csv::Writer;

use crate::shard::NOTE;
use crate::{Embeddings, Shard};

/// Columns of a list, and the first ones of a table.
pub(crate) const COLUMNS: [&str; 3] = ["path", "label", "class_name"];

/// Whether the file begins as a list does.
pub(crate) fn is_list(path: &Path) -> bool {
    after_columns(path).is_some_and(|rest| rest.is_empty())
}

/// Whether the file begins as a table does.
pub(crate) fn is_table(path: &Path) -> bool {
    after_columns(path).is_some_and(|rest| rest.split(',').any(|name| name == "e0"))
}

/// What stands in the header behind the columns that every list has.
fn after_columns(path: &Path) -> Option<String> {
    let mut line = String::new();
    let file = std::fs::File::open(path).ok()?;
    BufReader::new(file).read_line(&mut line).ok()?;
    let rest = line.trim_end().strip_prefix(&COLUMNS.join(","))?;
    let shard = rest.strip_prefix(&format!(",{NOTE}"));
    Some(shard.unwrap_or(rest).to_owned())
}

/// `path`, `label`, `class_name`, `shard` where there is one, and further columns.
pub(crate) fn list(embeddings: &Embeddings) -> Result<Vec<u8>, String> {
    written(embeddings, |_| Vec::new())
}

/// The same with the values in columns of their own.
pub(crate) fn table(embeddings: &Embeddings) -> Result<Vec<u8>, String> {
    written(embeddings, |row| match row {
        None => (0..embeddings.dim).map(|at| format!("e{at}")).collect(),
        Some(row) => {
            let values = &embeddings.values[row * embeddings.dim..][..embeddings.dim];
            values.iter().map(f32::to_string).collect()
        }
    })
}

/// A table whose rows, and whose header, end in `more`.
fn written(
    embeddings: &Embeddings,
    more: impl Fn(Option<usize>) -> Vec<String>,
) -> Result<Vec<u8>, String> {
    let mut writer = Writer::from_writer(Vec::new());
    let shard = embeddings.shard.as_ref().map(Shard::to_string);
    let mut write = |first: [&str; 3], shard: Option<&str>, row: Option<usize>| {
        let further = embeddings.columns.iter();
        let further = further.map(|(name, column)| row.map_or(name, |row| &column[row]));
        let more = more(row);
        let fields = first.into_iter().chain(shard);
        let fields = fields.chain(further.map(String::as_str));
        let fields = fields.chain(more.iter().map(String::as_str));
        let written = writer.write_record(fields);
        written.map_err(|error| error.to_string())
    };
    let named = shard.is_some().then_some(NOTE);
    write(COLUMNS, named, None)?;
    for (row, path) in embeddings.paths.iter().enumerate() {
        let label = embeddings.labels[row].to_string();
        let first = [path, &label, embeddings.class_name(row)];
        write(first, shard.as_deref(), Some(row))?;
    }
    writer.into_inner().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embeddings::tests::three;

    #[test]
    fn names_with_quotes_and_commas_read_back() {
        let bytes = table(&three()).unwrap();
        let mut reader = csv::Reader::from_reader(&bytes[..]);
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(&records[0][0], "my cups/a, \"b\".jpg");
        assert_eq!(
            records[2].iter().skip(1).collect::<Vec<_>>(),
            ["0", "cups", "0.0000001", "5"]
        );
        let bytes = list(&three()).unwrap();
        assert_eq!(csv::Reader::from_reader(&bytes[..]).records().count(), 3);
    }
}
