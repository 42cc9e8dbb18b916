//! The tensors of a `.safetensors` file.

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::Matrix;
use crate::choose::choose;
use crate::number::narrowed;

/// The matrix: `embeddings`, or the only tensor besides the labels.
pub(crate) fn matrix_in(bytes: &[u8]) -> Result<Matrix, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let names: Vec<String> = file.names().into_iter().map(str::to_owned).collect();
    let name = choose("tensor", "embeddings", &names)?;
    let tensor = file.tensor(name).map_err(|error| error.to_string())?;
    let &[_, dim] = tensor.shape() else {
        let shape = tensor.shape();
        return Err(format!(
            "the tensor `{name}` has the shape {shape:?}, must have two dimensions [rows, values]"
        ));
    };
    let values = floats(&tensor).map_err(|problem| format!("the tensor `{name}` {problem}"))?;
    Ok(Matrix { values, dim })
}

/// The labels, if there are any.
pub(crate) fn labels_in(bytes: &[u8]) -> Result<Option<Vec<String>>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let Ok(tensor) = file.tensor("labels") else {
        return Ok(None);
    };
    let shape = tensor.shape();
    match shape {
        [_] | [_, 1] => whole(&tensor).map(Some),
        _ => Err(format!(
            "the tensor `labels` has the shape {shape:?}, labels must have one dimension"
        )),
    }
}

fn floats(tensor: &TensorView<'_>) -> Result<Vec<f32>, String> {
    let bytes = tensor.data();
    Ok(match tensor.dtype() {
        Dtype::F32 => each(bytes, f32::from_le_bytes).collect(),
        Dtype::F64 => each(bytes, f64::from_le_bytes)
            .map(narrowed)
            .collect::<Result<_, _>>()?,
        // Every half is an f32.
        Dtype::F16 => each(bytes, |bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
        Dtype::BF16 => each(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()).collect(),
        other => return Err(format!("holds {other}, must hold F16, BF16, F32 or F64")),
    })
}

fn whole(tensor: &TensorView<'_>) -> Result<Vec<String>, String> {
    let bytes = tensor.data();
    Ok(match tensor.dtype() {
        Dtype::I8 => each(bytes, |x| i8::from_le_bytes(x).to_string()).collect(),
        Dtype::I16 => each(bytes, |x| i16::from_le_bytes(x).to_string()).collect(),
        Dtype::I32 => each(bytes, |x| i32::from_le_bytes(x).to_string()).collect(),
        Dtype::I64 => each(bytes, |x| i64::from_le_bytes(x).to_string()).collect(),
        Dtype::U8 => each(bytes, |x| u8::from_le_bytes(x).to_string()).collect(),
        Dtype::U16 => each(bytes, |x| u16::from_le_bytes(x).to_string()).collect(),
        Dtype::U32 => each(bytes, |x| u32::from_le_bytes(x).to_string()).collect(),
        Dtype::U64 => each(bytes, |x| u64::from_le_bytes(x).to_string()).collect(),
        other => {
            return Err(format!(
                "the tensor `labels` holds {other}, must hold whole numbers"
            ));
        }
    })
}

fn each<const N: usize, T>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> impl Iterator<Item = T> {
    bytes.as_chunks().0.iter().map(move |&bytes| value(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> Vec<u8> {
        let views = tensors.iter().map(|&(name, kind, shape, bytes)| {
            (name, TensorView::new(kind, shape.to_vec(), bytes).unwrap())
        });
        safetensors::serialize(views, None).unwrap()
    }

    #[test]
    fn a_tensor_of_any_float_is_a_matrix() {
        let expected = Matrix {
            values: vec![0.5, -2.0],
            dim: 2,
        };
        let doubles = [0.5_f64, -2.0].map(f64::to_le_bytes).concat();
        for (kind, bytes) in [
            (Dtype::F16, &[0, 0x38, 0, 0xc0][..]),
            (Dtype::BF16, &[0, 0x3f, 0, 0xc0]),
            (Dtype::F64, &doubles),
        ] {
            // The only tensor may be called anything.
            let bytes = file(&[("weights", kind, &[1, 2], bytes)]);
            assert_eq!(matrix_in(&bytes).unwrap(), expected);
        }
        for (kind, shape, says) in [
            (Dtype::I32, &[1, 1][..], "holds I32"),
            (Dtype::F32, &[1], "has the shape [1]"),
        ] {
            let error = matrix_in(&file(&[("x", kind, shape, &[0; 4])])).unwrap_err();
            assert!(
                error.starts_with("the tensor `x`") && error.contains(says),
                "{error}"
            );
        }
    }

    #[test]
    fn labels_are_whole_numbers_of_any_width() {
        let bytes = file(&[("labels", Dtype::I16, &[2], &[0xff, 0xff, 5, 0])]);
        assert_eq!(labels_in(&bytes).unwrap().unwrap(), ["-1", "5"]);
        let bytes = file(&[("labels", Dtype::F32, &[1], &[0; 4])]);
        assert!(labels_in(&bytes).unwrap_err().contains("holds F32"));
        assert_eq!(labels_in(&file(&[])).unwrap(), None);
    }
}
