//! Finding what is wrong with a data set before it costs an hour of training.
//!
//! Every photograph is read and decoded, in parallel. Damage ends training, so it is a fault; a mis-named, grey, CMYK or
//! tiny file is decoded all the same, so it is a remark. Photographs that stand in training and test, exactly or nearly,
//! make test numbers too good, so they are faults too.

mod duplicates;
mod fingerprint;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::ImageFormat;
use rayon::prelude::*;
use serde::Serialize;

use self::duplicates::{exact, near};
use self::fingerprint::visual;
use crate::error::{DataError, DecodeError};
use crate::jpeg;
use crate::official::Official;
use crate::pixels::{DecodeLimits, Orientation, Pixels, decode, format};
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
    /// Classes of the table, and the official number if there is one.
    pub classes: Count,
    /// Fewest and most training photographs of a class that has any.
    pub class_balance: Option<[usize; 2]>,
    /// Classes without a training photograph, by name.
    pub classes_without_training: Vec<String>,
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

/// Photographs of one split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SplitCount {
    /// Which one.
    pub split: Split,
    /// How many.
    pub rows: Count,
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
        let broken = |finding: &Finding| {
            matches!(finding.kind, FindingKind::Broken | FindingKind::Truncated)
        };
        let wrong = |count: &Count| {
            count
                .official
                .is_some_and(|official| official != count.found)
        };
        self.findings.iter().any(broken)
            || self
                .duplicates
                .iter()
                .any(|group| group.across_splits || group.across_labels)
            || !self.leaks.is_empty()
            || wrong(&self.classes)
            || self.splits.iter().any(|split| wrong(&split.rows))
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
    let mut per_class = vec![0usize; table.classes()];
    for row in table.rows.iter().filter(|row| row.split == Split::Train) {
        per_class[row.label] += 1;
    }
    let filled = || per_class.iter().copied().filter(|&count| count > 0);
    let known = |split| {
        official
            .rows
            .iter()
            .find(|(other, _)| *other == split)
            .map(|(_, rows)| *rows)
    };
    let splits = [Split::Train, Split::Validation, Split::Test].map(|split| SplitCount {
        split,
        rows: Count {
            found: table.split(split).len(),
            official: known(split),
        },
    });
    Report {
        name: table.name.clone(),
        splits: splits
            .into_iter()
            .filter(|split| split.rows.found > 0 || split.rows.official.is_some())
            .collect(),
        classes: Count {
            found: table.classes(),
            official: Some(official.classes).filter(|&classes| classes > 0),
        },
        class_balance: filled()
            .min()
            .zip(filled().max())
            .map(|(least, most)| [least, most]),
        classes_without_training: table
            .class_names
            .iter()
            .zip(&per_class)
            .filter(|(_, count)| **count == 0)
            .map(|(name, _)| name.clone())
            .collect(),
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
            let bytes = match std::fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) => {
                    found(FindingKind::Broken, error.to_string());
                    return exam;
                }
            };
            let content = format(&bytes).ok();
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
            exam.sum = Some(sums::sha256_bytes(&bytes));
            pixels
        }
    };
    exam.look = visual(&pixels);
    exam
}

/// MD5 sums of the official files that lie in `folder`, against the published ones; absent files are left out.
///
/// # Errors
/// If a file that is there cannot be read. A wrong sum is not an error but part of the result.
pub fn verify_archives(
    folder: &Path,
    official: &Official,
) -> Result<BTreeMap<PathBuf, SumCheck>, DataError> {
    let mut checks = BTreeMap::new();
    for archive in official.archives {
        let path = folder.join(archive.name);
        if path.is_file() {
            let found = sums::md5_of_file(&path)?;
            checks.insert(
                path,
                SumCheck {
                    found,
                    expected: archive.md5.to_owned(),
                },
            );
        }
    }
    Ok(checks)
}

/// A sum beside the published one, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SumCheck {
    /// Of the file.
    pub found: String,
    /// Published.
    pub expected: String,
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage};

    use super::*;
    use crate::official::official;
    use crate::pixels::tests::encode;
    use crate::sets::Dataset;
    use crate::table::Row;

    /// A picture of random blocks, which look unlike those of any other seed.
    fn picture(seed: u32, size: u32) -> RgbImage {
        RgbImage::from_fn(size, size, |x, y| {
            let block = (x * 12 / size) * 31 + (y * 12 / size) * 17 + seed * 101;
            let value = block.wrapping_mul(2_654_435_761);
            Rgb([(value >> 8) as u8, (value >> 16) as u8, (value >> 24) as u8])
        })
    }

    fn table(files: &[(&str, Vec<u8>, usize, Split)]) -> (tempfile::TempDir, Table) {
        let folder = tempfile::tempdir().unwrap();
        let mut rows = Vec::new();
        for (name, bytes, label, split) in files {
            lodestone_files::write_whole(&folder.path().join(name), |file| file.write_all(bytes))
                .unwrap();
            rows.push(Row::file(*name, *label, *split));
        }
        let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
        let table = Table::of_files("some", folder.path(), classes, rows);
        (folder, table)
    }

    fn report(table: &Table) -> Report {
        examine(
            table,
            &official(&Dataset::ImageFolder),
            DecodeLimits::default(),
            || {},
        )
    }

    #[test]
    fn every_kind_of_finding_is_named() {
        use Split::{Test, Train};
        let jpeg = encode(&picture(1, 96).into(), ImageFormat::Jpeg);
        let grey = GrayImage::from_fn(80, 80, |x, y| Luma([(x * y % 251) as u8]));
        let brighter = RgbImage::from_fn(96, 96, |x, y| {
            Rgb(picture(2, 96)
                .get_pixel(x, y)
                .0
                .map(|value| value.saturating_add(6)))
        });
        let (_folder, table) = table(&[
            ("good.jpg", jpeg.clone(), 0, Train),
            ("cut.jpg", jpeg[..jpeg.len() - 9].to_vec(), 0, Train),
            ("text.png", b"hello".to_vec(), 0, Train),
            (
                "grey.jpg",
                encode(&DynamicImage::from(grey), ImageFormat::Jpeg),
                1,
                Train,
            ),
            (
                "small.png",
                encode(&picture(3, 20).into(), ImageFormat::Png),
                1,
                Train,
            ),
            (
                "png.jpg",
                encode(&picture(2, 96).into(), ImageFormat::Png),
                1,
                Train,
            ),
            ("copy.jpg", jpeg, 2, Test),
            (
                "alike.jpg",
                encode(&brighter.into(), ImageFormat::Jpeg),
                1,
                Test,
            ),
            (
                "gone.jpg",
                encode(&picture(4, 96).into(), ImageFormat::Jpeg),
                1,
                Test,
            ),
        ]);
        std::fs::remove_file(table.describe(8)).unwrap();
        let report = report(&table);
        let kinds: Vec<(usize, FindingKind)> = report
            .findings
            .iter()
            .map(|finding| (finding.row, finding.kind))
            .collect();
        let expected = [
            (1, FindingKind::Truncated),
            (2, FindingKind::Broken),
            (3, FindingKind::Grey),
            (4, FindingKind::Tiny),
            (5, FindingKind::Misnamed),
            (8, FindingKind::Broken),
        ];
        assert_eq!(kinds, expected);
        assert_eq!(report.broken_rows(), [1, 2, 8]);
        assert_eq!(report.findings[4].detail, "Png inside, named as Jpeg");
        let group = &report.duplicates[0];
        assert_eq!(group.paths, [table.describe(0), table.describe(6)]);
        assert!(group.across_splits && group.across_labels);
        assert_eq!(report.leaks.len(), 1);
        assert_eq!(report.leaks[0].training, table.describe(5));
        assert_eq!(report.leaks[0].held_out, table.describe(7));
        assert_eq!(report.class_balance, Some([3, 3]));
        assert_eq!(report.classes_without_training, ["c"]);
        assert!(report.has_faults());
        assert!(
            serde_json::to_string(&report)
                .unwrap()
                .contains("\"kind\":\"truncated\"")
        );
    }

    #[test]
    fn a_clean_set_has_no_fault_and_wrong_counts_are_one() {
        let file = |seed| encode(&picture(seed, 96).into(), ImageFormat::Png);
        let (_folder, table) = table(&[
            ("1.png", file(1), 0, Split::Train),
            ("2.png", file(2), 1, Split::Train),
            ("3.png", file(3), 0, Split::Test),
        ]);
        assert!(!report(&table).has_faults());
        let pets = official(&Dataset::OxfordIiitPet {
            regions: Default::default(),
        });
        let report = examine(&table, &pets, DecodeLimits::default(), || {});
        assert!(report.has_faults());
        assert_eq!(
            report.splits[0].rows,
            Count {
                found: 2,
                official: Some(3680)
            }
        );
    }

    #[test]
    fn archives_are_held_against_their_sums() {
        let folder = tempfile::tempdir().unwrap();
        let pets = official(&Dataset::OxfordIiitPet {
            regions: Default::default(),
        });
        let path = folder.path().join("images.tar.gz");
        lodestone_files::write_whole(&path, |file| file.write_all(b"abc")).unwrap();
        let checks = verify_archives(folder.path(), &pets).unwrap();
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[&path].found, "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(checks[&path].expected, "5c4f3ee8e5d25df40f4fd59a7f44e54c");
    }
}
