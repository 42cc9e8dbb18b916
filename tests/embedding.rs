//! A folder of images to embeddings.

use std::fs;

use image::RgbImage;

use crate::lodestone::{SHORT, fails, lodestone, succeeds};

#[test]
fn a_folder_becomes_a_matrix_and_a_list_in_the_same_order() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut arguments = vec![
        "--quiet",
        "train",
        "--config",
        "tests/run-files/triplet.toml",
    ];
    arguments.extend(["--out", run.to_str().unwrap()]);
    arguments.extend(SHORT);
    succeeds(&mut lodestone(folder.path(), &arguments));

    let images = folder.path().join("my photographs");
    for (name, level) in [
        ("black bags/ä 1.png", 0),
        ("black bags/b.png", 30),
        ("white/c.png", 250),
    ] {
        let path = images.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_fn(40, 30, |x, _| image::Rgb([level, level, (x * 5) as u8]))
            .save(path)
            .unwrap();
    }
    let out = folder.path().join("embeddings.npy");
    let embed = |more: &[&str]| {
        let mut arguments = vec![
            "embed",
            run.to_str().unwrap(),
            images.to_str().unwrap(),
            "-o",
            out.to_str().unwrap(),
        ];
        arguments.extend(more);
        lodestone(folder.path(), &arguments)
    };
    let printed = succeeds(&mut embed(&[]));
    assert!(printed.contains("3 embeddings of 16 values"), "{printed}");
    let matrix: ndarray::Array2<f32> = ndarray_npy::read_npy(&out).unwrap();
    assert_eq!(matrix.dim(), (3, 16));
    for row in matrix.rows() {
        let length: f32 = row.iter().map(|value| value * value).sum();
        assert!(
            (length - 1.0).abs() < 1e-5,
            "triplet embeddings have unit length, this one {length}"
        );
    }
    let list = fs::read_to_string(out.with_extension("csv")).unwrap();
    let classes: Vec<&str> = list
        .lines()
        .skip(1)
        .filter_map(|line| line.rsplit(',').next())
        .collect();
    assert_eq!(classes, ["black bags", "black bags", "white"]);

    // A file that is no image stops the command with its name, or is left out on request.
    fs::write(images.join("white/d.jpg"), "text").unwrap();
    fs::remove_file(&out).unwrap();
    let error = fails(&mut embed(&[]));
    assert!(error.contains("d.jpg"), "{error}");
    assert!(!out.exists());
    let output = embed(&["--skip-broken"]).output().unwrap();
    let [printed, said] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(
        output.status.success()
            && printed.contains("3 embeddings")
            && printed.contains("1 left out"),
        "{printed}{said}"
    );
    assert_eq!(said.matches("d.jpg").count(), 1, "{said}");
}

#[test]
fn an_embedding_that_was_killed_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = at("run");
    let mut arguments = vec!["--quiet", "train"];
    arguments.extend(["--config", "tests/run-files/triplet.toml"]);
    arguments.extend(["--out", run.to_str().unwrap()]);
    arguments.extend(SHORT);
    succeeds(&mut lodestone(folder.path(), &arguments));
    let images = at("images");
    fs::create_dir(&images).unwrap();
    for number in 0..8000_usize {
        let mut bytes = b"P5 28 28 255\n".to_vec();
        bytes.extend((0..28 * 28).map(|pixel| (pixel * (number % 97 + 1) % 256) as u8));
        fs::write(images.join(format!("{number:04}.pgm")), bytes).unwrap();
    }
    let embed = |out: &str| {
        let out = at(out);
        let (run, images) = (run.to_str().unwrap(), images.to_str().unwrap());
        let arguments = ["--quiet", "embed", run, images, "-o", out.to_str().unwrap()];
        lodestone(folder.path(), &arguments)
    };
    // Files of embeddings in the cache; the training left some.
    let kept = || {
        let models = fs::read_dir(at("cache/lodestone/embeddings"));
        let models = models.into_iter().flatten().flatten();
        let files = models.flat_map(|model| fs::read_dir(model.path()).unwrap().flatten());
        let ours = |name: &str| name.ends_with(".embeddings");
        files
            .filter(|file| ours(&file.file_name().to_string_lossy()))
            .count()
    };
    let before = kept();
    let mut child = embed("killed.npy").spawn().unwrap();
    while kept() == before {
        assert!(child.try_wait().unwrap().is_none(), "it ended first");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!at("killed.npy").exists());
    let printed = succeeds(&mut embed("killed.npy"));
    assert!(
        printed.contains("8000 embeddings") && printed.contains("4096 of them made before"),
        "{printed}"
    );
    let other = folder.path().join("another cache");
    succeeds(embed("whole.npy").env("XDG_CACHE_HOME", other));
    let read = |name: &str| fs::read(at(name)).unwrap();
    assert_eq!(read("killed.npy"), read("whole.npy"));
    assert_eq!(read("killed.csv").len(), read("whole.csv").len());
}
