//! Three photographs, embedded by the length and first byte of their files.

use std::convert::Infallible;

use lodestone_data::{Row, Split};
use lodestone_models::{ConvNetConfig, EmbedderConfig, HeadConfig, NetworkConfig};

use super::*;

/// Values of an embedding.
const DIM: usize = 2;

/// Three photographs, which `made` embeds by the length and first byte of their files.
struct Photographs {
    folder: tempfile::TempDir,
    table: Table,
    /// Rows that were embedded, those of each call together.
    asked: Vec<Vec<usize>>,
}

impl Photographs {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rows = ["a", "b", "c"].map(|name| Row::file(name, 0, Split::Train));
        let photographs = folder.path().join("photographs");
        let table = Table::of_files("three", &photographs, vec!["x".into()], rows.into());
        let new = Self {
            folder,
            table,
            asked: Vec::new(),
        };
        for (row, text) in ["1", "22", "333"].into_iter().enumerate() {
            new.put(row, text);
        }
        new
    }

    fn put(&self, row: usize, text: &str) {
        let path = self.table.describe(row);
        write_whole(&path, |file| file.write_all(text.as_bytes())).unwrap();
    }

    fn cache(&self) -> EmbeddingCache {
        let at = |name: &str| self.folder.path().join(name);
        EmbeddingCache {
            own: at("own"),
            other: Some(at("other")),
            dim: DIM,
        }
    }

    /// Embeds by `cache`; a file that begins with `x` is broken.
    fn embed(&mut self, cache: &EmbeddingCache, rows: &[usize], part: usize) -> Embedded {
        let (table, asked) = (&self.table, &mut self.asked);
        asked.clear();
        let made = cache.embed(table, rows, part, |rows: &[usize]| {
            asked.push(rows.to_vec());
            let mut made = Embedded::default();
            for &row in rows {
                let bytes = std::fs::read(table.describe(row)).unwrap();
                if bytes[0] == b'x' {
                    made.skipped.push((row, "broken".to_owned()));
                    continue;
                }
                made.values
                    .extend([bytes.len() as f32, f32::from(bytes[0])]);
                made.rows.push(row);
            }
            Ok::<_, Infallible>(made)
        });
        made.unwrap()
    }
}

#[test]
fn what_is_embedded_once_is_found_and_a_photograph_that_changed_is_embedded_anew() {
    let mut photographs = Photographs::new();
    let cache = photographs.cache();
    let first = photographs.embed(&cache, &[0, 2], 8);
    assert_eq!(first.values, [1.0, 49.0, 3.0, 51.0]);
    assert_eq!(
        (&photographs.asked[..], first.reused),
        (&[vec![0, 2]][..], 0)
    );
    // In another order, with one that is new; the first that is kept is looked at again.
    let second = photographs.embed(&cache, &[2, 1, 0], 8);
    assert_eq!(second.values, [3.0, 51.0, 2.0, 50.0, 1.0, 49.0]);
    assert_eq!(second.rows, [2, 1, 0]);
    assert_eq!(
        (&photographs.asked[..], second.reused),
        (&[vec![2], vec![1]][..], 2)
    );
    // As many bytes as before, and the time of before.
    let path = photographs.table.describe(1);
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    photographs.put(1, "99");
    let file = std::fs::File::options().append(true).open(&path).unwrap();
    file.set_modified(before).unwrap();
    drop(file);
    if cfg!(unix) {
        let third = photographs.embed(&cache, &[0, 1, 2], 8);
        assert_eq!(third.values, [1.0, 49.0, 2.0, 57.0, 3.0, 51.0]);
        assert_eq!(
            (&photographs.asked[..], third.reused),
            (&[vec![0], vec![1]][..], 2)
        );
    }
}

#[test]
fn parts_are_kept_one_by_one_and_broken_rows_are_left_out_each_time() {
    let mut photographs = Photographs::new();
    photographs.put(1, "x");
    let cache = photographs.cache();
    for reused in [0, 2] {
        let made = photographs.embed(&cache, &[0, 1, 2], 2);
        assert_eq!(made.rows, [0, 2]);
        assert_eq!(made.values, [1.0, 49.0, 3.0, 51.0]);
        assert_eq!(made.skipped, [(1, "broken".to_owned())]);
        assert_eq!(made.reused, reused);
    }
    assert_eq!(photographs.asked, [vec![0], vec![1]]);
    assert_eq!(files_in(&cache.own).len(), 2);
}

#[test]
fn a_damaged_file_is_made_again_whatever_is_wrong_with_it() {
    let mut photographs = Photographs::new();
    let cache = photographs.cache();
    let made = photographs.embed(&cache, &[0, 1, 2], 8);
    let files = files_in(&cache.own);
    let [file] = files.as_slice() else {
        panic!("{files:?}")
    };
    let whole = std::fs::read(file).unwrap();
    let mut turned = whole.clone();
    turned[HEADER + 50] ^= 1;
    for damaged in [&turned[..], &whole[..30], b""] {
        write_whole(file, |out| out.write_all(damaged)).unwrap();
        let again = photographs.embed(&cache, &[0, 1, 2], 8);
        assert_eq!(again, made);
        assert_eq!(photographs.asked, [vec![0, 1, 2]]);
        assert_eq!(std::fs::read(file).unwrap(), whole);
    }
}

#[test]
fn embeddings_that_come_out_otherwise_now_are_all_made_again() {
    let mut photographs = Photographs::new();
    let cache = photographs.cache();
    // As if another decoder had made them.
    cache.keep(&photographs.table, &[0, 1], &[1.01, 49.5, 7.0, 7.0]);
    let made = photographs.embed(&cache, &[0, 1], 8);
    assert_eq!(made.values, [1.0, 49.0, 2.0, 50.0]);
    assert_eq!(
        (&photographs.asked[..], made.reused),
        (&[vec![0], vec![0, 1]][..], 0)
    );
    let again = photographs.embed(&cache, &[1, 0], 8);
    assert_eq!(
        (again.values.as_slice(), again.reused),
        (&[2.0, 50.0, 1.0, 49.0][..], 2)
    );
}

#[test]
fn inference_takes_what_a_judgement_made_and_a_judgement_takes_its_own_alone() {
    let mut photographs = Photographs::new();
    let inference = photographs.cache();
    let judged = EmbeddingCache {
        own: inference.other.clone().unwrap(),
        other: None,
        dim: DIM,
    };
    photographs.embed(&judged, &[0], 8);
    assert_eq!(photographs.embed(&inference, &[0, 1], 8).reused, 1);
    assert_eq!(photographs.embed(&judged, &[0, 1], 8).reused, 1);
    assert_eq!(photographs.embed(&inference, &[0, 1], 8).reused, 2);
}

#[test]
fn many_small_files_are_put_together() {
    let photographs = Photographs::new();
    let cache = photographs.cache();
    for number in 0..MANY {
        cache.keep(&photographs.table, &[0], &[number as f32, 0.0]);
    }
    assert_eq!(files_in(&cache.own).len(), MANY);
    cache.keep(&photographs.table, &[1], &[2.0, 50.0]);
    let files = files_in(&cache.own);
    assert_eq!(files.len(), 1);
    let (keys, values) = cache.parse(&files[0]).unwrap();
    assert_eq!((keys.len(), &values[..DIM]), (MANY + 1, &[2.0, 50.0][..]));
}

#[test]
fn another_weight_view_or_pass_has_another_place() {
    let device = Device::flex();
    let config = EmbedderConfig {
        network: NetworkConfig::ConvNet(ConvNetConfig::default()),
        head: HeadConfig::new(4),
    };
    let place = |seed: u64, crop: usize, pass: Pass| {
        let embedder = config.init(seed, &device);
        let preprocessing = Preprocessing::imagenet(256, crop);
        EmbeddingCache::new(Path::new("c"), &embedder, &preprocessing, &device, pass)
    };
    let base = place(1, 224, Pass::Inference);
    assert_eq!(base.own, place(1, 224, Pass::Inference).own);
    assert_eq!(base.other, Some(place(1, 224, Pass::Judged).own));
    for other in [
        place(2, 224, Pass::Inference),
        place(1, 223, Pass::Inference),
        place(1, 224, Pass::Judged),
    ] {
        assert_ne!(base.own, other.own);
    }
}
