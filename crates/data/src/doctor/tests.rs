//! What the doctor finds, and what it passes over.

use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage};

use super::*;
use crate::decode::tests::encode;
use crate::official::official;
use crate::sets::{Dataset, cars, cub, in_shop, products};
use crate::table::{PixelBox, Row};

/// A picture of random blocks, which look unlike those of any other seed.
fn picture(seed: u32, size: u32) -> RgbImage {
    RgbImage::from_fn(size, size, |x, y| {
        let block = (x * 12 / size) * 31 + (y * 12 / size) * 17 + seed * 101;
        let value = block.wrapping_mul(2_654_435_761);
        Rgb([(value >> 8) as u8, (value >> 16) as u8, (value >> 24) as u8])
    })
}

/// A photograph for a set in small, unlike that of any other seed.
pub(crate) fn photograph(seed: u32) -> Vec<u8> {
    encode(&picture(seed, 64).into(), ImageFormat::Jpeg)
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
    assert_eq!(
        (report.class_counts[1].train, report.class_counts[1].test),
        (3, 2)
    );
    assert!(report.has_faults());
    assert!(
        serde_json::to_string(&report)
            .unwrap()
            .contains("\"kind\":\"truncated\"")
    );
}

#[test]
fn boxes_are_held_against_their_photographs() {
    let file = |seed| encode(&picture(seed, 96).into(), ImageFormat::Png);
    let (_folder, mut table) = table(&[
        ("1.png", file(1), 0, Split::Train),
        ("2.png", file(2), 1, Split::Train),
        ("3.png", file(3), 1, Split::Train),
    ]);
    for (row, [left, right]) in [[0, 96], [3, 97], [96, 99]].into_iter().enumerate() {
        let (top, bottom) = (0, 5);
        table.rows[row].region = Some(PixelBox {
            left,
            top,
            right,
            bottom,
        });
    }
    let report = report(&table);
    let found: Vec<(usize, FindingKind)> = report
        .findings
        .iter()
        .map(|finding| (finding.row, finding.kind))
        .collect();
    assert_eq!(found, [(1, FindingKind::Box), (2, FindingKind::Broken)]);
    assert_eq!(
        report.findings[0].detail,
        "[3, 97) x [0, 5) in 96x96 pixels"
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

/// Opens a set in small and holds it against the official numbers.
fn verify(set: &Dataset, folder: tempfile::TempDir) -> Report {
    let table = set.open(Some(folder.path())).unwrap();
    let report = examine(&table, &official(set), DecodeLimits::default(), || {});
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    report
}

/// Official numbers, and what a set in small lacks of them: photographs and classes of training and of test.
struct Lacks {
    set: &'static str,
    folder: tempfile::TempDir,
    training: [(usize, &'static str); 2],
    test: [(usize, &'static str); 2],
    classes: (usize, &'static str),
}

#[test]
fn what_is_missing_of_a_set_of_the_field_is_counted() {
    let cases = [
        Lacks {
            set: "cub",
            folder: cub::tests::folder(),
            training: [(5864, "5862 missing"), (100, "98 missing")],
            test: [(5924, "5922 missing"), (100, "99 missing")],
            classes: (200, "197 missing"),
        },
        Lacks {
            set: "cars",
            folder: cars::tests::merged(),
            training: [(8054, "8052 missing"), (98, "96 missing")],
            test: [(8131, "8129 missing"), (98, "96 missing")],
            classes: (196, "192 missing"),
        },
        Lacks {
            set: "sop",
            folder: products::tests::folder(),
            training: [(59_551, "59548 missing"), (11_318, "11316 missing")],
            test: [(60_502, "60500 missing"), (11_316, "11315 missing")],
            classes: (22_634, "22631 missing"),
        },
        Lacks {
            set: "in-shop",
            folder: in_shop::tests::folder(in_shop::LISTS[0], ""),
            training: [(25_882, "25880 missing"), (3997, "3996 missing")],
            test: [(26_830, "26827 missing"), (3985, "3983 missing")],
            classes: (7982, "7979 missing"),
        },
    ];
    for case in cases {
        let set = Dataset::from_name(case.set).unwrap();
        let report = verify(&set, case.folder);
        let said = |count: &Count| (count.official.unwrap(), count.difference().unwrap());
        let owned = |(official, words): (usize, &str)| (official, words.to_owned());
        let [training, test] = &report.splits[..] else {
            panic!("{}: {:?}", case.set, report.splits)
        };
        for (split, expected) in [(training, case.training), (test, case.test)] {
            let found = [said(&split.rows), said(&split.classes)];
            assert_eq!(found, expected.map(owned), "{}", case.set);
        }
        assert_eq!(said(&report.classes), owned(case.classes), "{}", case.set);
        let roles = report.roles.map(|roles| [roles.queries, roles.gallery]);
        let expected = (case.set == "in-shop")
            .then(|| [(14_218, "14217 missing"), (12_612, "12610 missing")].map(owned));
        assert_eq!(roles.map(|roles| roles.map(|count| said(&count))), expected);
        let counts = 5 + 2 * usize::from(case.set == "in-shop");
        assert_eq!(report.faults(), counts, "{}", case.set);
    }
}

#[test]
fn a_number_is_told_from_the_official_one_in_words() {
    let difference = |found, official| Count { found, official }.difference();
    assert_eq!(difference(3, Some(5)).as_deref(), Some("2 missing"));
    assert_eq!(difference(6, Some(5)).as_deref(), Some("1 too many"));
    assert_eq!(difference(5, Some(5)), None);
    assert_eq!(difference(5, None), None);
}
