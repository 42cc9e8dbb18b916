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
        "datasets/fashion-mini/triplet.toml",
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
    let printed = succeeds(&mut embed(&["--skip-broken"]));
    assert!(
        printed.contains("3 embeddings") && printed.contains("1 left out"),
        "{printed}"
    );
}
