//! The file of stored numbers and the list of what they are.

use std::collections::BTreeSet;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::testing::Matrix;

/// The reference file and its list of cases.
pub(super) struct Reference {
    bytes: Vec<u8>,
    cases: Value,
}

impl Reference {
    pub(super) fn open() -> Self {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/parity"));
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        Reference {
            bytes: read("losses.safetensors"),
            cases: serde_json::from_slice(&read("losses.json")).unwrap(),
        }
    }

    pub(super) fn list(&self, name: &str) -> &[Value] {
        self.cases[name].as_array().unwrap()
    }

    pub(super) fn array(&self, key: &str) -> Matrix {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file
            .tensor(key)
            .unwrap_or_else(|error| panic!("{key}: {error}"));
        let bytes = view.data();
        let values = match view.dtype() {
            Dtype::F64 => bytes
                .chunks(8)
                .map(|b| f64::from_le_bytes(b.try_into().unwrap()))
                .collect(),
            Dtype::F32 => bytes
                .chunks(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()).into())
                .collect(),
            Dtype::I64 => bytes
                .chunks(8)
                .map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64)
                .collect(),
            Dtype::U8 => bytes.iter().map(|&b| f64::from(b)).collect(),
            other => panic!("{key} has type {other:?}"),
        };
        match *view.shape() {
            [rows, columns] => Matrix::new(rows, columns, values),
            [length] => Matrix::new(1, length, values),
            ref other => panic!("{key} has shape {other:?}"),
        }
    }

    /// Every array of the file.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        file.names().into_iter().map(str::to_owned).collect()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        SafeTensors::deserialize(&self.bytes)
            .unwrap()
            .tensor(key)
            .is_ok()
    }

    /// Embeddings and labels of a case.
    pub(super) fn batch(&self, case: &Value) -> (Matrix, Vec<usize>) {
        let x = self.array(&format!("{}.{}.x", text(case, "batch"), text(case, "form")));
        (x, self.integers(&format!("{}.labels", text(case, "batch"))))
    }

    pub(super) fn integers(&self, key: &str) -> Vec<usize> {
        self.array(key).values.iter().map(|&v| v as usize).collect()
    }
}

/// A field that is a word.
pub(super) fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap()
}
