//! A folder that TensorBoard's projector opens: `tensorboard --logdir FOLDER`.

use std::fmt::Write as _;
use std::path::Path;

use lodestone_files::write_whole;

use crate::{Embeddings, ExchangeError};

/// What the projector looks for in a log folder.
const CONFIG: &str = "embeddings {\n  tensor_name: \"embeddings\"\n  tensor_path: \"tensors.tsv\"\n  metadata_path: \"metadata.tsv\"\n}\n";

impl Embeddings {
    /// Whether `folder` is one that [`write_projector`](Self::write_projector) made, or has none of its files.
    pub fn may_be_projector(folder: &Path) -> bool {
        let config = folder.join("projector_config.pbtxt");
        let made = std::fs::read_to_string(config).is_ok_and(|text| text == CONFIG);
        let is_there = |name: &&str| folder.join(name).exists();
        made || !["tensors.tsv", "metadata.tsv", "projector_config.pbtxt"]
            .iter()
            .any(is_there)
    }

    /// Writes `tensors.tsv`, `metadata.tsv` and `projector_config.pbtxt` into `folder`, the last one last. The first two can also be
    /// loaded into the projector's page by hand.
    ///
    /// # Errors
    /// If the lists do not fit each other or a file cannot be written.
    pub fn write_projector(&self, folder: &Path) -> Result<(), ExchangeError> {
        self.check()?;
        write_whole(&folder.join("tensors.tsv"), |file| {
            for row in self.rows() {
                let mut line = String::new();
                for (at, value) in row.iter().enumerate() {
                    // Writing into a string cannot fail.
                    let _ = write!(line, "{}{value}", if at == 0 { "" } else { "\t" });
                }
                writeln!(file, "{line}")?;
            }
            Ok(())
        })?;
        write_whole(&folder.join("metadata.tsv"), |file| {
            writeln!(file, "class\tpath")?;
            for (row, path) in self.paths.iter().enumerate() {
                writeln!(file, "{}\t{}", cell(self.class_name(row)), cell(path))?;
            }
            Ok(())
        })?;
        write_whole(&folder.join("projector_config.pbtxt"), |file| {
            file.write_all(CONFIG.as_bytes())
        })?;
        Ok(())
    }
}

/// The format has no way to write a tab or the end of a line inside a cell.
fn cell(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use crate::Embeddings;
    use crate::embeddings::tests::three;

    #[test]
    fn the_projector_gets_a_line_for_each_row() {
        let folder = tempfile::tempdir().unwrap();
        three().write_projector(folder.path()).unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("tensors.tsv"), "0\t-1.5\n2\t3\n0.0000001\t5\n");
        assert_eq!(read("metadata.tsv").lines().nth(2), Some("plates\tc d.jpg"));
        assert!(read("projector_config.pbtxt").contains("tensors.tsv"));
        assert!(Embeddings::may_be_projector(folder.path()));
        std::fs::remove_file(folder.path().join("projector_config.pbtxt")).unwrap();
        assert!(!Embeddings::may_be_projector(folder.path()));
        assert!(Embeddings::may_be_projector(&folder.path().join("new")));
    }
}
