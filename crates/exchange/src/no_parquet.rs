//! What stands for a Parquet file in a program that cannot read one: an error, and a type without values.

use std::path::Path;

use csv::StringRecord;

use crate::{ExchangeError, Place};

pub(crate) enum ParquetFile {}

impl ParquetFile {
    /// Whether the bytes begin as a Parquet file does.
    pub(crate) fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(b"PAR1")
    }

    pub(crate) fn open(file: &Path, _: Vec<u8>) -> Result<Self, ExchangeError> {
        let problem = "this program was built without a reader of it, \
            feature `parquet` of lodestone-data or `embeddings` of lodestone-exchange";
        Err(ExchangeError::content(file, "Parquet file", problem))
    }

    pub(crate) fn header(&self) -> StringRecord {
        match *self {}
    }

    pub(crate) fn holds_values(&self, _: &str) -> bool {
        match *self {}
    }

    pub(crate) fn each_row<E: From<ExchangeError>>(
        &self,
        _: impl Fn(&str) -> bool,
        _: impl FnMut(Place, &StringRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        match *self {}
    }
}
