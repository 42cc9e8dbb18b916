//! Run files: TOML, every unknown key refused with the nearest known one, single values overridden from outside.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lodestone_files::read_text;
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// A run file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunFileError {
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] lodestone_files::TextError),
    /// The file is not TOML.
    #[error("{}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and what is wrong there.
        reason: String,
    },
    /// An override is not of the form `a.b=value`.
    #[error("--set {text}: expected KEY=VALUE, such as optimizer.head_rate=0.01")]
    Override {
        /// The override as given.
        text: String,
    },
    /// A key or value does not fit.
    #[error("{place}: {reason}{}", hint(suggestion))]
    Content {
        /// The file or the override.
        place: String,
        /// What is wrong, with key and value.
        reason: String,
        /// The nearest known key.
        suggestion: Option<String>,
    },
}

fn hint(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map(|known| format!("; did you mean `{known}`?"))
        .unwrap_or_default()
}

/// Reads `path`, applies `overrides` of the form `a.b=value` in order, and makes a configuration of it.
///
/// # Errors
/// If the file cannot be read or parsed, or if a key is unknown or a value of the wrong kind; the error names the file or
/// the override, the key and the value.
pub fn read<T: DeserializeOwned>(path: &Path, overrides: &[String]) -> Result<T, RunFileError> {
    parse(&read_text(path)?, path, overrides)
}

/// The same for text that is at hand; `path` only names it in errors.
///
/// # Errors
/// As [`read`].
pub fn parse<T: DeserializeOwned>(
    text: &str,
    path: &Path,
    overrides: &[String],
) -> Result<T, RunFileError> {
    let table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| RunFileError::Syntax {
            path: path.to_path_buf(),
            reason: one_line(&error, text),
        })?;
    // The file is checked by itself first, so that its mistakes are not blamed on an override.
    let place = path.display().to_string();
    if overrides.is_empty() {
        return interpret(table, &place);
    }
    let mut table = table;
    for text in overrides {
        let (key, value) = split(text)?;
        insert(&mut table, &key, value).map_err(|reason| RunFileError::Content {
            place: format!("--set {text}"),
            reason,
            suggestion: None,
        })?;
    }
    interpret(
        table,
        &format!("{place} with --set {}", overrides.join(" --set ")),
    )
}

fn interpret<T: DeserializeOwned>(table: Table, place: &str) -> Result<T, RunFileError> {
    T::deserialize(Value::Table(table)).map_err(|error| {
        let reason = error.to_string().trim().replace('\n', " ");
        RunFileError::Content {
            place: place.into(),
            suggestion: nearest(&reason),
            reason,
        }
    })
}

/// Line and column of a syntax error, and its message, on one line.
fn one_line(error: &toml::de::Error, text: &str) -> String {
    let start = error.span().map_or(0, |span| span.start).min(text.len());
    let line = text[..start].matches('\n').count() + 1;
    format!("line {line}: {}", error.message().replace('\n', " "))
}

/// serde lists the known names behind the unknown one, each in backticks; the nearest of them is what was meant.
fn nearest(reason: &str) -> Option<String> {
    if !reason.contains("unknown field") && !reason.contains("unknown variant") {
        return None;
    }
    let mut names = reason.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let (distance, known) = names
        .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
        .min()?;
    // Further than half of the word is no resemblance.
    (distance <= unknown.chars().count().div_ceil(2)).then(|| known.to_owned())
}

fn split(text: &str) -> Result<(Vec<String>, Value), RunFileError> {
    let wrong = || RunFileError::Override {
        text: text.to_owned(),
    };
    let (key, value) = text.split_once('=').ok_or_else(wrong)?;
    let key: Vec<String> = key.split('.').map(|part| part.trim().to_owned()).collect();
    if key.iter().any(String::is_empty) {
        return Err(wrong());
    }
    // What is no TOML value is a bare word: `--set sampler.kind=shuffled` needs no quotes within quotes.
    let value = format!("value = {value}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(value.trim().to_owned()));
    Ok((key, value))
}

fn insert(table: &mut Table, key: &[String], value: Value) -> Result<(), String> {
    match key {
        [] => Ok(()),
        [last] => {
            table.insert(last.clone(), value);
            Ok(())
        }
        [first, rest @ ..] => {
            let entry = table
                .entry(first.clone())
                .or_insert_with(|| Value::Table(Table::new()));
            match entry {
                Value::Table(inner) => insert(inner, rest, value),
                other => Err(format!("`{first}` is {other}, not a table")),
            }
        }
    }
}

/// Values of a tree of settings, as text, by their dotted keys; a text stands without its quotes. Of what no run file can hold there
/// are none.
pub fn by_key(settings: &impl Serialize) -> BTreeMap<String, String> {
    fn walk(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
        match value {
            Value::Table(fields) => {
                for (name, value) in fields {
                    let path = match path {
                        "" => name.clone(),
                        path => format!("{path}.{name}"),
                    };
                    walk(&path, value, found);
                }
            }
            Value::String(text) => {
                found.insert(path.to_owned(), text.clone());
            }
            other => {
                found.insert(path.to_owned(), other.to_string());
            }
        }
    }
    let mut found = BTreeMap::new();
    if let Ok(value) = Value::try_from(settings) {
        walk("", &short(value), &mut found);
    }
    found
}

/// The value with numbers that came from single precision in as few digits as a person writes: 0.9, not 0.8999999761581421.
pub(crate) fn short(value: Value) -> Value {
    match value {
        Value::Float(wide) if f64::from(wide as f32) == wide => {
            Value::Float((wide as f32).to_string().parse().unwrap_or(wide))
        }
        Value::Array(values) => Value::Array(values.into_iter().map(short).collect()),
        Value::Table(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, short(value)));
            Value::Table(fields.collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[test]
    fn numbers_of_single_precision_have_the_digits_that_were_written() {
        #[derive(Serialize)]
        struct Numbers {
            single: Vec<f32>,
            double: f64,
            third: f64,
        }
        let found = by_key(&Numbers {
            single: vec![1.3333, 0.9, 1e-5],
            double: 0.1,
            third: 1.0 / 3.0,
        });
        assert_eq!(found["single"], "[1.3333, 0.9, 0.00001]");
        assert_eq!(found["double"], "0.1");
        assert_eq!(found["third"], "0.3333333333333333");
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Run {
        seed: u64,
        train: Train,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Train {
        images: usize,
        name: String,
    }

    fn parsed(text: &str, overrides: &[&str]) -> Result<Run, String> {
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        parse(text, Path::new("run.toml"), &overrides).map_err(|error| error.to_string())
    }

    #[test]
    fn overrides_reach_nested_keys_and_bare_words_are_text() {
        let run = parsed(
            "seed = 1\n[train]\nimages = 5",
            &["train.images=7", "seed=2", "train.name=a-b"],
        );
        assert_eq!(
            run,
            Ok(Run {
                seed: 2,
                train: Train {
                    images: 7,
                    name: "a-b".into()
                }
            })
        );
    }

    #[test]
    fn mistakes_name_the_place_and_the_nearest_key() {
        let cases: [(&str, &[&str], &str); 6] = [
            ("sede = 1", &[], "run.toml: unknown field `sede`"),
            ("sede = 1", &[], "did you mean `seed`?"),
            ("seed = ", &[], "run.toml: line 1: "),
            ("", &["train.imagse=3"], "did you mean `images`?"),
            ("", &["train.images"], "expected KEY=VALUE"),
            ("seed = 1", &["seed.x=3"], "`seed` is 1, not a table"),
        ];
        for (text, overrides, expected) in cases {
            let error = parsed(text, overrides).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
