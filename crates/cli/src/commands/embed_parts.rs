//! Embeddings made so far, in a folder beside the file that they will be, so that hours of work survive a stop.
//!
//! The folder holds a plan, by which a later start knows whether they are its own, and a file for each few thousand images.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use lodestone_data::{Broken, Table};
use lodestone_files::write_whole;
use ndarray::Array2;
use ndarray_npy::{ReadNpyExt, WriteNpyExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::args::Shard;
use crate::commands::opened::{Opened, short_hex};
use crate::progress::Progress;

/// Images of a part.
const PART: usize = 4096;
/// The file with the plan.
const PLAN: &str = "plan.json";

/// What must be the same for parts to be of use.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Plan {
    model: String,
    /// Where the images lie: those of another folder may have the same names and sizes.
    root: PathBuf,
    table: String,
    rows: [usize; 2],
    part: usize,
}

/// What of a part is no matrix.
#[derive(Debug, Serialize, Deserialize)]
struct Rows {
    rows: Vec<usize>,
    skipped: Vec<(usize, String)>,
}

/// All embeddings of a command.
pub(crate) struct Made {
    /// `[rows, dim]`.
    pub(crate) values: Vec<f32>,
    /// Rows of the table.
    pub(crate) rows: Vec<usize>,
    /// Rows that are broken, with the reason.
    pub(crate) skipped: Vec<(usize, String)>,
    /// Embeddings that an earlier start made.
    pub(crate) reused: usize,
}

/// The folder, with what is to be in it.
pub(crate) struct PartFolder {
    folder: PathBuf,
    rows: Vec<usize>,
    /// Whether parts are written at all.
    keeps: bool,
    /// A fingerprint of the model and of all images.
    whole: String,
}

impl PartFolder {
    /// Finds the folder of an earlier start with the same model and images, or begins a new one.
    pub(crate) fn open(out: &Path, opened: &Opened, table: &Table, rows: &[usize]) -> Result<Self> {
        let mut name = out.file_name().unwrap_or_default().to_os_string();
        name.push(".parts");
        let folder = out.with_file_name(name);
        let plan = Plan {
            model: opened.checksum.clone(),
            root: std::env::current_dir()?.join(&table.root),
            table: table.fingerprint()?,
            rows: [rows[0], rows.len()],
            part: PART,
        };
        // A single part would be written only to be read and removed.
        let keeps = rows.len() > PART;
        let file = folder.join(PLAN);
        let before = std::fs::read_to_string(&file).unwrap_or_default();
        if keeps && serde_json::from_str::<Plan>(&before).ok().as_ref() != Some(&plan) {
            remove(&folder);
            let text = serde_json::to_string_pretty(&plan)?;
            write_whole(&file, |out| writeln!(out, "{text}"))?;
        }
        let whole = Sha256::digest(format!("{} {}", plan.model, plan.table));
        Ok(Self {
            folder,
            rows: rows.to_vec(),
            keeps,
            whole: short_hex(&whole),
        })
    }

    /// What a file of a shard says of itself, so that `merge` knows which part of what it is.
    pub(crate) fn shard(&self, shard: Shard) -> Option<lodestone_exchange::Shard> {
        (shard.count > 1).then(|| lodestone_exchange::Shard {
            number: shard.number,
            count: shard.count,
            whole: self.whole.clone(),
        })
    }

    /// Embeds what is not there yet, part by part, and puts all together.
    pub(crate) fn embed(
        &self,
        opened: &Opened,
        table: &Arc<Table>,
        broken: Broken,
        batch: usize,
        progress: &mut Progress,
    ) -> Result<Made> {
        let mut made = Made {
            values: Vec::new(),
            rows: Vec::new(),
            skipped: Vec::new(),
            reused: 0,
        };
        for (number, rows) in self.rows.chunks(PART).enumerate() {
            if self.keeps
                && let Some((values, kept)) = self.read(number, opened.size())
            {
                made.reused += kept.rows.len();
                made.add(values, kept);
                continue;
            }
            let embedded = opened.embed(table, rows, batch, broken, progress)?;
            let kept = Rows {
                rows: embedded.rows,
                skipped: embedded.skipped,
            };
            if self.keeps {
                self.write(number, &embedded.values, opened.size(), &kept)?;
            }
            made.add(embedded.values, kept);
        }
        Ok(made)
    }

    /// The folder is of no more use.
    pub(crate) fn remove(&self) {
        if self.keeps {
            remove(&self.folder);
        }
    }

    fn files(&self, number: usize) -> [PathBuf; 2] {
        ["npy", "json"].map(|ending| self.folder.join(format!("{number:06}.{ending}")))
    }

    /// A part that is whole: the list is written after the matrix.
    fn read(&self, number: usize, dim: usize) -> Option<(Vec<f32>, Rows)> {
        let [matrix, list] = self.files(number);
        let rows: Rows = serde_json::from_str(&std::fs::read_to_string(list).ok()?).ok()?;
        let file = std::fs::File::open(matrix).ok()?;
        let values = Array2::<f32>::read_npy(std::io::BufReader::new(file)).ok()?;
        let fits = values.dim() == (rows.rows.len(), dim);
        fits.then(|| (values.into_raw_vec_and_offset().0, rows))
    }

    fn write(&self, number: usize, values: &[f32], dim: usize, rows: &Rows) -> Result<()> {
        let [matrix, list] = self.files(number);
        let values = Array2::from_shape_vec((rows.rows.len(), dim), values.to_vec())?;
        write_whole(&matrix, |file| {
            values.write_npy(file).map_err(std::io::Error::other)
        })?;
        let text = serde_json::to_string(rows).context("a list of rows is plain data")?;
        write_whole(&list, |file| writeln!(file, "{text}"))?;
        Ok(())
    }
}

impl Made {
    fn add(&mut self, values: Vec<f32>, rows: Rows) {
        self.values.extend(values);
        self.rows.extend(rows.rows);
        self.skipped.extend(rows.skipped);
    }
}

/// Removes the files that stand in such a folder, and it if nothing else does.
fn remove(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path
            .extension()
            .is_some_and(|ending| ending == "npy" || ending == "json")
        {
            let _ = std::fs::remove_file(path);
        }
    }
    let _ = std::fs::remove_dir(folder);
}
