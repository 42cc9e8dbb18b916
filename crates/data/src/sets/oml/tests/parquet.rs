//! The same tables as Parquet.

use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::parse;
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
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
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
                drop(
                    column
                        .typed::<BoolType>()
                        .write_batch(&[number == 3], Some(&[0, 1]), None),
                );
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
    parse("t.csv".as_ref(), "root".as_ref(), bytes).map_err(|error| error.to_string())
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
fn whole_labels_that_pandas_made_floats_are_the_same_in_both_forms() {
    let text = |label: &str| {
        format!("label,path,split,is_query,is_gallery\n{label},a,train,,\n2.0,b,train,,\n")
    };
    let table = read(text("10.0").as_bytes()).unwrap();
    assert_eq!(table.class_names, ["2", "10"]);
    assert_eq!(table.labels(&[0, 1]), [1, 0]);
    // The boxes of the second row are such floats.
    let boxes = read(&file("train", Compression::SNAPPY)).unwrap();
    assert!(boxes.rows[1].region.is_some());
    let table = read(text("1.5").as_bytes()).unwrap();
    assert_eq!(table.class_names, ["1.5", "2.0"]);
}

#[test]
fn mistakes_are_named_with_row_and_column() {
    let message = read(&file("test", Compression::UNCOMPRESSED)).unwrap_err();
    assert!(
        message.starts_with("t.csv: row 0, split: \"test\" is neither"),
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
