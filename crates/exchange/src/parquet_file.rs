//! A Parquet file that is read: every field of a row as the text that a CSV file would hold, and a column of lists as a matrix.
//!
//! The `parquet` crate's readers are used, without arrow. Columns that nobody asks for are not decoded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use csv::StringRecord;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::{ColumnDescriptor, Type};

use crate::choose::choose;
use crate::number::{float_text, narrowed, truth_text};
use crate::{ExchangeError, Matrix, Place};

/// A file whose columns are known.
pub(crate) struct ParquetFile {
    file: PathBuf,
    reader: SerializedFileReader<Bytes>,
}

/// Rows of lists that are decoded at once.
const TOGETHER: usize = 1024;

impl ParquetFile {
    /// Whether the bytes begin as a Parquet file does.
    pub(crate) fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(b"PAR1")
    }

    /// Reads the footer.
    pub(crate) fn open(file: &Path, bytes: Bytes) -> Result<Self, ExchangeError> {
        let reader = guarded(file, || SerializedFileReader::new(bytes))?;
        Ok(Self {
            file: file.to_path_buf(),
            reader,
        })
    }

    fn schema(&self) -> &Type {
        self.reader.metadata().file_metadata().schema()
    }

    /// Names of all columns.
    pub(crate) fn header(&self) -> StringRecord {
        let fields = self.schema().get_fields().iter();
        fields.map(|field| field.name()).collect()
    }

    /// Whether a column holds one value a row.
    pub(crate) fn holds_values(&self, column: &str) -> bool {
        let mut fields = self.schema().get_fields().iter();
        fields.any(|field| field.name() == column && field.is_primitive())
    }

    /// What the writer noted in the file under `key`.
    pub(crate) fn note(&self, key: &str) -> Option<&str> {
        let notes = self
            .reader
            .metadata()
            .file_metadata()
            .key_value_metadata()?;
        let note = notes.iter().find(|note| note.key == key)?;
        note.value.as_deref()
    }

    /// As [`TextTable::each_row`](crate::TextTable::each_row).
    pub(crate) fn each_row<E: From<ExchangeError>>(
        &self,
        wanted: impl Fn(&str) -> bool,
        mut take: impl FnMut(Place, &StringRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        let fields = self.schema().get_fields();
        let mut chosen = Vec::new();
        for (position, field) in fields.iter().enumerate() {
            if wanted(field.name()) {
                if !field.is_primitive() {
                    let problem = format!("the column {:?} holds groups, not values", field.name());
                    return Err(ExchangeError::content(&self.file, "schema", problem).into());
                }
                chosen.push((position, Arc::clone(field)));
            }
        }
        let positions: Vec<usize> = chosen.iter().map(|(position, _)| *position).collect();
        let parts = chosen.into_iter().map(|(_, field)| field).collect();
        let projection = Type::group_type_builder(self.schema().name())
            .with_fields(parts)
            .build()
            .map_err(|error| self.damaged(error.to_string()))?;
        let mut rows = guarded(&self.file, || self.reader.get_row_iter(Some(projection)))?;
        let mut cells = vec![String::new(); fields.len()];
        for number in 0.. {
            let Some(row) = guarded(&self.file, || rows.next().transpose())? else {
                break;
            };
            let place = Place::Row(number);
            for (&position, (name, field)) in positions.iter().zip(row.get_column_iter()) {
                cells[position] = text(field).ok_or_else(|| {
                    let problem = format!("{field} is neither text, number nor truth value");
                    ExchangeError::content(&self.file, format!("{place}, {name}"), problem)
                })?;
            }
            take(place, &StringRecord::from(&cells[..]))?;
        }
        Ok(())
    }

    /// The column of lists `embedding`, or the only one.
    pub(crate) fn matrix(&self) -> Result<Matrix, ExchangeError> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        let list = |column: &ColumnDescriptor| column.max_rep_level() == 1;
        let lists: Vec<usize> = (0..schema.num_columns())
            .filter(|&leaf| list(&schema.column(leaf)))
            .collect();
        let name = |leaf: usize| schema.get_column_root(leaf).name().to_owned();
        let names: Vec<String> = lists.iter().map(|&leaf| name(leaf)).collect();
        let chosen = choose("column of lists", "embedding", &names);
        let chosen = chosen.map_err(|problem| self.schema_error(problem))?;
        let place = names.iter().position(|name| name == chosen);
        let leaf = lists[place.unwrap_or_default()];

        let (mut values, mut starts) = (Vec::new(), Vec::new());
        for group in 0..self.reader.num_row_groups() {
            let column = guarded(&self.file, || {
                self.reader.get_row_group(group)?.get_column_reader(leaf)
            })?;
            let there = schema.column(leaf).max_def_level();
            let read = match column {
                ColumnReader::FloatColumnReader(column) => {
                    self.lists(column, there, &mut starts, &mut values, |&x| Ok(x))
                }
                ColumnReader::DoubleColumnReader(column) => {
                    self.lists(column, there, &mut starts, &mut values, |&x| narrowed(x))
                }
                _ => {
                    let kind = schema.column(leaf).physical_type();
                    let problem =
                        format!("the lists of `{chosen}` hold {kind}, must hold FLOAT or DOUBLE");
                    return Err(self.schema_error(problem));
                }
            };
            read?;
        }
        starts.push(values.len());
        let lengths = || starts.windows(2).map(|ends| ends[1] - ends[0]);
        let dim = lengths().next().unwrap_or(0);
        match lengths().enumerate().find(|&(_, length)| length != dim) {
            None => Ok(Matrix { values, dim }),
            Some((row, length)) => Err(self.row_error(
                row,
                format!("{length} values in `{chosen}`, row 0 has {dim}"),
            )),
        }
    }

    /// Adds the lists of a group of rows: their values, and where each begins.
    fn lists<T: DataType>(
        &self,
        mut column: ColumnReaderImpl<T>,
        there: i16,
        starts: &mut Vec<usize>,
        values: &mut Vec<f32>,
        value: impl Fn(&T::T) -> Result<f32, String>,
    ) -> Result<(), ExchangeError> {
        let (mut levels, mut begins, mut decoded) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            levels.clear();
            begins.clear();
            decoded.clear();
            let (rows, ..) = guarded(&self.file, || {
                let (levels, begins) = (Some(&mut levels), Some(&mut begins));
                column.read_records(TOGETHER, levels, begins, &mut decoded)
            })?;
            if rows == 0 {
                return Ok(());
            }
            let mut decoded = decoded.iter();
            for (&level, &begin) in levels.iter().zip(&begins) {
                if begin == 0 {
                    starts.push(values.len());
                }
                // A list or a value that is not there has a level and no value.
                let next = (level == there).then(|| decoded.next()).flatten();
                let next = next.ok_or_else(|| "lacks a value".to_owned());
                let row = starts.len().saturating_sub(1);
                let next = next.and_then(&value);
                values.push(next.map_err(|problem| self.row_error(row, problem))?);
            }
        }
    }

    fn row_error(&self, row: usize, problem: String) -> ExchangeError {
        ExchangeError::content(&self.file, format!("row {row}"), problem)
    }

    fn schema_error(&self, problem: String) -> ExchangeError {
        ExchangeError::content(&self.file, "schema", problem)
    }

    fn damaged(&self, problem: impl Into<String>) -> ExchangeError {
        ExchangeError::content(&self.file, "Parquet file", problem)
    }
}

/// Runs a step of the reader, which may stop on a damaged file instead of returning an error.
fn guarded<T>(
    file: &Path,
    step: impl FnOnce() -> Result<T, ParquetError>,
) -> Result<T, ExchangeError> {
    let problem = match catch_unwind(AssertUnwindSafe(step)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the reader stopped on this file".to_owned(),
    };
    Err(ExchangeError::content(file, "Parquet file", problem))
}

/// A value as CSV would hold it; absent values and NaN, which pandas writes for them, are empty.
fn text(field: &Field) -> Option<String> {
    Some(match field {
        Field::Null => String::new(),
        Field::Float(value) if value.is_nan() => String::new(),
        Field::Double(value) if value.is_nan() => String::new(),
        Field::Bool(value) => truth_text(*value),
        Field::Byte(value) => value.to_string(),
        Field::Short(value) => value.to_string(),
        Field::Int(value) => value.to_string(),
        Field::Long(value) => value.to_string(),
        Field::UByte(value) => value.to_string(),
        Field::UShort(value) => value.to_string(),
        Field::UInt(value) => value.to_string(),
        Field::ULong(value) => value.to_string(),
        Field::Float(value) => float_text((*value).into(), value),
        Field::Double(value) => float_text(*value, value),
        Field::Str(value) => value.clone(),
        Field::Bytes(value) => value.as_utf8().ok()?.to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FloatType};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    /// Labels as floats and as text, and lists of up to two floats; a list of three numbers has a gap.
    fn file(compression: Compression, lists: &[&[f32]]) -> Vec<u8> {
        let schema = "message schema { optional double label; optional binary name (UTF8);
            optional group embedding (LIST) { repeated group list { optional float element; } } }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = WriterProperties::builder().set_compression(compression);
        let mut writer =
            SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build())).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let rows = lists.len();
        let labels: Vec<f64> = (0..rows).map(|row| row as f64).collect();
        let names = vec![ByteArray::from("name"); rows];
        let there = vec![1; rows];
        let mut column = group.next_column().unwrap().unwrap();
        let typed = column.typed::<DoubleType>();
        typed.write_batch(&labels, Some(&there), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let typed = column.typed::<ByteArrayType>();
        typed.write_batch(&names, Some(&there), None).unwrap();
        column.close().unwrap();
        let (mut levels, mut begins, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for list in lists {
            for (at, &value) in list.iter().enumerate() {
                let gap = at == 2;
                levels.push(if gap { 2 } else { 3 });
                begins.push(i16::from(at > 0));
                values.extend((!gap).then_some(value));
            }
            if list.is_empty() {
                levels.push(1);
                begins.push(0);
            }
        }
        let mut column = group.next_column().unwrap().unwrap();
        let typed = column.typed::<FloatType>();
        typed
            .write_batch(&values, Some(&levels), Some(&begins))
            .unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.into_inner().unwrap()
    }

    fn matrix(bytes: Vec<u8>) -> Result<Matrix, String> {
        let open = ParquetFile::open(Path::new("x.parquet"), Bytes::from(bytes));
        open.and_then(|file| file.matrix())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_compression_reads_the_same() {
        // More rows than are decoded at once.
        let rows: Vec<[f32; 2]> = (0..TOGETHER + 9).map(|row| [row as f32, -0.5]).collect();
        let lists: Vec<&[f32]> = rows.iter().map(|row| &row[..]).collect();
        for compression in [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::GZIP(Default::default()),
            Compression::BROTLI(Default::default()),
            Compression::ZSTD(ZstdLevel::default()),
            Compression::LZ4_RAW,
            Compression::LZ4,
        ] {
            let bytes = file(compression, &lists);
            let open = ParquetFile::open(Path::new("x"), Bytes::from(bytes.clone())).unwrap();
            let mut labels = Vec::new();
            let take = |_, record: &StringRecord| {
                labels.push((record[0].to_owned(), record[1].to_owned()));
                Ok::<(), ExchangeError>(())
            };
            open.each_row(|name| name != "embedding", take).unwrap();
            assert_eq!(labels.len(), rows.len(), "{compression:?}");
            assert_eq!(labels[7], ("7.0".to_owned(), "name".to_owned()));
            assert_eq!(
                matrix(bytes).unwrap().values,
                rows.concat(),
                "{compression:?}"
            );
        }
    }

    #[test]
    fn lists_that_are_no_matrix_are_told_with_their_row() {
        let error = |lists: &[&[f32]]| matrix(file(Compression::UNCOMPRESSED, lists)).unwrap_err();
        let (two, three) = (&[1.0, 2.0][..], &[1.0, 2.0, 3.0][..]);
        assert_eq!(error(&[two, three]), "x.parquet: row 1: lacks a value");
        assert_eq!(error(&[two, two, &[]]), "x.parquet: row 2: lacks a value");
        let short = error(&[two, &[1.0]]);
        assert_eq!(
            short,
            "x.parquet: row 1: 1 values in `embedding`, row 0 has 2"
        );
    }

    #[test]
    fn a_damaged_file_is_an_error_and_never_a_panic() {
        let whole = file(Compression::SNAPPY, &[&[1.0, 2.0], &[3.0, 4.0]]);
        for length in 4..whole.len() {
            assert!(matrix(whole[..length].to_vec()).is_err(), "{length} bytes");
        }
        for position in 4..whole.len() {
            let mut damaged = whole.clone();
            damaged[position] ^= 0x55;
            // Either the damage is seen or it hit a value; both are fine.
            let _ = matrix(damaged);
        }
    }
}
