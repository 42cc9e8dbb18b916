//! Finding what is wrong with a data set before it costs an hour of training.
//!
//! Every photograph is read and decoded, in parallel. Damage ends training, so it is a fault; a mis-named, grey, CMYK or
//! tiny file is decoded all the same, so it is a remark. Photographs that stand in training and test, exactly or nearly,
//! make test numbers too good, so they are faults too.

mod archives;
mod balance;
mod duplicates;
mod fingerprint;

use std::path::PathBuf;

use image::ImageFormat;
use rayon::prelude::*;
use serde::Serialize;

pub use self::archives::{SumCheck, verify_archives};
pub use self::balance::ClassCount;
use self::duplicates::{exact, near};
use self::fingerprint::visual;
use lodestone_files::Orientation;

use crate::decode::{decode, read_file};
use crate::error::DecodeError;
use crate::jpeg;
use crate::kinds;
use crate::official::Official;
use crate::pixels::{DecodeLimits, Pixels};
use crate::sums;
use crate::table::{Source, Split, Table};

/// Photographs whose shorter side is below this are called tiny: a network sees mostly interpolation.
const TINY: usize = 64;

/// What a check of a table found. Lists are in row order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Name and protocol of the table.
    pub name: String,
    /// Photographs of each split: found, and official where there is an official number.
    pub splits: Vec<SplitCount>,
    /// Classes that have a photograph, and the official number if there is one.
    pub classes: Count,
    /// Photographs that ask and that are looked for, where the table or the protocol prescribes them.
    pub roles: Option<RoleCounts>,
    /// Fewest and most training photographs of a class that has any.
    pub class_balance: Option<[usize; 2]>,
    /// Classes without a training photograph, by name.
    pub classes_without_training: Vec<String>,
    /// Photographs of every class, by label.
    pub class_counts: Vec<ClassCount>,
    /// What was noticed about single files.
    pub findings: Vec<Finding>,
    /// Groups of files with the same bytes.
    pub duplicates: Vec<Group>,
    /// Pairs of different files that look alike although one trains and the other does not.
    pub leaks: Vec<Leak>,
    /// What a reader of the results must know.
    pub notices: Vec<String>,
}

/// A number beside the official one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Count {
    /// In the table.
    pub found: usize,
    /// According to the publisher.
    pub official: Option<usize>,
}

impl Count {
    /// How far the number is from the official one, in words; `None` where it is the same or there is none.
    pub fn difference(&self) -> Option<String> {
        let official = self.official?;
        match self.found {
            found if found < official => Some(format!("{} missing", official - found)),
            found if found > official => Some(format!("{} too many", found - official)),
            _ => None,
        }
    }
}

/// Photographs of one split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SplitCount {
    /// Which one.
    pub split: Split,
    /// How many.
    pub rows: Count,
    /// Classes that have a photograph among them.
    pub classes: Count,
}

/// Photographs with a part in a retrieval test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RoleCounts {
    /// Those that ask.
    pub queries: Count,
    /// Those that are looked for.
    pub gallery: Count,
}

/// Something about one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Row number.
    pub row: usize,
    /// The file.
    pub path: PathBuf,
    /// What it is.
    pub kind: FindingKind,
    /// The value found, or the decoder's words.
    pub detail: String,
}

/// What can be noticed about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// It cannot be read or decoded.
    Broken,
    /// It ends before its image does.
    Truncated,
    /// Its ending says another format than its content.
    Misnamed,
    /// It has one colour channel.
    Grey,
    /// It has four ink channels.
    Cmyk,
    /// Its shorter side is below 64 pixels.
    Tiny,
    /// Its annotated box reaches beyond it, or lies outside altogether, which is broken.
    Box,
}

/// Files with the same content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The files.
    pub paths: Vec<PathBuf>,
    /// Whether some of them train and some do not.
    pub across_splits: bool,
    /// Whether they carry different labels.
    pub across_labels: bool,
}

impl Group {
    /// Whether the group makes numbers wrong.
    pub fn is_fault(&self) -> bool {
        self.across_splits || self.across_labels
    }
}

/// Two photographs that look alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leak {
    /// The one that trains.
    pub training: PathBuf,
    /// The one that does not.
    pub held_out: PathBuf,
    /// Differing bits of 128; see the module for what they compare.
    pub bits: u32,
}

impl Report {
    /// Whether something was found that makes training stop or its numbers wrong.
    pub fn has_faults(&self) -> bool {
        self.faults() > 0
    }

    /// Number of things that make training stop or its numbers wrong: broken files, equal files with different labels or in
    /// different splits, pairs that leak, and counts that are not the official ones.
    pub fn faults(&self) -> usize {
        let splits = self.splits.iter();
        let roles = self.roles.iter();
        let counts = splits
            .flat_map(|split| [split.rows, split.classes])
            .chain(roles.flat_map(|roles| [roles.queries, roles.gallery]))
            .chain([self.classes]);
        self.broken_rows().len()
            + self
                .duplicates
                .iter()
                .filter(|group| group.is_fault())
                .count()
            + self.leaks.len()
            + counts.filter(|count| count.difference().is_some()).count()
    }

    /// Rows that cannot be decoded, for leaving them out of a run.
    pub fn broken_rows(&self) -> Vec<usize> {
        let broken = self
            .findings
            .iter()
            .filter(|finding| matches!(finding.kind, FindingKind::Broken | FindingKind::Truncated));
        broken.map(|finding| finding.row).collect()
    }
}

/// Reads and decodes every photograph of a table and compares them with each other and with the official numbers.
///
/// Runs on the current rayon pool. `progress` is called from its threads, once for each photograph.
pub fn examine(
    table: &Table,
    official: &Official,
    limits: DecodeLimits,
    progress: impl Fn() + Sync,
) -> Report {
    let exams: Vec<Exam> = (0..table.rows.len())
        .into_par_iter()
        .map(|row| {
            let exam = examine_row(table, row, limits);
            progress();
            exam
        })
        .collect();
    let sums: Vec<Option<[u8; 32]>> = exams.iter().map(|exam| exam.sum).collect();
    let looks: Vec<Option<u128>> = exams.iter().map(|exam| exam.look).collect();
    let class_counts = balance::classes(table);
    Report {
        name: table.name.clone(),
        splits: balance::splits(table, &class_counts, official),
        classes: Count {
            found: class_counts.iter().filter(|class| class.all() > 0).count(),
            official: Some(official.classes).filter(|&classes| classes > 0),
        },
        roles: balance::roles(table, official),
        class_balance: balance::extremes(&class_counts),
        classes_without_training: class_counts
            .iter()
            .filter(|class| class.train == 0)
            .map(|class| class.name.clone())
            .collect(),
        class_counts,
        findings: exams.into_iter().flat_map(|exam| exam.findings).collect(),
        duplicates: exact(table, &sums),
        leaks: near(table, &sums, &looks),
        notices: table.notices.clone(),
    }
}

/// What one photograph tells.
#[derive(Default)]
struct Exam {
    findings: Vec<Finding>,
    sum: Option<[u8; 32]>,
    look: Option<u128>,
}

fn examine_row(table: &Table, row: usize, limits: DecodeLimits) -> Exam {
    let path = table.describe(row);
    let mut exam = Exam::default();
    let mut found = |kind, detail: String| {
        exam.findings.push(Finding {
            row,
            path: path.clone(),
            kind,
            detail,
        });
    };
    let pixels = match &table.rows[row].source {
        Source::Packed(position) => {
            // Images of one file are grey and small by nature; only their content is compared.
            let Some(packed) = &table.packed else {
                return exam;
            };
            let image = packed.image(*position);
            exam.sum = Some(sums::sha256_bytes(image));
            Pixels::from_grey(packed.width, packed.height, image)
        }
        Source::File(_) => {
            let bytes = match read_file(&path, limits) {
                Ok(bytes) => bytes,
                Err(error) => {
                    found(FindingKind::Broken, lodestone_files::told(&error));
                    return exam;
                }
            };
            let content = kinds::format(&bytes).ok();
            let named = ImageFormat::from_path(&path).ok();
            if let (Some(content), Some(named)) = (content, named)
                && content != named
            {
                let detail = format!("{content:?} inside, named as {named:?}");
                found(FindingKind::Misnamed, detail);
            }
            if content == Some(ImageFormat::Jpeg) {
                match jpeg::outline(&bytes).components {
                    1 => found(FindingKind::Grey, "1 component".to_owned()),
                    4 => found(FindingKind::Cmyk, "4 components".to_owned()),
                    _ => {}
                }
            }
            let pixels = match decode(&bytes, Orientation::AsStored, limits) {
                Ok(pixels) => pixels,
                Err(error) => {
                    let kind = match error {
                        DecodeError::Truncated => FindingKind::Truncated,
                        _ => FindingKind::Broken,
                    };
                    found(kind, error.to_string());
                    return exam;
                }
            };
            if pixels.width.min(pixels.height) < TINY {
                found(
                    FindingKind::Tiny,
                    format!("{}x{} pixels", pixels.width, pixels.height),
                );
            }
            if let Some(region) = table.rows[row].region {
                let (width, height) = (pixels.width as u32, pixels.height as u32);
                let detail = format!(
                    "[{}, {}) x [{}, {}) in {width}x{height} pixels",
                    region.left, region.right, region.top, region.bottom
                );
                if region.left >= width || region.top >= height {
                    found(FindingKind::Broken, format!("box {detail}"));
                } else if region.right > width || region.bottom > height {
                    found(FindingKind::Box, detail);
                }
            }
            exam.sum = Some(sums::sha256_bytes(&bytes));
            pixels
        }
    };
    exam.look = visual(&pixels);
    exam
}

#[cfg(test)]
pub(crate) mod tests;
