//! Order, threads, caches and broken images of the loader.

use image::ImageFormat;

use super::*;
use crate::augmentation::{Augmentation, Draw};
use crate::cache::{CacheContent, CachePlace};
use crate::decode::decode;
use crate::decode::tests::{encode, gradient};
use crate::draws::Draws;
use crate::photograph::Photograph;
use crate::table::{PixelBox, Row, Split};

/// Nine photographs of different sizes; `broken` of them are text.
fn photographs(broken: &[usize]) -> (tempfile::TempDir, Arc<Table>) {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = Vec::new();
    for number in 0..9 {
        let name = format!("{number}.jpg");
        let size = 20 + 5 * number as u32;
        let bytes = match broken.contains(&number) {
            true => b"no photograph".to_vec(),
            false => encode(&gradient(size, 24).into(), ImageFormat::Png),
        };
        lodestone_files::write_whole(&folder.path().join(&name), |file| file.write_all(&bytes))
            .unwrap();
        rows.push(Row::file(name, number % 3, Split::Train));
    }
    let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
    let table = Table::of_files("nine", folder.path(), classes, rows);
    (folder, Arc::new(table))
}

fn loader(table: &Arc<Table>, threads: usize, ahead_bytes: usize, broken: Broken) -> Loader {
    let config = LoaderConfig {
        threads,
        ahead_bytes,
        broken,
        ..LoaderConfig::default()
    };
    Loader::new(Arc::clone(table), Preprocessing::imagenet(16, 12), config).unwrap()
}

fn training(draws: Draws) -> View {
    let augmentation = Augmentation {
        rotation_degrees: 20.0,
        ..Augmentation::crop_and_flip()
    };
    View::Training {
        augmentation,
        seed: 9,
        epoch: 4,
        draws,
    }
}

fn plan() -> Vec<Vec<usize>> {
    vec![
        vec![0, 3, 6],
        vec![8, 8, 1, 2],
        vec![],
        vec![5],
        vec![4, 0, 7, 3, 3],
    ]
}

#[test]
fn threads_and_room_ahead_change_no_value() {
    let (_folder, table) = photographs(&[]);
    for view in [
        View::Evaluation,
        View::EvaluationFlipped,
        training(Draws::PerRow),
        training(Draws::PerPosition { first_step: 3 }),
    ] {
        let run = |threads, ahead| -> Vec<ImageBatch> {
            let loader = loader(&table, threads, ahead, Broken::Fail);
            loader.batches(plan(), &view).map(Result::unwrap).collect()
        };
        let base = run(1, 0);
        assert_eq!(
            base.iter()
                .map(|batch| batch.rows.clone())
                .collect::<Vec<_>>(),
            plan()
        );
        assert_eq!(base[1].labels, [2, 2, 1, 2]);
        for (threads, ahead) in [(1, 1 << 20), (3, 4000), (16, 1 << 20)] {
            assert_eq!(
                run(threads, ahead),
                base,
                "{threads} threads, {ahead} bytes, {view:?}"
            );
        }
    }
}

#[test]
fn threads_that_the_system_does_not_give_are_an_error_and_no_panic() {
    let (_folder, table) = photographs(&[]);
    let mut stream = loader(&table, 1, 1 << 20, Broken::Fail).stream(&View::Evaluation);
    stream.shared.lock().closed = true;
    stream.refused = Some("cannot start thread 2 of 3: no more of them".to_owned());
    stream.submit(vec![0, 1]);
    let message = stream.receive().unwrap().unwrap_err().to_string();
    assert_eq!(
        message,
        "data.threads: cannot start thread 2 of 3: no more of them"
    );
    assert!(stream.receive().is_none());
    for threads in [0, MOST_THREADS + 1] {
        let config = LoaderConfig {
            threads,
            ..LoaderConfig::default()
        };
        let refused = Loader::new(Arc::clone(&table), Preprocessing::imagenet(16, 12), config);
        let message = refused.unwrap_err().to_string();
        assert_eq!(
            message,
            format!("data.threads: {threads} is not within 1..=1024")
        );
    }
}

#[test]
fn kept_photographs_give_the_same_values() {
    let (folder, table) = photographs(&[]);
    let config = LoaderConfig {
        cache: Some(CacheConfig {
            content: CacheContent::Decoded,
            place: CachePlace::Memory,
            bytes: 20_000,
        }),
        ..LoaderConfig::default()
    };
    let preprocessing = Preprocessing::imagenet(16, 12);
    let kept = Loader::new(Arc::clone(&table), preprocessing, config).unwrap();
    let view = training(Draws::PerRow);
    let run = |loader: &Loader| -> Vec<ImageBatch> {
        loader.batches(plan(), &view).map(Result::unwrap).collect()
    };
    let fresh = run(&loader(&table, 2, 1 << 20, Broken::Fail));
    assert_eq!(run(&kept), fresh);
    assert_eq!(run(&kept), fresh);
    // The photograph of 60 x 24 pixels is 4320 bytes and asked for early, so it is kept: its file is not read again.
    std::fs::remove_file(folder.path().join("8.jpg")).unwrap();
    assert!(kept.batches([vec![8]], &view).next().unwrap().is_ok());
}

/// JPEG files, of which views decode only a part.
fn jpegs() -> (tempfile::TempDir, Arc<Table>) {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/jpeg");
    let mut rows = Vec::new();
    for name in [
        "420.jpg",
        "422.jpg",
        "444.jpg",
        "grey.jpg",
        "progressive.jpg",
    ] {
        std::fs::copy(fixtures.join(name), folder.path().join(name)).unwrap();
        rows.push(Row::file(name, 0, Split::Train));
        let region = PixelBox {
            left: 7,
            top: 3,
            right: 52,
            bottom: 99,
        };
        rows.push(Row {
            region: Some(region),
            ..Row::file(name, 0, Split::Train)
        });
    }
    let table = Table::of_files("jpegs", folder.path(), vec!["a".into()], rows);
    (folder, Arc::new(table))
}

fn values(table: &Arc<Table>, cache: Option<CacheConfig>, view: &View) -> Vec<Vec<f32>> {
    let config = LoaderConfig {
        cache,
        ..LoaderConfig::default()
    };
    let preprocessing = Preprocessing::imagenet(16, 12);
    let loader = Loader::new(Arc::clone(table), preprocessing, config).unwrap();
    let rows: Vec<usize> = (0..table.rows.len()).collect();
    let batches = [rows.clone(), rows];
    let values = loader
        .batches(batches, view)
        .map(|batch| batch.unwrap().images.values);
    values.collect()
}

#[test]
fn decoding_a_part_gives_the_values_of_decoding_all() {
    let (folder, table) = jpegs();
    for view in [
        View::Evaluation,
        View::EvaluationFlipped,
        training(Draws::PerRow),
    ] {
        let parts = values(&table, None, &view);
        for place in [
            CachePlace::Memory,
            CachePlace::Disk(folder.path().join("cache")),
        ] {
            let cache = CacheConfig {
                content: CacheContent::Decoded,
                place,
                bytes: 1 << 20,
            };
            // The first batch fills the cache and the second reads it; a cache on disk is there the next time, too.
            assert_eq!(
                values(&table, Some(cache.clone()), &view),
                parts,
                "{view:?}"
            );
            assert_eq!(values(&table, Some(cache), &view), parts, "{view:?}");
        }
    }
}

#[test]
fn kept_resized_photographs_leave_evaluation_as_it_is() {
    let (folder, table) = jpegs();
    let parts = values(&table, None, &View::Evaluation);
    let place = CachePlace::Disk(folder.path().join("cache"));
    let cache = CacheConfig {
        content: CacheContent::Resized,
        place,
        bytes: 1 << 20,
    };
    assert_eq!(
        values(&table, Some(cache.clone()), &View::Evaluation),
        parts
    );
    assert_eq!(
        values(&table, Some(cache.clone()), &View::Evaluation),
        parts
    );
    // A file that changed is read anew.
    std::fs::copy(
        folder.path().join("grey.jpg"),
        folder.path().join("444.jpg"),
    )
    .unwrap();
    let changed = values(&table, None, &View::Evaluation);
    assert_ne!(changed, parts);
    assert_eq!(values(&table, Some(cache), &View::Evaluation), changed);
}

#[test]
fn a_large_photograph_is_decoded_smaller_and_looks_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let picture = gradient(640, 480);
    let bytes = encode(&picture.into(), ImageFormat::Jpeg);
    lodestone_files::write_whole(&folder.path().join("a.jpg"), |file| file.write_all(&bytes))
        .unwrap();
    let rows = vec![Row::file("a.jpg", 0, Split::Train)];
    let table = Table::of_files("one", folder.path(), vec!["a".into()], rows);
    let table = Arc::new(table);
    let cache = CacheConfig {
        content: CacheContent::Decoded,
        place: CachePlace::Memory,
        bytes: 1 << 20,
    };
    for view in [View::Evaluation, training(Draws::PerRow)] {
        let reduced = values(&table, None, &view);
        let full = values(&table, Some(cache.clone()), &view);
        let levels = |a: f32, b: f32| (a - b).abs() * 0.229 * 255.0;
        let pairs = reduced[0].iter().zip(&full[0]);
        let worst = pairs.map(|(&a, &b)| levels(a, b)).fold(0.0, f32::max);
        assert!(worst < 3.0, "{worst} levels apart in {view:?}");
    }
}

#[test]
fn a_row_twice_in_a_batch_is_drawn_as_the_view_says() {
    let (_folder, table) = photographs(&[]);
    let loader = loader(&table, 2, 1 << 20, Broken::Fail);
    let pair = |draws, plan: Vec<Vec<usize>>| -> Vec<Vec<f32>> {
        let batches = loader.batches(plan, &training(draws));
        batches
            .flat_map(|batch| {
                let images = batch.unwrap().images;
                (0..images.shape[0])
                    .map(|n| images.image(n).to_vec())
                    .collect::<Vec<_>>()
            })
            .collect()
    };
    let same = pair(Draws::PerRow, vec![vec![8, 8], vec![8]]);
    assert!(same[0] == same[1] && same[1] == same[2]);
    let fresh = pair(
        Draws::PerPosition { first_step: 0 },
        vec![vec![8, 8], vec![8]],
    );
    assert!(fresh[0] != fresh[1] && fresh[0] != fresh[2] && fresh[1] != fresh[2]);
    // The second batch of a stream is the first of a stream that starts one step later.
    let resumed = pair(Draws::PerPosition { first_step: 1 }, vec![vec![8]]);
    assert_eq!(resumed[0], fresh[2]);
}

#[test]
fn a_broken_image_fails_its_batch_alone_or_is_left_out_of_it() {
    let (_folder, table) = photographs(&[4]);
    let failing = loader(&table, 2, 1 << 20, Broken::Fail);
    let mut batches = failing.batches([vec![1, 4], vec![2, 3]], &View::Evaluation);
    let message = told(&batches.next().unwrap().unwrap_err());
    assert!(
        message.contains("4.jpg: not an image (first bytes 6e6f2070686f746f)"),
        "{message}"
    );
    assert_eq!(batches.next().unwrap().unwrap().rows, [2, 3]);
    assert!(batches.next().is_none());
    let skipping = loader(&table, 2, 1 << 20, Broken::Skip);
    let mut batches = skipping.batches([vec![1, 4, 2]], &View::Evaluation);
    let batch = batches.next().unwrap().unwrap();
    assert_eq!((batch.rows, batch.labels), (vec![1, 2], vec![1, 2]));
    assert_eq!(batch.images.shape, [2, 3, 12, 12]);
    assert_eq!(batch.skipped[0].0, 4);
    assert!(batch.skipped[0].1.contains("not an image"));
}

#[test]
fn what_was_left_out_is_known_of_all_streams_of_a_loader() {
    let (_folder, table) = photographs(&[4, 7]);
    let failing = loader(&table, 2, 1 << 20, Broken::Fail);
    let skipping = failing.with_broken(Broken::Skip);
    let asked = [vec![4, 1, 4, 1, 2], vec![7]];
    let batches: Vec<ImageBatch> = skipping
        .batches(asked.clone(), &View::Evaluation)
        .map(Result::unwrap)
        .collect();
    assert_eq!(batches[0].places(&asked[0]), [1, 3, 4]);
    assert!(batches[1].places(&asked[1]).is_empty());
    let left_out = failing.left_out();
    let rows: Vec<usize> = left_out.iter().map(|(row, _)| *row).collect();
    assert_eq!(rows, [4, 7]);
    assert!(
        left_out[1].1.contains("7.jpg: not an image"),
        "{left_out:?}"
    );
}

#[test]
fn a_region_is_cut_out_before_anything_else() {
    let (_folder, table) = photographs(&[]);
    let mut cut = Table::clone(&table);
    cut.rows[8].region = Some(PixelBox {
        left: 10,
        top: 2,
        right: 30,
        bottom: 22,
    });
    cut.rows[7].region = Some(PixelBox {
        left: 500,
        top: 2,
        right: 510,
        bottom: 22,
    });
    let loader = loader(&Arc::new(cut), 1, 1 << 20, Broken::Fail);
    let mut batches = loader.batches([vec![8], vec![7]], &View::Evaluation);
    let found = batches.next().unwrap().unwrap().images.values;
    let pixels = decode(
        &encode(&gradient(60, 24).into(), ImageFormat::Png),
        Default::default(),
        DecodeLimits::default(),
    );
    let region = PixelBox {
        left: 10,
        top: 2,
        right: 30,
        bottom: 22,
    };
    let mut expected = vec![0.0; 3 * 12 * 12];
    let cut = Photograph::from(pixels.unwrap().cut(region).unwrap());
    Workspace::default().render(
        &cut,
        loader.preprocessing(),
        &Draw::default(),
        &mut expected,
    );
    assert_eq!(found, expected);
    let message = batches.next().unwrap().unwrap_err().to_string();
    assert!(
        message.contains("7.jpg: region: PixelBox") && message.contains("55x24"),
        "{message}"
    );
}

#[test]
fn the_plan_is_drawn_no_further_than_there_is_room() {
    let (_folder, table) = photographs(&[]);
    let drawn = std::cell::Cell::new(0);
    let plan = plan()
        .into_iter()
        .cycle()
        .take(50)
        .inspect(|_| drawn.set(drawn.get() + 1));
    // Room for four images of 3 x 12 x 12 values: after [0, 3, 6] one more batch is begun.
    let loader = loader(&table, 2, 4 * 3 * 12 * 12 * 4, Broken::Fail);
    let mut batches = loader.batches(plan, &View::Evaluation);
    batches.next().unwrap().unwrap();
    assert_eq!(drawn.get(), 2);
    // The four images of [8, 8, 1, 2] fill the room until they are taken; then [], [5] and [4, 0, ..] fit.
    batches.next().unwrap().unwrap();
    assert_eq!(drawn.get(), 2);
    batches.next().unwrap().unwrap();
    assert_eq!(drawn.get(), 5);
}

#[test]
fn a_stream_that_is_dropped_early_ends_its_threads() {
    let (_folder, table) = photographs(&[]);
    let loader = loader(&table, 4, 1 << 20, Broken::Fail);
    let mut stream = loader.stream(&View::Evaluation);
    for rows in plan() {
        stream.submit(rows);
    }
    assert_eq!(stream.receive().unwrap().unwrap().rows, [0, 3, 6]);
    let shared = Arc::downgrade(&stream.shared);
    drop(stream);
    assert!(shared.upgrade().is_none());
}
