//! Reading the MATLAB list files of Flowers-102, Stanford Dogs, ImageNet and Cars196: named variables whose values are checked
//! one by one.

use std::path::{Path, PathBuf};

use crate::error::DataError;
use crate::mat::{self, Value, Variable};

/// A MATLAB file and its variables.
#[derive(Clone)]
pub(crate) struct MatList {
    /// The file, for messages.
    pub(crate) path: PathBuf,
    variables: Vec<Variable>,
}

impl MatList {
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let bytes = std::fs::read(path).map_err(|source| DataError::read(path, source))?;
        let variables = mat::read(&bytes)
            .map_err(|error| DataError::content(path, "MATLAB file", error.to_string()))?;
        Ok(MatList {
            path: path.to_path_buf(),
            variables,
        })
    }

    /// The value of a variable.
    pub(crate) fn value(&self, name: &str) -> Result<&Value, DataError> {
        let found = self.variables.iter().find(|variable| variable.name == name);
        found.map(|variable| &variable.value).ok_or_else(|| {
            let names: Vec<&str> = self
                .variables
                .iter()
                .map(|variable| variable.name.as_str())
                .collect();
            DataError::content(
                &self.path,
                name,
                format!("no such variable, only {names:?}"),
            )
        })
    }

    /// An array whose elements must all be whole numbers of `lowest..=highest`.
    pub(crate) fn whole_numbers(
        &self,
        name: &str,
        lowest: usize,
        highest: usize,
    ) -> Result<Vec<usize>, DataError> {
        let values = match self.value(name)? {
            Value::Numbers(values) => values,
            other => return Err(self.wrong_kind(name, "numbers were", other)),
        };
        values
            .iter()
            .enumerate()
            .map(|(position, &value)| self.whole(name, position, value, lowest, highest))
            .collect()
    }

    /// The strings of a cell array.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<&str>, DataError> {
        let cells = match self.value(name)? {
            Value::Cells(cells) => cells,
            other => return Err(self.wrong_kind(name, "cells were", other)),
        };
        self.all_text(name, "cell", cells)
    }

    /// The values of a field, one for each element of a structure array.
    pub(crate) fn field(&self, name: &str, field: &str) -> Result<&[Value], DataError> {
        let value = self.value(name)?;
        let Value::Structure(fields) = value else {
            return Err(self.wrong_kind(name, "a structure was", value));
        };
        value.field(field).ok_or_else(|| {
            let names: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
            let problem = format!("no field {field:?}, only {names:?}");
            DataError::content(&self.path, name, problem)
        })
    }

    /// A field that must be a whole number of `lowest..=highest` in every element.
    pub(crate) fn field_numbers(
        &self,
        name: &str,
        field: &str,
        lowest: usize,
        highest: usize,
    ) -> Result<Vec<usize>, DataError> {
        let place = format!("{name}.{field}");
        let values = self.field(name, field)?.iter().enumerate();
        values
            .map(|(position, value)| match value {
                Value::Numbers(numbers) if numbers.len() == 1 => {
                    self.whole(&place, position, numbers[0], lowest, highest)
                }
                other => {
                    let (position, kind) = (position + 1, other.kind());
                    let problem = format!("element {position} holds {kind}, not one number");
                    Err(DataError::content(&self.path, place.clone(), problem))
                }
            })
            .collect()
    }

    /// A field that must be text in every element.
    pub(crate) fn field_texts(&self, name: &str, field: &str) -> Result<Vec<&str>, DataError> {
        self.all_text(
            &format!("{name}.{field}"),
            "element",
            self.field(name, field)?,
        )
    }

    fn whole(
        &self,
        place: &str,
        position: usize,
        value: f64,
        lowest: usize,
        highest: usize,
    ) -> Result<usize, DataError> {
        let whole = value as usize;
        if whole as f64 == value && (lowest..=highest).contains(&whole) {
            return Ok(whole);
        }
        let problem = format!(
            "element {} is {value}, not a whole number of {lowest}..={highest}",
            position + 1
        );
        Err(DataError::content(&self.path, place, problem))
    }

    fn all_text<'a>(
        &self,
        place: &str,
        part: &str,
        values: &'a [Value],
    ) -> Result<Vec<&'a str>, DataError> {
        let values = values.iter().enumerate();
        values
            .map(|(position, value)| match value {
                Value::Text(text) => Ok(text.as_str()),
                other => {
                    let (position, kind) = (position + 1, other.kind());
                    let problem = format!("{part} {position} holds {kind}, not text");
                    Err(DataError::content(&self.path, place, problem))
                }
            })
            .collect()
    }

    fn wrong_kind(&self, name: &str, expected: &str, found: &Value) -> DataError {
        let problem = format!("holds {}, {expected} expected", found.kind());
        DataError::content(&self.path, name, problem)
    }
}
