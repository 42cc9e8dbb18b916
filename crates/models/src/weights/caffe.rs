//! Reading `.caffemodel`, in which the network of 2014 was published.
//!
//! The file is a protocol buffer, Caffe's `NetParameter`: a list of layers, each with its learned arrays ("blobs"). Only names and
//! blobs are asked for; everything else in it is skipped. Field numbers are those of `caffe.proto`: layers stand in field 2
//! with the first version of their message and in field 100 with the second.

use std::collections::BTreeMap;
use std::path::Path;

use prost::Message;

use super::WeightsError;
use super::contents::{FileDtype, FileTensor, WeightFile};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Net {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) first: Vec<LayerOfVersion1>,
    #[prost(message, repeated, tag = "100")]
    pub(crate) second: Vec<LayerOfVersion2>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LayerOfVersion1 {
    #[prost(string, optional, tag = "4")]
    pub(crate) name: Option<String>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) blobs: Vec<Blob>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LayerOfVersion2 {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) blobs: Vec<Blob>,
}

/// An array, with its extents in `shape` or, in older files, in four fields of their own.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Blob {
    #[prost(int32, optional, tag = "1")]
    pub(crate) num: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) channels: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) height: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub(crate) width: Option<i32>,
    #[prost(float, repeated, tag = "5")]
    pub(crate) data: Vec<f32>,
    #[prost(message, optional, tag = "7")]
    pub(crate) shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Shape {
    #[prost(int64, repeated, tag = "1")]
    pub(crate) dim: Vec<i64>,
}

/// Whether a file may be a `NetParameter`: its first field is the name, the layers or the inputs.
pub(crate) fn begins(start: &[u8]) -> bool {
    matches!(start, [0x0a | 0x12 | 0x1a, ..] | [0xa2, 0x06, ..])
}

/// Tensors of a file: the first blob of a layer is its weight and the second its bias, as in every layer that Caffe had when
/// these networks were published.
pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<WeightFile, WeightsError> {
    let format = |reason| WeightsError::Format {
        path: path.to_owned(),
        reason,
    };
    let net = Net::decode(bytes).map_err(|error| {
        format(format!(
            "{error} (read as .caffemodel of {} bytes)",
            bytes.len()
        ))
    })?;
    let first = net.first.into_iter().map(|layer| (layer.name, layer.blobs));
    let second = net
        .second
        .into_iter()
        .map(|layer| (layer.name, layer.blobs));
    let mut tensors = BTreeMap::new();
    for (name, blobs) in first.chain(second) {
        let name = name.unwrap_or_default();
        for (place, blob) in blobs.into_iter().enumerate() {
            let key = match place {
                0 => format!("{name}.weight"),
                1 => format!("{name}.bias"),
                more => format!("{name}.blob{more}"),
            };
            let shape = shape(&blob, place).ok_or_else(|| {
                format(format!(
                    "`{key}` has {} values and the extents {:?}",
                    blob.data.len(),
                    extents(&blob)
                ))
            })?;
            let tensor = FileTensor {
                dtype: FileDtype::F32,
                shape,
                bytes: blob
                    .data
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect(),
            };
            if tensors.insert(key.clone(), tensor).is_some() {
                return Err(format(format!("`{key}` is there twice")));
            }
        }
    }
    match tensors.is_empty() {
        true => Err(format(
            "it holds no layer with weights (read as .caffemodel)".to_owned(),
        )),
        false => Ok(WeightFile {
            path: path.to_owned(),
            tensors,
            metadata: net
                .name
                .map(|name| ("name".to_owned(), name))
                .into_iter()
                .collect(),
        }),
    }
}

fn extents(blob: &Blob) -> Vec<i64> {
    match &blob.shape {
        Some(shape) => shape.dim.clone(),
        None => [blob.num, blob.channels, blob.height, blob.width]
            .map(|extent| i64::from(extent.unwrap_or(0)))
            .to_vec(),
    }
}

/// The extents of the blob in that place of its layer; absent if they do not fit the values.
///
/// Older files give every blob four, with ones in front of a bias or of the weight of a matrix product: those are left out.
fn shape(blob: &Blob, place: usize) -> Option<Vec<usize>> {
    let mut extents = extents(blob);
    if blob.shape.is_none() {
        match (place, extents.as_slice()) {
            (0, [1, 1, height, width]) => extents = vec![*height, *width],
            (0, _) => {}
            (_, [1, 1, 1, width]) => extents = vec![*width],
            _ => {}
        }
    }
    let shape: Vec<usize> = extents
        .into_iter()
        .map(|extent| usize::try_from(extent).ok())
        .collect::<Option<_>>()?;
    let values = shape
        .iter()
        .try_fold(1_usize, |product, &extent| product.checked_mul(extent))?;
    (values == blob.data.len()).then_some(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn old(extents: [i32; 4], data: &[f32]) -> Blob {
        let [num, channels, height, width] = extents.map(Some);
        Blob {
            num,
            channels,
            height,
            width,
            data: data.to_vec(),
            shape: None,
        }
    }

    fn new(dim: &[i64], data: &[f32]) -> Blob {
        Blob {
            shape: Some(Shape { dim: dim.to_vec() }),
            data: data.to_vec(),
            ..Blob::default()
        }
    }

    fn net(first: Vec<(&str, Vec<Blob>)>, second: Vec<(&str, Vec<Blob>)>) -> Net {
        let own = |name: &str| Some(name.to_owned());
        let first = first.into_iter().map(|(name, blobs)| LayerOfVersion1 {
            name: own(name),
            blobs,
        });
        let second = second.into_iter().map(|(name, blobs)| LayerOfVersion2 {
            name: own(name),
            blobs,
        });
        Net {
            name: own("small"),
            first: first.collect(),
            second: second.collect(),
        }
    }

    fn written(bytes: &[u8]) -> Result<WeightFile, WeightsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.caffemodel");
        lodestone_files::write_whole(&path, |file| file.write_all(bytes)).unwrap();
        WeightFile::read(&path)
    }

    #[test]
    fn layers_of_both_versions_are_read_and_ones_in_front_left_out() {
        let both = net(
            vec![
                ("data", vec![]),
                (
                    "conv/1",
                    vec![
                        old([2, 1, 1, 2], &[1.0, 2.0, 3.0, 4.0]),
                        old([1, 1, 1, 2], &[5.0, 6.0]),
                    ],
                ),
                (
                    "fc",
                    vec![old([1, 1, 2, 3], &[0.0; 6]), old([1, 1, 1, 2], &[0.0; 2])],
                ),
            ],
            vec![(
                "norm",
                vec![
                    new(&[3], &[7.0, 8.0, 9.0]),
                    new(&[3], &[0.0; 3]),
                    new(&[1], &[2.0]),
                ],
            )],
        );
        let file = written(&both.encode_to_vec()).unwrap();
        let shapes: Vec<(&str, &[usize])> = file
            .tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor.shape.as_slice()))
            .collect();
        assert_eq!(
            shapes,
            [
                ("conv/1.bias", &[2][..]),
                ("conv/1.weight", &[2, 1, 1, 2]),
                ("fc.bias", &[2]),
                ("fc.weight", &[2, 3]),
                ("norm.bias", &[3]),
                ("norm.blob2", &[1]),
                ("norm.weight", &[3]),
            ]
        );
        assert_eq!(file.values("conv/1.weight").unwrap(), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(file.values("norm.weight").unwrap(), [7.0, 8.0, 9.0]);
        assert_eq!(file.metadata["name"], "small");
    }

    #[test]
    fn field_numbers_are_those_of_the_format_and_values_may_be_packed_or_not() {
        // Layer "a" with one blob of the value 1: first version with four extents, packed, then not; second with a shape.
        let files: [&[u8]; 3] = [
            b"\x12\x13\x22\x01a\x32\x0e\x08\x01\x10\x01\x18\x01\x20\x01\x2a\x04\x00\x00\x80\x3f",
            b"\x12\x12\x22\x01a\x32\x0d\x08\x01\x10\x01\x18\x01\x20\x01\x2d\x00\x00\x80\x3f",
            b"\xa2\x06\x10\x0a\x01a\x3a\x0b\x3a\x03\x0a\x01\x01\x2a\x04\x00\x00\x80\x3f",
        ];
        for (bytes, shape) in files.into_iter().zip([&[1, 1][..], &[1, 1], &[1]]) {
            let file = written(bytes).unwrap();
            assert_eq!(file.tensors["a.weight"].shape, shape);
            assert_eq!(file.values("a.weight").unwrap(), [1.0]);
        }
        let text = written(b"\nno weights").unwrap_err().to_string();
        assert!(text.contains("read as .caffemodel of 11 bytes"), "{text}");
    }

    #[test]
    fn a_damaged_file_is_refused_with_the_reason() {
        let blob = |extents, values: usize| vec![old(extents, &vec![0.0; values])];
        let cases = [
            (
                net(vec![("a", blob([1, 1, 1, 3], 2))], vec![]),
                "`a.weight` has 2 values and the extents [1, 1, 1, 3]",
            ),
            (
                net(vec![("a", blob([-1, 1, 1, -2], 2))], vec![]),
                "extents [-1, 1, 1, -2]",
            ),
            (
                net(vec![("a", blob([i32::MAX; 4], 2))], vec![]),
                "extents [2147483647,",
            ),
            (
                net(
                    vec![("a", blob([1, 1, 1, 1], 1)), ("a", blob([1, 1, 1, 1], 1))],
                    vec![],
                ),
                "`a.weight` is there twice",
            ),
            (net(vec![], vec![("a", vec![])]), "no layer with weights"),
        ];
        for (net, expected) in cases {
            let error = written(&net.encode_to_vec()).unwrap_err().to_string();
            assert!(
                error.contains("net.caffemodel") && error.contains(expected),
                "{error}"
            );
        }
        let whole = net(vec![("a", blob([1, 1, 2, 3], 6))], vec![]).encode_to_vec();
        let error = written(&whole[..whole.len() - 1]).unwrap_err().to_string();
        assert!(error.contains("read as .caffemodel of"), "{error}");
    }
}
