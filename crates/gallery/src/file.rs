//! A gallery as a `.safetensors` file.

use std::path::{Path, PathBuf};

use lodestone_files::write_whole;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::calibration::{Calibration, Probes};
use crate::centres::Centres;
use crate::settings::Settings;
use crate::{Gallery, GalleryError};

/// The key of the metadata that the rest stands under.
const KEY: &str = "lodestone_gallery";
/// Version of the layout; a reader refuses one that it does not know.
const VERSION: u32 = 1;

/// What is no matrix.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    settings: Settings,
    classes: Vec<String>,
    next_key: u64,
    generation: u64,
    variance: f64,
    /// Of held-out photographs, where there are some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calibrated: Option<CalibratedOn>,
}

/// What held-out photographs are.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CalibratedOn {
    from: String,
    classes: Vec<String>,
    held_out: [bool; 2],
}

impl Gallery {
    /// Reads a file that [`write`](Self::write) made.
    ///
    /// # Errors
    /// If the file cannot be read or is not whole; the error says what of it is wrong.
    pub fn read(path: &Path) -> Result<Self, GalleryError> {
        let wrong = |reason: String| GalleryError::Read {
            path: path.to_path_buf(),
            reason,
        };
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        Self::from_bytes(&bytes).map_err(wrong)
    }

    /// Writes the file whole, or leaves what was there; for a gallery with a graph the graph as well, in a file of its own that
    /// takes the place of the one before when the gallery is in place.
    ///
    /// # Errors
    /// If a file cannot be written, or a graph is wanted and not built in.
    pub fn write(&mut self, path: &Path) -> Result<(), GalleryError> {
        let before = graph_file(path, self.generation);
        self.generation += 1;
        if self.wants_graph() {
            self.write_graph(&before, &graph_file(path, self.generation))?;
        }
        let bytes = self.to_bytes().map_err(|reason| GalleryError::Read {
            path: path.to_path_buf(),
            reason,
        })?;
        write_whole(path, |file| file.write_all(&bytes))?;
        // What nobody refers to any more; if it stays, it is only in the way.
        let _ = std::fs::remove_file(before);
        Ok(())
    }

    /// The file of the graph that belongs to the gallery at `path`.
    pub fn graph_file(&self, path: &Path) -> PathBuf {
        graph_file(path, self.generation)
    }

    #[cfg(not(feature = "graph"))]
    fn write_graph(&self, _: &Path, _: &Path) -> Result<(), GalleryError> {
        Err(GalleryError::NoGraph)
    }

    fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let header = Header {
            version: VERSION,
            settings: self.settings.clone(),
            classes: self.classes.clone(),
            next_key: self.next_key,
            generation: self.generation,
            variance: self.centres.variance,
            calibrated: (!self.probes.classes.is_empty()).then(|| CalibratedOn {
                from: self.probes.from.clone(),
                classes: self.probes.classes.clone(),
                held_out: self.calibration.held_out,
            }),
        };
        let header = serde_json::to_string(&header).map_err(|error| error.to_string())?;
        let mut ends = Vec::with_capacity(self.len());
        let mut paths = Vec::new();
        for path in &self.paths {
            paths.extend_from_slice(path.as_bytes());
            ends.push(paths.len());
        }
        let (rows, dim) = (self.len(), self.dim);
        let floats = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let doubles = |values: &[f64]| values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let numbers = |values: &[usize]| -> Vec<u8> {
            let bytes = values.iter().map(|&x| (x as i64).to_le_bytes());
            bytes.flatten().collect()
        };
        let keys = self.keys.iter().flat_map(|&key| (key as i64).to_le_bytes());
        let (centres, calibration) = (&self.centres, &self.calibration);
        let count = centres.labels.len();
        let probes = &self.probes;
        let mut tensors: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = vec![
            (
                "embeddings",
                Dtype::F32,
                vec![rows, dim],
                floats(&self.values),
            ),
            ("keys", Dtype::I64, vec![rows], keys.collect()),
            ("labels", Dtype::I64, vec![rows], numbers(&self.labels)),
            ("path_bytes", Dtype::U8, vec![paths.len()], paths),
            ("path_ends", Dtype::I64, vec![rows], numbers(&ends)),
            (
                "centres",
                Dtype::F32,
                vec![count, dim],
                floats(&centres.values),
            ),
            (
                "centre_labels",
                Dtype::I64,
                vec![count],
                numbers(&centres.labels),
            ),
            (
                "known",
                Dtype::F64,
                vec![calibration.known.len()],
                doubles(&calibration.known),
            ),
            (
                "unknown",
                Dtype::F64,
                vec![calibration.unknown.len()],
                doubles(&calibration.unknown),
            ),
        ];
        if !probes.classes.is_empty() {
            let shape = vec![probes.classes.len(), dim];
            tensors.push(("probes", Dtype::F32, shape, floats(&probes.values)));
        }
        let views: Vec<(&str, TensorView)> = tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| {
                let view = TensorView::new(*dtype, shape.clone(), bytes);
                view.map(|view| (*name, view)).map_err(|e| e.to_string())
            })
            .collect::<Result<_, String>>()?;
        // One key only: the order of several would differ from run to run.
        let metadata = [(KEY.to_owned(), header)].into_iter().collect();
        safetensors::serialize(views, Some(metadata)).map_err(|error| error.to_string())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let text = |error: safetensors::SafeTensorError| error.to_string();
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(text)?;
        let header = metadata.metadata().as_ref().and_then(|map| map.get(KEY));
        let header = header.ok_or("it is no gallery: `lodestone index build` makes one")?;
        let header: Header = serde_json::from_str(header).map_err(|error| error.to_string())?;
        if header.version != VERSION {
            let found = header.version;
            return Err(format!(
                "its version is {found}, this program knows {VERSION}"
            ));
        }
        let file = SafeTensors::deserialize(bytes).map_err(text)?;
        let tensor = |name: &str, dtype: Dtype| -> Result<TensorView, String> {
            let tensor = file.tensor(name).map_err(text)?;
            match tensor.dtype() == dtype {
                true => Ok(tensor),
                false => Err(format!(
                    "`{name}` is {:?}, must be {dtype:?}",
                    tensor.dtype()
                )),
            }
        };
        let floats = |name| tensor(name, Dtype::F32).map(|t| each(t.data(), f32::from_le_bytes));
        let doubles = |name| tensor(name, Dtype::F64).map(|t| each(t.data(), f64::from_le_bytes));
        let whole = |name| tensor(name, Dtype::I64).map(|t| each(t.data(), i64::from_le_bytes));
        let below = |name: &str, numbers: Vec<i64>, count: usize| -> Result<Vec<usize>, String> {
            let number = |x: i64| usize::try_from(x).ok().filter(|&x| x < count);
            let checked: Option<Vec<usize>> = numbers.into_iter().map(number).collect();
            checked.ok_or_else(|| format!("`{name}` has a number outside 0..{count}"))
        };
        let classes = header.classes.len();
        let shape = tensor("embeddings", Dtype::F32)?.shape().to_vec();
        let &[rows, dim] = &shape[..] else {
            return Err(format!("`embeddings` has the shape {shape:?}"));
        };
        let path_bytes = tensor("path_bytes", Dtype::U8)?.data().to_vec();
        let ends = below("path_ends", whole("path_ends")?, path_bytes.len() + 1)?;
        let centres = Centres {
            values: floats("centres")?,
            labels: below("centre_labels", whole("centre_labels")?, classes)?,
            variance: header.variance,
        };
        let (probes, held_out) = match header.calibrated {
            None => (Probes::default(), [false; 2]),
            Some(calibrated) => {
                let probes = Probes {
                    values: floats("probes")?,
                    classes: calibrated.classes,
                    from: calibrated.from,
                };
                if probes.values.len() != dim * probes.classes.len() {
                    return Err(format!("`probes` are not whole rows of {dim} values"));
                }
                (probes, calibrated.held_out)
            }
        };
        let keys = whole("keys")?.into_iter().map(|key| key as u64).collect();
        let gallery = Self {
            values: floats("embeddings")?,
            labels: below("labels", whole("labels")?, classes)?,
            paths: cut(&path_bytes, &ends)?,
            calibration: Calibration {
                known: doubles("known")?,
                unknown: doubles("unknown")?,
                held_out,
            },
            probes,
            settings: header.settings,
            classes: header.classes,
            next_key: header.next_key,
            generation: header.generation,
            dim,
            keys,
            centres,
        };
        for (name, count) in [
            ("keys", gallery.keys.len()),
            ("labels", gallery.labels.len()),
            ("path_ends", gallery.paths.len()),
        ] {
            if count != rows {
                return Err(format!(
                    "`{name}` has {count} numbers for {rows} embeddings"
                ));
            }
        }
        match dim > 0 && gallery.centres.values.len() == dim * gallery.centres.labels.len() {
            true => Ok(gallery),
            false => Err(format!("`centres` are not whole rows of {dim} values")),
        }
    }
}

/// `photographs.index` and 3 give `photographs.index.3.usearch`.
fn graph_file(path: &Path, generation: u64) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{generation}.usearch"));
    path.with_file_name(name)
}

fn each<T, const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|&x| read(x)).collect()
}

/// Texts that stand one after the other, by their ends.
fn cut(bytes: &[u8], ends: &[usize]) -> Result<Vec<String>, String> {
    let mut start = 0;
    let mut texts = Vec::with_capacity(ends.len());
    for &end in ends {
        let text = bytes.get(start..end).ok_or("`path_ends` do not ascend")?;
        let text = std::str::from_utf8(text).map_err(|error| format!("a path: {error}"))?;
        texts.push(text.to_owned());
        start = end;
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use lodestone_eval::Rows;

    use super::*;
    use crate::Entry;
    use crate::gallery::tests::filled;

    #[test]
    fn a_gallery_reads_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my photographs ü.index");
        let mut gallery = filled(&["käse", "b"], 5);
        gallery.remove(|path, _| path.ends_with("2.jpg")).unwrap();
        gallery.write(&path).unwrap();
        assert_eq!(Gallery::read(&path).unwrap(), gallery);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(gallery.to_bytes().unwrap(), bytes);

        let itself = gallery.calibrated_on();
        assert!(itself.starts_with("8 rows of its own"), "{itself}");
        let values: Vec<f32> = (0..80).map(|at| at as f32).collect();
        let classes: Vec<String> = (0..40).map(|at| ["b", "new"][at % 2].to_owned()).collect();
        let probes = Rows::new(&values, 2).unwrap();
        gallery
            .calibrate(probes, &classes, "runs/x".into())
            .unwrap();
        assert_eq!(
            gallery.calibrated_on(),
            "20 held-out photographs of classes that are here and 20 of others, of runs/x"
        );
        gallery.write(&path).unwrap();
        assert_eq!(Gallery::read(&path).unwrap(), gallery);
        // A class that came is known from now on.
        let entry = Entry {
            path: "new/1.jpg".into(),
            class: "new".into(),
        };
        gallery
            .add(Rows::new(&[5.0, 5.5], 2).unwrap(), &[entry])
            .unwrap();
        let said = gallery.calibrated_on();
        assert!(
            said.starts_with("40 held-out photographs of classes that are here"),
            "{said}"
        );
    }

    #[test]
    fn damage_and_other_files_are_told_with_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.index");
        let mut gallery = filled(&["a", "b"], 5);
        gallery.write(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for cut in [0, 7, 40, bytes.len() - 1] {
            lodestone_files::write_whole(&path, |file| file.write_all(&bytes[..cut])).unwrap();
            let error = Gallery::read(&path).unwrap_err().to_string();
            assert!(error.contains("x.index"), "{cut}: {error}");
        }
        let other = safetensors::serialize(Vec::<(&str, TensorView)>::new(), None).unwrap();
        lodestone_files::write_whole(&path, |file| file.write_all(&other)).unwrap();
        let error = Gallery::read(&path).unwrap_err().to_string();
        assert!(
            error.ends_with("`lodestone index build` makes one"),
            "{error}"
        );
    }
}
