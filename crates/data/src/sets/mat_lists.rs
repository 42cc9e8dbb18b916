//! Reading the list files of Flowers-102 and Stanford Dogs: named variables whose values are checked one by one.

use std::path::{Path, PathBuf};

use crate::error::DataError;
use crate::mat::{self, Value, Variable};

/// A MATLAB file and its variables.
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
            other => return Err(self.wrong_kind(name, "numbers", other)),
        };
        values
            .iter()
            .enumerate()
            .map(|(position, &value)| {
                let whole = value as usize;
                if whole as f64 == value && (lowest..=highest).contains(&whole) {
                    return Ok(whole);
                }
                let problem = format!(
                    "element {} is {value}, not a whole number of {lowest}..={highest}",
                    position + 1
                );
                Err(DataError::content(&self.path, name, problem))
            })
            .collect()
    }

    /// The strings of a cell array.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<&str>, DataError> {
        let cells = match self.value(name)? {
            Value::Cells(cells) => cells,
            other => return Err(self.wrong_kind(name, "cells", other)),
        };
        cells
            .iter()
            .enumerate()
            .map(|(position, cell)| match cell {
                Value::Text(text) => Ok(text.as_str()),
                other => {
                    let problem = format!("cell {} holds {}, not text", position + 1, other.kind());
                    Err(DataError::content(&self.path, name, problem))
                }
            })
            .collect()
    }

    fn wrong_kind(&self, name: &str, expected: &str, found: &Value) -> DataError {
        let problem = format!("holds {}, {expected} were expected", found.kind());
        DataError::content(&self.path, name, problem)
    }
}
