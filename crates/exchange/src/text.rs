//! Tables as text.

use std::io::{BufRead, BufReader};
use std::path::Path;

use csv::Writer;

use crate::Embeddings;

/// Columns of a list, and the first ones of a table.
const COLUMNS: [&str; 3] = ["path", "label", "class_name"];

/// Whether the file begins as a list does.
pub(crate) fn is_list(path: &Path) -> bool {
    header(path).is_some_and(|header| header == COLUMNS.join(","))
}

/// Whether the file begins as a table does.
pub(crate) fn is_table(path: &Path) -> bool {
    header(path).is_some_and(|header| header.starts_with(&(COLUMNS.join(",") + ",e0")))
}

fn header(path: &Path) -> Option<String> {
    let mut line = String::new();
    let file = std::fs::File::open(path).ok()?;
    BufReader::new(file).read_line(&mut line).ok()?;
    Some(line.trim_end().to_owned())
}

/// `path`, `label`, `class_name`.
pub(crate) fn list(embeddings: &Embeddings) -> Result<Vec<u8>, String> {
    let mut writer = Writer::from_writer(Vec::new());
    let text = |error: csv::Error| error.to_string();
    writer.write_record(COLUMNS).map_err(text)?;
    for (row, path) in embeddings.paths.iter().enumerate() {
        let label = embeddings.labels[row].to_string();
        writer
            .write_record([path, &label, embeddings.class_name(row)])
            .map_err(text)?;
    }
    writer.into_inner().map_err(|error| error.to_string())
}

/// The same with the values in columns of their own.
pub(crate) fn table(embeddings: &Embeddings) -> Result<Vec<u8>, String> {
    let mut writer = Writer::from_writer(Vec::new());
    let text = |error: csv::Error| error.to_string();
    let mut header = COLUMNS.map(str::to_owned).to_vec();
    header.extend((0..embeddings.dim).map(|at| format!("e{at}")));
    writer.write_record(&header).map_err(text)?;
    for (row, values) in embeddings.rows().enumerate() {
        let mut record = vec![
            embeddings.paths[row].clone(),
            embeddings.labels[row].to_string(),
            embeddings.class_name(row).to_owned(),
        ];
        record.extend(values.iter().map(f32::to_string));
        writer.write_record(&record).map_err(text)?;
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
