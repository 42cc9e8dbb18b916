//! What can be typed behind `lodestone embed`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::DeviceArgument;

#[derive(Debug, Args)]
#[command(after_help = "\
The ending of the file decides its form: .npy, .npz, .safetensors (each with the paths and labels in a .csv beside it), .parquet or
.csv. A table of photographs hands its columns on (split, is_query, is_gallery, sequence, whatever text there is): `evaluate
--embeddings` then asks what `evaluate RUN` asks. An embedding that is stopped goes on where it was when the same command is given again.

Examples:
  lodestone embed runs/first photographs -o embeddings.npy
  lodestone embed googlenet-1378be20.pth photographs -o embeddings.npy
  lodestone embed runs/first/model.safetensors photographs -o embeddings.parquet
  lodestone embed runs/first table.csv -o embeddings.npy
  lodestone embed runs/first photographs -o part-3.npy --shard 3/16
  lodestone embed runs/first photographs -o embeddings.npy --projector projector")]
pub(crate) struct EmbedArguments {
    /// A run folder, a model file, or published weights as they are (.pth, .caffemodel or .safetensors of GoogLeNet, Inception V3 or
    /// ResNet): their pooled features, divided by their length, are the embeddings.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// A folder of images, or a single one; sub-folders give the labels, inside `train` and `test` where those are on top. Or a table
    /// of images, .csv or .parquet, as `train` reads it.
    #[arg(value_name = "IMAGES")]
    pub(crate) images: PathBuf,
    /// The file of embeddings.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Embeds the I-th of N equal parts of the images, counted from 1: several machines share the work.
    #[arg(long, value_name = "I/N", default_value = "1/1")]
    pub(crate) shard: Shard,
    /// Writes over a file that is there and is no such embeddings.
    #[arg(long)]
    pub(crate) force: bool,
    /// Also writes a folder for TensorBoard's projector.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) projector: Option<PathBuf>,
    /// Leaves out images that cannot be decoded instead of stopping.
    #[arg(long)]
    pub(crate) skip_broken: bool,
    /// Images in a batch.
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub(crate) batch: usize,
    #[command(flatten)]
    pub(crate) device: DeviceArgument,
}

/// One of several equal parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// Which, from 1.
    pub(crate) number: usize,
    /// Of how many.
    pub(crate) count: usize,
}

impl Shard {
    /// Its share of `rows` rows: neighbouring ones, so that all parts after each other are the whole.
    pub(crate) fn rows(self, rows: usize) -> std::ops::Range<usize> {
        let at = |number: usize| rows * number / self.count;
        at(self.number - 1)..at(self.number)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, count) = text.split_once('/').ok_or("write I/N, such as 3/16")?;
        let whole = |text: &str| {
            let number = text.parse::<usize>();
            number.map_err(|_| format!("`{text}` is not a whole number"))
        };
        let (number, count) = (whole(number)?, whole(count)?);
        match (1..=count).contains(&number) {
            true => Ok(Self { number, count }),
            false => Err(format!(
                "part {number} of {count} is not within 1 to {count}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_after_each_other_are_the_whole() {
        for (rows, count) in [(10, 3), (2, 5), (0, 1), (1000, 16)] {
            let parts = (1..=count).flat_map(|number| Shard { number, count }.rows(rows));
            assert_eq!(parts.collect::<Vec<_>>(), (0..rows).collect::<Vec<_>>());
        }
        assert_eq!(
            "3/16".parse(),
            Ok(Shard {
                number: 3,
                count: 16
            })
        );
        for (text, problem) in [("3", "3/16"), ("0/2", "part 0 of 2"), ("x/2", "`x`")] {
            assert!(
                text.parse::<Shard>().unwrap_err().contains(problem),
                "{text}"
            );
        }
    }
}
