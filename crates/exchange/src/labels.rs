//! What a column of labels means: text stays text.
//!
//! `1`, `01` and `+1` are three classes, for each may be the name of something. Two things are read into a text nonetheless:
//!
//! - White space around it is not part of it.
//! - pandas and numpy write whole numbers with a fraction (`3.0`, `3.000000e+00`) where a column was one of floats. If all values
//!   of a column are such, it is one of whole numbers.
//!
//! A row without a label is a mistake, never a class of its own.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::number::WHOLE;

/// Whether a text stands for no value: nothing, `nan`, `null` or `<NA>`, as pandas, numpy and polars write it.
///
/// `NA` and `None` are left to be names: of a country, and of what shows no defect.
pub fn is_missing(text: &str) -> bool {
    let text = text.trim();
    let words = ["", "nan", "null", "<na>"];
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Takes the fraction off the whole numbers of a column, if all of its values are written with one; values that are
/// [missing](is_missing) do not count.
pub fn without_fractions<'a>(column: impl Iterator<Item = &'a mut String>) {
    let mut column: Vec<&mut String> = column.filter(|text| !is_missing(text)).collect();
    let mut whole = BTreeMap::<&str, i64>::new();
    for text in &column {
        if !whole.contains_key(text.as_str()) {
            match whole_float(text) {
                Some(value) => drop(whole.insert(text, value)),
                None => return,
            }
        }
    }
    // Two spellings of one number are two names, so these are not numbers.
    if whole.values().collect::<BTreeSet<_>>().len() < whole.len() {
        return;
    }
    let whole: BTreeMap<String, String> = whole
        .into_iter()
        .map(|(text, value)| (text.to_owned(), value.to_string()))
        .collect();
    for text in &mut column {
        text.clone_from(&whole[text.as_str()]);
    }
}

/// The number of a text such as `3.0` or `3.000e+00`; nothing if it is another, or is not sure to be meant as one.
fn whole_float(text: &str) -> Option<i64> {
    let (before, after) = text.split_once('.')?;
    let digits = after.bytes().next().is_some_and(|b| b.is_ascii_digit());
    let value: f64 = text.parse().ok()?;
    let whole = is_whole(before) && digits && value.fract() == 0.0 && value.abs() <= WHOLE;
    whole.then_some(value as i64)
}

/// Whether a text is a whole number as everybody writes it: no sign but `-`, no leading zeros.
fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = !digits.starts_with('0') || text == "0";
    !digits.is_empty() && canonical && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The different labels in the order of the classes: whole numbers by their value if all labels are whole numbers, otherwise
/// texts by their bytes.
pub fn class_order<'a>(labels: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let labels: BTreeSet<&str> = labels.into_iter().collect();
    let mut labels: Vec<&str> = labels.into_iter().collect();
    if labels.iter().all(|label| is_whole(label)) {
        labels.sort_by(|a, b| by_value(a, b));
    }
    labels
}

/// Compares whole numbers of any length.
fn by_value(a: &str, b: &str) -> Ordering {
    let size = |a: &str, b: &str| a.len().cmp(&b.len()).then_with(|| a.cmp(b));
    match (a.starts_with('-'), b.starts_with('-')) {
        (false, false) => size(a, b),
        (true, true) => size(b, a),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}

/// Classes of several lists of labels in one numbering, and their names unless the labels are such numbers already.
///
/// Labels that are all whole numbers from 0 stay what they are; others are numbered in their [order](class_order).
pub fn numbered(lists: &[&[String]]) -> (Vec<Vec<usize>>, BTreeMap<usize, String>) {
    let as_number = |text: &String| is_whole(text).then(|| text.parse().ok()).flatten();
    let as_numbers = |list: &&[String]| list.iter().map(as_number).collect();
    let numbers: Option<Vec<Vec<usize>>> = lists.iter().map(as_numbers).collect();
    if let Some(numbers) = numbers {
        return (numbers, BTreeMap::new());
    }
    let all = lists.iter().copied().flatten().map(String::as_str);
    let names = class_order(all);
    let number_of: BTreeMap<&str, usize> = names
        .iter()
        .enumerate()
        .map(|(i, &name)| (name, i))
        .collect();
    let number = |text: &String| number_of[text.as_str()];
    let numbers = lists.iter().map(|list| list.iter().map(number).collect());
    let named = names.iter().enumerate();
    (
        numbers.collect(),
        named.map(|(i, &name)| (i, name.to_owned())).collect(),
    )
}

/// Shot series of several lists in one numbering. A row whose series is [missing](is_missing) is in none, so that it gets a number
/// of its own.
pub fn numbered_sequences(lists: &[&[String]]) -> Vec<Vec<usize>> {
    let all = lists.iter().copied().flatten().map(String::as_str);
    let names = class_order(all.filter(|text| !is_missing(text)));
    let number_of: BTreeMap<&str, usize> = names
        .iter()
        .enumerate()
        .map(|(i, &name)| (name, i))
        .collect();
    let mut alone = names.len()..;
    let mut number = |text: &String| match number_of.get(text.as_str()) {
        Some(&number) => Some(number),
        None => alone.next(),
    };
    let mut of_list = |list: &&[String]| list.iter().filter_map(&mut number).collect();
    lists.iter().map(&mut of_list).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn a_label_with_a_leading_zero_or_a_sign_stays_text() {
        let labels = texts(&["1", "01", "001", "+1", "1"]);
        let (numbers, names) = numbered(&[&labels]);
        assert_eq!(numbers, [[3, 2, 1, 0, 3]]);
        assert_eq!(names.len(), 4);
        assert_eq!(names[&2], "01");
    }

    #[test]
    fn whole_numbers_go_by_value_and_texts_by_their_bytes() {
        let cases: [(&[&str], &[&str]); 5] = [
            (
                &["10", "9", "-2", "-10", "0"],
                &["-10", "-2", "0", "9", "10"],
            ),
            (&["10", "9", "09"], &["09", "10", "9"]),
            (&["10", "9", "-0"], &["-0", "10", "9"]),
            (&["b", "a", "b", "10"], &["10", "a", "b"]),
            (
                &["99999999999999999999", "100000000000000000000", "3"],
                &["3", "99999999999999999999", "100000000000000000000"],
            ),
        ];
        for (labels, ordered) in cases {
            assert_eq!(class_order(labels.iter().copied()), ordered);
        }
    }

    #[test]
    fn numbers_stay_over_all_lists_and_words_are_numbered_together() {
        let (a, b) = (texts(&["pug", "beagle"]), texts(&["pug", "collie"]));
        let (numbers, names) = numbered(&[&a, &b]);
        assert_eq!(numbers, [[2, 0], [2, 1]]);
        assert_eq!(names[&1], "collie");
        let (a, b) = (texts(&["7", "3"]), texts(&["10"]));
        assert_eq!(
            numbered(&[&a, &b]),
            (vec![vec![7, 3], vec![10]], BTreeMap::new())
        );
        let (numbers, names) = numbered(&[&a, &texts(&["-1"])]);
        assert_eq!(numbers, [vec![2, 1], vec![0]]);
        assert_eq!(names[&0], "-1");
    }

    #[test]
    fn a_column_of_whole_floats_is_one_of_whole_numbers() {
        let cases: [(&[&str], &[&str]); 9] = [
            (&["3.0", "0.0", "", "-2.0"], &["3", "0", "", "-2"]),
            (
                &["3.000000e+00", "1.100000e+01", "nan"],
                &["3", "11", "nan"],
            ),
            (&["3.0", "0.5"], &["3.0", "0.5"]),
            (&["3.0", "3"], &["3.0", "3"]),
            (&["1.0", "1.00"], &["1.0", "1.00"]),
            (&["01.0", "2.0"], &["01.0", "2.0"]),
            (&["1.", "2."], &["1.", "2."]),
            (&["1e5"], &["1e5"]),
            (&["1e300", "1.0e300"], &["1e300", "1.0e300"]),
        ];
        for (before, after) in cases {
            let mut column = texts(before);
            without_fractions(column.iter_mut());
            assert_eq!(column, after);
        }
    }

    #[test]
    fn nothing_nan_and_null_are_no_labels() {
        for text in ["", "  ", "nan", "NaN", "null", "NULL", "<NA>"] {
            assert!(is_missing(text), "{text:?}");
        }
        for text in ["0", "NA", "None", "none", "nano"] {
            assert!(!is_missing(text), "{text:?}");
        }
    }

    #[test]
    fn a_row_without_a_sequence_is_in_none() {
        let (a, b) = (texts(&["s2", "", "s1"]), texts(&["", "s1", "nan"]));
        assert_eq!(numbered_sequences(&[&a, &b]), [[1, 2, 0], [3, 0, 4]]);
    }
}
