//! Embeddings as arrays.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use ndarray::{ArrayView1, ArrayView2};
use ndarray_npy::{NpzWriter, WriteNpyExt};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::{Embeddings, Form};

/// Whether the file begins as one of that form does.
pub(crate) fn is_matrix(path: &Path, form: Form) -> bool {
    let mut beginning = Vec::new();
    let read = File::open(path).map(|file| file.take(512).read_to_end(&mut beginning));
    let begins = |with: &[u8]| beginning.starts_with(with);
    read.is_ok()
        && match form {
            Form::Npy => begins(b"\x93NUMPY"),
            Form::Npz => begins(b"PK"),
            // The length of the header, and the header; that of a model or an index says more about itself first.
            Form::Safetensors => beginning.get(8..).is_some_and(|header| {
                header.starts_with(b"{\"labels\":") || header.starts_with(b"{\"embeddings\":")
            }),
            Form::Parquet | Form::Csv => false,
        }
}

fn matrix(embeddings: &Embeddings) -> Result<ArrayView2<'_, f32>, String> {
    let shape = (embeddings.len(), embeddings.dim);
    ArrayView2::from_shape(shape, &embeddings.values).map_err(|error| error.to_string())
}

fn labels(embeddings: &Embeddings) -> Vec<i64> {
    embeddings
        .labels
        .iter()
        .map(|&label| label as i64)
        .collect()
}

pub(crate) fn npy(embeddings: &Embeddings) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let written = matrix(embeddings)?.write_npy(&mut bytes);
    written.map_err(|error| error.to_string())?;
    Ok(bytes)
}

pub(crate) fn npz(embeddings: &Embeddings) -> Result<Vec<u8>, String> {
    let text = |error: ndarray_npy::WriteNpzError| error.to_string();
    let mut file = NpzWriter::new(Cursor::new(Vec::new()));
    file.add_array("embeddings", &matrix(embeddings)?)
        .map_err(text)?;
    let labels = labels(embeddings);
    file.add_array("labels", &ArrayView1::from(&labels))
        .map_err(text)?;
    Ok(file.finish().map_err(text)?.into_inner())
}

pub(crate) fn safetensors(embeddings: &Embeddings) -> Result<Vec<u8>, String> {
    let text = |error: safetensors::SafeTensorError| error.to_string();
    let values: Vec<u8> = embeddings
        .values
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let labels: Vec<u8> = labels(embeddings)
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let rows = embeddings.len();
    let tensors = [
        (
            "embeddings",
            TensorView::new(Dtype::F32, vec![rows, embeddings.dim], &values),
        ),
        ("labels", TensorView::new(Dtype::I64, vec![rows], &labels)),
    ];
    let mut views = Vec::new();
    for (name, view) in tensors {
        views.push((name, view.map_err(text)?));
    }
    safetensors::serialize(views, None).map_err(text)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2};
    use ndarray_npy::{NpzReader, ReadNpyExt};

    use super::*;
    use crate::embeddings::tests::three;

    #[test]
    fn every_form_holds_the_same_numbers() {
        let expected = three();
        let matrix = Array2::<f32>::read_npy(&npy(&expected).unwrap()[..]).unwrap();
        assert_eq!(matrix.dim(), (3, 2));
        assert_eq!(matrix.into_raw_vec_and_offset().0, expected.values);

        let mut file = NpzReader::new(Cursor::new(npz(&expected).unwrap())).unwrap();
        let matrix: Array2<f32> = file.by_name("embeddings").unwrap();
        let labels: Array1<i64> = file.by_name("labels").unwrap();
        assert_eq!(matrix.into_raw_vec_and_offset().0, expected.values);
        assert_eq!(labels.to_vec(), [0, 1, 0]);

        let bytes = safetensors(&expected).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let view = file.tensor("embeddings").unwrap();
        let values: Vec<f32> = view
            .data()
            .as_chunks()
            .0
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect();
        assert_eq!((view.shape(), values), (&[3, 2][..], expected.values));
    }
}
