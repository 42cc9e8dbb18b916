//! Embeddings alone, from a file of any form.

use std::fs::File;
use std::io::BufReader;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use csv::StringRecord;

use crate::error::read;
use crate::parquet_file::ParquetFile;
use crate::table::TextTable;
use crate::{ExchangeError, Form, Place, npy, tensors};

/// Rows of equal length, as `f32`: halves are exact in it, doubles are rounded.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// `[rows, dim]`, row after row.
    pub values: Vec<f32>,
    /// Length of a row.
    pub dim: usize,
}

impl Matrix {
    /// Reads the matrix of a file, whose form its ending says. In a file of several it is the one called `embeddings`, or
    /// `embedding` in Parquet, or else the only one; in a `.csv` it is the columns `e0`, `e1`, ….
    ///
    /// # Errors
    /// If the ending stands for no form, the file cannot be read, or it holds no matrix of floats with a row and a column.
    pub fn read(file: &Path) -> Result<Self, ExchangeError> {
        let not_one = |problem| ExchangeError::Array {
            path: file.to_path_buf(),
            problem,
        };
        let matrix = match Form::of(file)? {
            Form::Npy => {
                let open = File::open(file).map_err(|source| ExchangeError::Read {
                    path: file.to_path_buf(),
                    source,
                })?;
                npy::matrix(BufReader::new(open)).map_err(not_one)?
            }
            Form::Npz => npy::matrix_in(&read(file)?).map_err(not_one)?,
            Form::Safetensors => tensors::matrix_in(&read(file)?).map_err(not_one)?,
            Form::Parquet => ParquetFile::open(file, Bytes::from(read(file)?))?.matrix()?,
            Form::Csv => {
                let bytes = read(file)?;
                let table = TextTable::new(file, &bytes)?;
                let mut columns = ValueColumns::of(file, &table)?;
                table.each_row(|_| true, |place, record| columns.add(place, record))?;
                columns.matrix()
            }
        };
        matrix.checked(file)
    }

    /// Refuses a matrix without rows or columns.
    pub(crate) fn checked(self, file: &Path) -> Result<Self, ExchangeError> {
        match self.dim > 0 && !self.values.is_empty() {
            true => Ok(self),
            false => {
                let rows = self.values.len() / self.dim.max(1);
                let problem = format!(
                    "is {rows} x {}: at least one row and one column are needed",
                    self.dim
                );
                Err(ExchangeError::Array {
                    path: file.to_path_buf(),
                    problem,
                })
            }
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.dim.max(1)
    }
}

/// The columns of a CSV table that hold embeddings.
pub(crate) struct ValueColumns<'a> {
    file: &'a Path,
    columns: Range<usize>,
    values: Vec<f32>,
}

impl<'a> ValueColumns<'a> {
    /// Finds `e0` and the columns that count on behind it.
    pub(crate) fn of(file: &'a Path, table: &TextTable<'_>) -> Result<Self, ExchangeError> {
        let header = table.header();
        let Some(start) = header.iter().position(|name| name == "e0") else {
            let problem = "no columns `e0`, `e1`, … of embeddings";
            return Err(ExchangeError::content(file, table.header_place(), problem));
        };
        let behind = header.iter().skip(start).enumerate();
        let dim = behind.take_while(|(at, name)| **name == format!("e{at}"));
        Ok(Self {
            file,
            columns: start..start + dim.count(),
            values: Vec::new(),
        })
    }

    pub(crate) fn contains(&self, position: usize) -> bool {
        self.columns.contains(&position)
    }

    pub(crate) fn add(&mut self, place: Place, record: &StringRecord) -> Result<(), ExchangeError> {
        for at in self.columns.clone() {
            let text = record.get(at).unwrap_or_default().trim();
            let value = text.parse::<f32>().map_err(|_| {
                let column = format!("{place}, e{}", at - self.columns.start);
                ExchangeError::content(self.file, column, format!("{text:?} is no number"))
            })?;
            self.values.push(value);
        }
        Ok(())
    }

    pub(crate) fn matrix(self) -> Matrix {
        Matrix {
            values: self.values,
            dim: self.columns.len(),
        }
    }
}
