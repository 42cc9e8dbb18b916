//! A Parquet table, without arrow: path, label and class name of each photograph, what else a table says of it, and its embedding as a
//! list of floats.
//!
//! Milvus and its relatives take such files in bulk as they are: the columns are named like the fields, a vector is a list of
//! floats, and row groups are small enough for its readers.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{ConvertedType, Repetition, Type as PhysicalType};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::Type;

use crate::shard::NOTE;
use crate::text::COLUMNS;
use crate::{Embeddings, Shard};

/// Columns in front of further ones, and the embedding behind them. Lists have three levels, as the format asks for it; that a value
/// could be missing is what everybody else writes.
const SCHEMA: &str = "
message embeddings {
  required binary path (UTF8);
  required int64 label;
  required binary class_name (UTF8);
  required group embedding (LIST) {
    repeated group list {
      optional float element;
    }
  }
}";

/// The schema with further columns of text in front of the embedding.
fn schema<'a>(further: impl Iterator<Item = &'a str>) -> Result<Type, ParquetError> {
    let plain = parse_message_type(SCHEMA)?;
    let mut fields = plain.get_fields().to_vec();
    for name in further {
        let text = Type::primitive_type_builder(name, PhysicalType::BYTE_ARRAY)
            .with_repetition(Repetition::REQUIRED)
            .with_converted_type(ConvertedType::UTF8)
            .build()?;
        fields.insert(fields.len() - 1, Arc::new(text));
    }
    Type::group_type_builder(plain.name())
        .with_fields(fields)
        .build()
}

/// Bytes of embeddings in a group of rows, which a reader loads at once: what Milvus' own writer aims at.
const GROUP_BYTES: usize = 32 << 20;

/// Whether the file is such a table.
pub(crate) fn is_table(path: &Path) -> bool {
    let read = |file: File| -> Result<bool, ParquetError> {
        let file = SerializedFileReader::new(file)?;
        let found = file
            .metadata()
            .file_metadata()
            .schema_descr()
            .root_schema_ptr();
        let names: Vec<&str> = found
            .get_fields()
            .iter()
            .map(|field| field.name())
            .collect();
        let further = names.get(COLUMNS.len()..names.len().saturating_sub(1));
        Ok(*found == schema(further.unwrap_or_default().iter().copied())?)
    };
    File::open(path).is_ok_and(|file| read(file).unwrap_or(false))
}

pub(crate) fn table(embeddings: &Embeddings) -> Result<Vec<u8>, String> {
    write(embeddings).map_err(|error| error.to_string())
}

fn write(embeddings: &Embeddings) -> Result<Vec<u8>, ParquetError> {
    let further = embeddings.columns.iter().map(|(name, _)| name.as_str());
    let schema = Arc::new(schema(further)?);
    let mut bytes = Vec::new();
    let note = |shard: &Shard| vec![KeyValue::new(NOTE.to_owned(), shard.to_string())];
    let properties = WriterProperties::builder()
        .set_key_value_metadata(embeddings.shard.as_ref().map(note))
        .build();
    let mut file = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties))?;
    let (rows, dim) = (embeddings.len(), embeddings.dim);
    let together = rows_of_a_group(dim);
    for start in (0..rows).step_by(together) {
        let range = start..(start + together).min(rows);
        let text = |text: &str| ByteArray::from(text.as_bytes().to_vec());
        let paths: Vec<ByteArray> = range
            .clone()
            .map(|row| text(&embeddings.paths[row]))
            .collect();
        let labels: Vec<i64> = range
            .clone()
            .map(|row| embeddings.labels[row] as i64)
            .collect();
        let names: Vec<ByteArray> = range
            .clone()
            .map(|row| text(embeddings.class_name(row)))
            .collect();
        let values = &embeddings.values[range.start * dim..range.end * dim];
        // Every list is there and has values; the first value of each begins a list.
        let there = vec![2; values.len()];
        let begins: Vec<i16> = (0..values.len())
            .map(|at| i16::from(at % dim != 0))
            .collect();

        let mut group = file.next_row_group()?;
        column::<ByteArrayType, _>(&mut group, &paths, None)?;
        column::<Int64Type, _>(&mut group, &labels, None)?;
        column::<ByteArrayType, _>(&mut group, &names, None)?;
        for (_, values) in &embeddings.columns {
            let values: Vec<ByteArray> = values[range.clone()].iter().map(|it| text(it)).collect();
            column::<ByteArrayType, _>(&mut group, &values, None)?;
        }
        column::<FloatType, _>(&mut group, values, Some((&there, &begins)))?;
        group.close()?;
    }
    file.close()?;
    Ok(bytes)
}

fn rows_of_a_group(dim: usize) -> usize {
    (GROUP_BYTES / (dim.max(1) * size_of::<f32>())).clamp(1, 65_536)
}

/// Writes the next column; `levels` say which values are there and which go on with a list.
fn column<T: DataType, W: std::io::Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    levels: Option<(&[i16], &[i16])>,
) -> Result<(), ParquetError> {
    let next = group.next_column()?;
    let mut next = next.ok_or_else(|| ParquetError::General("a column too many".into()))?;
    let (there, begins) = levels.unzip();
    next.typed::<T>().write_batch(values, there, begins)?;
    next.close()
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::{ListAccessor, RowAccessor};

    use super::rows_of_a_group;
    use crate::embeddings::tests::three;

    #[test]
    fn groups_of_rows_stay_small_whatever_the_length_of_an_embedding() {
        assert_eq!(rows_of_a_group(1024), 8192);
        assert_eq!(rows_of_a_group(1), 65_536);
        assert_eq!(rows_of_a_group(1 << 30), 1);
    }

    #[test]
    fn rows_read_back_with_their_lists() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        three().write(&path).unwrap();
        let file = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
        let rows: Vec<_> = file
            .get_row_iter(None)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0].get_string(0).unwrap(), "my cups/a, \"b\".jpg");
        assert_eq!(
            (
                rows[1].get_long(1).unwrap(),
                rows[1].get_string(2).unwrap().as_str()
            ),
            (1, "plates")
        );
        let list = rows[2].get_list(3).unwrap();
        assert_eq!(
            (list.get_float(0).unwrap(), list.get_float(1).unwrap()),
            (1e-7, 5.0)
        );
    }
}
