//! OML tables as CSV and Parquet, right and wrong.

mod parquet;

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
        "columns not used: text",
        "1 queries have no other gallery row of their label",
    ];
    assert_eq!(table.notices, notices);
}

#[test]
fn a_table_may_leave_it_open_who_asks() {
    let table = read("path,label,split\na,1,train\nb,1,validation\nc,2,validation\n").unwrap();
    assert_eq!(table.split(Split::Test), [1, 2]);
    assert!(table.rows.iter().all(|row| row.roles.is_none()));
    assert_eq!(table.notices, [""; 0]);
}

#[test]
fn a_label_with_a_leading_zero_stays_text() {
    let table = |labels: [&str; 4]| {
        let mut text = "label,path,split,is_query,is_gallery,class_name\n".to_owned();
        for (row, label) in labels.into_iter().enumerate() {
            let name = if label.ends_with('1') { "one" } else { "" };
            text += &format!("{label},{row}.jpg,train,,,{name}\n");
        }
        read(&text).unwrap()
    };
    let texts = table(["1", "01", " 001", "+1"]);
    assert_eq!(texts.class_ids, ["+1", "001", "01", "1"]);
    assert_eq!(texts.labels(&[0, 1, 2, 3]), [3, 2, 1, 0]);
    assert_eq!(texts.class_names, ["one"; 4]);
    // Whole numbers alone stand by their value.
    let numbers = table(["10", "9", "-1", "9"]);
    assert_eq!(numbers.class_ids, ["-1", "9", "10"]);
    assert_eq!(numbers.labels(&[0, 1, 2, 3]), [2, 1, 0, 1]);
    assert_eq!(numbers.class_names, ["one", "9", "10"]);
}

#[test]
fn a_category_or_sequence_without_a_value_is_none() {
    let table = read(
        "label,path,split,is_query,is_gallery,category,sequence\n\
         1,a,train,,,2.0,s\n1,b,train,,,10.0,nan\n1,c,train,,,nan,\n1,d,train,,,2.0,s\n",
    )
    .unwrap();
    assert_eq!(table.coarse_names, ["10", "2"]);
    let coarse: Vec<Option<usize>> = table.rows.iter().map(|row| row.coarse).collect();
    assert_eq!(coarse, [Some(1), Some(0), None, Some(1)]);
    let sequences: Vec<Option<usize>> = table.rows.iter().map(|row| row.sequence).collect();
    assert_eq!(sequences, [Some(0), None, None, Some(0)]);
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
            "label,path,split,is_gallery\n".to_owned(),
            "header: no column \"is_query\", only",
        ),
        (
            "label,label,path,split,is_query,is_gallery\n".to_owned(),
            "two columns \"label\"",
        ),
        (
            format!("{header}1,a,train,,,,,,\n\n,b,train,,,,,,\n"),
            "line 4, label: \"\" is no label",
        ),
        (
            format!("{header} NaN,a,train,,,,,,\n"),
            "line 2, label: \" NaN\" is no label",
        ),
        (
            format!("{header}1,,train,,,,,,\n"),
            "line 2, path: \"\" is no path",
        ),
        (
            format!("{header}1,../a.jpg,train,,,,,,\n"),
            "line 2, path: \"../a.jpg\" leaves the data set's folder",
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
        (
            format!("{header}1,a,train,,,,,,\n1,a,validation,1,1,,,,\n"),
            "line 3, split: a is trained on and tested",
        ),
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
