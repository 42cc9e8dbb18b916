//! Parquet files as tables of text: every field of a row becomes what it would be in a CSV file.
//!
//! The `parquet` crate's row reader is used, without arrow and with Snappy alone, which is what pandas writes unless told
//! otherwise. Columns that nobody asks for are not decoded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use csv::StringRecord;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

use crate::error::DataError;

/// A file whose columns are known.
pub(super) struct ParquetTable {
    file: PathBuf,
    reader: SerializedFileReader<Bytes>,
}

impl ParquetTable {
    /// Whether the bytes begin as a Parquet file does.
    pub(super) fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(b"PAR1")
    }

    /// Reads the footer.
    pub(super) fn open(file: &Path, bytes: &[u8]) -> Result<Self, DataError> {
        let bytes = Bytes::copy_from_slice(bytes);
        let reader = guarded(file, || SerializedFileReader::new(bytes))?;
        Ok(ParquetTable {
            file: file.to_path_buf(),
            reader,
        })
    }

    fn schema(&self) -> &Type {
        self.reader.metadata().file_metadata().schema()
    }

    /// Names of all columns.
    pub(super) fn header(&self) -> StringRecord {
        self.schema()
            .get_fields()
            .iter()
            .map(|field| field.name())
            .collect::<Vec<_>>()
            .into()
    }

    /// Hands over every row with its number from 1, fields in the order of the header. Fields of columns that are not
    /// `wanted` are empty.
    pub(super) fn each_row(
        &self,
        wanted: impl Fn(&str) -> bool,
        mut take: impl FnMut(u64, &StringRecord) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let fields = self.schema().get_fields();
        let mut chosen = Vec::new();
        for (position, field) in fields.iter().enumerate() {
            if wanted(field.name()) {
                if !field.is_primitive() {
                    let problem = format!("the column {:?} holds groups, not values", field.name());
                    return Err(DataError::content(&self.file, "schema", problem));
                }
                chosen.push((position, Arc::clone(field)));
            }
        }
        let positions: Vec<usize> = chosen.iter().map(|(position, _)| *position).collect();
        let parts = chosen.into_iter().map(|(_, field)| field).collect();
        let projection = Type::group_type_builder(self.schema().name())
            .with_fields(parts)
            .build()
            .map_err(|error| self.unreadable(&error))?;
        let mut rows = guarded(&self.file, || self.reader.get_row_iter(Some(projection)))?;
        let mut cells = vec![String::new(); fields.len()];
        let mut number = 0;
        while let Some(row) = guarded(&self.file, || rows.next().transpose())? {
            number += 1;
            for (&position, (name, field)) in positions.iter().zip(row.get_column_iter()) {
                cells[position] = text(field).ok_or_else(|| {
                    let problem = format!("{field} is neither text, number nor truth value");
                    DataError::content(&self.file, format!("row {number}, {name}"), problem)
                })?;
            }
            take(number, &StringRecord::from(&cells[..]))?;
        }
        Ok(())
    }

    fn unreadable(&self, error: &ParquetError) -> DataError {
        DataError::content(&self.file, "Parquet file", error.to_string())
    }
}

/// Runs a step of the reader, which may stop on a damaged file instead of returning an error.
fn guarded<T>(file: &Path, step: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, DataError> {
    let problem = match catch_unwind(AssertUnwindSafe(step)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the reader stopped on this file".to_owned(),
    };
    Err(DataError::content(file, "Parquet file", problem))
}

/// A value as CSV would hold it; absent values and NaN, which pandas writes for them, are empty.
fn text(field: &Field) -> Option<String> {
    let float = |value: f64| {
        if value.is_nan() {
            String::new()
        } else {
            value.to_string()
        }
    };
    Some(match field {
        Field::Null => String::new(),
        Field::Bool(value) => value.to_string(),
        Field::Byte(value) => value.to_string(),
        Field::Short(value) => value.to_string(),
        Field::Int(value) => value.to_string(),
        Field::Long(value) => value.to_string(),
        Field::UByte(value) => value.to_string(),
        Field::UShort(value) => value.to_string(),
        Field::UInt(value) => value.to_string(),
        Field::ULong(value) => value.to_string(),
        Field::Float(value) => float(f64::from(*value)),
        Field::Double(value) => float(*value),
        Field::Str(value) => value.clone(),
        Field::Bytes(value) => value.as_utf8().ok()?.to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::basic::Compression;
    use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::super::oml;
    use crate::table::{PixelBox, Roles, Split, Table};

    /// The types that pandas gives such a table: whole labels, optional truth values, floats where rows are empty.
    const SCHEMA: &str = "message schema {
        required int64 label; optional binary path (UTF8); optional binary split (UTF8);
        optional boolean is_query; optional boolean is_gallery;
        optional double x_1; optional double x_2; optional double y_1; optional double y_2;
        optional binary text (UTF8); }";

    /// A table of two rows, the second with a box if `box_of` has one.
    fn file(split: &str, compression: Compression) -> Vec<u8> {
        let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .build();
        let mut writer =
            SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let words =
            |words: &[&str]| -> Vec<ByteArray> { words.iter().map(|&word| word.into()).collect() };
        let mut number = 0;
        while let Some(mut column) = group.next_column().unwrap() {
            // Levels say which of the two rows has a value.
            match number {
                0 => drop(
                    column
                        .typed::<Int64Type>()
                        .write_batch(&[7, -3], None, None),
                ),
                1 => {
                    let values = words(&["a b.jpg", "é.jpg"]);
                    drop(
                        column
                            .typed::<ByteArrayType>()
                            .write_batch(&values, Some(&[1, 1]), None),
                    );
                }
                2 => {
                    let values = words(&[split, "validation"]);
                    drop(
                        column
                            .typed::<ByteArrayType>()
                            .write_batch(&values, Some(&[1, 1]), None),
                    );
                }
                3 | 4 => {
                    drop(column.typed::<BoolType>().write_batch(
                        &[number == 3],
                        Some(&[0, 1]),
                        None,
                    ));
                }
                5..=8 => {
                    let values = [f64::NAN, [1.0, 9.0, 2.0, 8.0][number - 5]];
                    drop(
                        column
                            .typed::<DoubleType>()
                            .write_batch(&values, Some(&[1, 1]), None),
                    );
                }
                _ => {
                    let values = words(&["hello"]);
                    drop(
                        column
                            .typed::<ByteArrayType>()
                            .write_batch(&values, Some(&[1, 0]), None),
                    );
                }
            }
            column.close().unwrap();
            number += 1;
        }
        group.close().unwrap();
        writer.into_inner().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Table, String> {
        oml::parse("t.csv".as_ref(), "root".as_ref(), bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn parquet_means_what_csv_means_whatever_the_file_is_called() {
        let table = read(&file("train", Compression::SNAPPY)).unwrap();
        let text = "label,path,split,is_query,is_gallery,x_1,x_2,y_1,y_2,text\n\
            7,a b.jpg,train,,,,,,,hello\n-3,é.jpg,validation,true,false,1,9,2,8,\n";
        let same = read(text.as_bytes()).unwrap();
        assert_eq!(table.rows, same.rows);
        assert_eq!(table.notices, same.notices);
        assert_eq!(table.class_ids, ["-3", "7"]);
        assert_eq!(table.rows[1].split, Split::Test);
        let roles = Roles {
            query: true,
            gallery: false,
        };
        assert_eq!(table.rows[1].roles, Some(roles));
        let region = PixelBox {
            left: 1,
            top: 2,
            right: 9,
            bottom: 8,
        };
        assert_eq!(table.rows[1].region, Some(region));
    }

    #[test]
    fn mistakes_are_named_with_row_and_column() {
        let message = read(&file("test", Compression::UNCOMPRESSED)).unwrap_err();
        assert!(
            message.starts_with("t.csv: row 1, split: \"test\" is neither"),
            "{message}"
        );
        let message = read(b"PAR1 and no more").unwrap_err();
        assert!(message.starts_with("t.csv: Parquet file: "), "{message}");
    }

    #[test]
    fn a_damaged_file_is_an_error_and_never_a_panic() {
        let whole = file("train", Compression::SNAPPY);
        for length in 4..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length} bytes");
        }
        for position in 4..whole.len() {
            let mut damaged = whole.clone();
            damaged[position] ^= 0x55;
            // Either the damage is seen or it hit a value; both are fine.
            let _ = read(&damaged);
        }
    }
}
