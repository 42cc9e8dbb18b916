//! The modes of each class: a table, JSON, and a contact sheet.

use std::fs;
use std::path::Path;

use image::RgbImage;

use crate::lodestone::{SHORT, fails, lodestone, succeeds};

#[test]
fn a_run_shows_the_modes_of_its_classes() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let run = run.to_str().unwrap();
    let mut arguments = vec![
        "--quiet",
        "train",
        "--config",
        "tests/run-files/magnet.toml",
        "--set",
        "index.per_class.Bag=4",
        "--out",
        run,
    ];
    arguments.extend(SHORT);
    succeeds(&mut lodestone(folder.path(), &arguments));

    // Two modes in each of ten classes, but four in one.
    let clusters = |more: &[&str]| {
        let mut arguments = vec!["clusters", run];
        arguments.extend(more);
        lodestone(folder.path(), &arguments)
    };
    let text = succeeds(&mut clusters(&["--json", "--exemplars", "5"]));
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown["clusters"], 22);
    let modes = shown["modes"].as_array().unwrap();
    let of_bags: Vec<_> = modes
        .iter()
        .filter(|mode| mode["class_name"] == "Bag")
        .collect();
    assert_eq!(of_bags.len(), 4);
    let images: u64 = of_bags
        .iter()
        .map(|mode| mode["images"].as_u64().unwrap())
        .sum();
    let share: f64 = of_bags
        .iter()
        .map(|mode| mode["share"].as_f64().unwrap())
        .sum();
    assert!(images > 4 && (share - 1.0).abs() < 1e-9, "{images} {share}");
    for mode in modes {
        assert!(mode["exemplars"].as_array().unwrap().len() <= 5);
        assert_ne!(mode["nearest_imposter"]["class"], mode["class"]);
    }
    let sheet = image::open(Path::new(run).join("clusters.png")).unwrap();
    assert_eq!(
        (sheet.width(), sheet.height()),
        (232 + 5 * 100 + 4, 22 * 100 + 4)
    );

    let table = succeeds(&mut clusters(&["--class", "Bag", "--clusters", "auto"]));
    let lines = table.lines().filter(|line| line.starts_with("| Bag |"));
    assert_eq!(
        lines.count(),
        4,
        "per_class goes before --clusters: {table}"
    );
    let error = fails(&mut clusters(&["--class", "Hat"]));
    assert!(
        error.contains("--class Hat: there is no such class"),
        "{error}"
    );
}

#[test]
fn a_file_of_embeddings_is_shown_and_a_nan_names_its_row() {
    let folder = tempfile::tempdir().unwrap();
    // Two classes on a line, the first with two clear modes; the photographs are of one colour each.
    let values = [0.0, 0.1, 0.2, 9.0, 9.1, 9.2, 5.0, 5.1];
    let mut list = "path,label,class_name\n".to_owned();
    for row in 0..8 {
        let path = folder.path().join(format!("{row}.png"));
        RgbImage::from_pixel(30, 20, image::Rgb([row as u8 * 30, 0, 0]))
            .save(&path)
            .unwrap();
        let (label, name) = if row < 6 { (0, "beagle") } else { (1, "pug") };
        list += &format!("{},{label},{name}\n", path.display());
    }
    let file = folder.path().join("embeddings.npy");
    let write = |values: &[f32]| {
        let matrix = ndarray::Array2::from_shape_vec((8, 1), values.to_vec()).unwrap();
        ndarray_npy::write_npy(&file, &matrix).unwrap();
    };
    write(&values);
    fs::write(file.with_extension("csv"), list).unwrap();
    let file = file.to_str().unwrap();
    let clusters = |more: &[&str]| {
        let mut arguments = vec!["clusters", file];
        arguments.extend(more);
        lodestone(folder.path(), &arguments)
    };
    let text = succeeds(&mut clusters(&["--json", "--clusters", "auto"]));
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    let modes = shown["modes"].as_array().unwrap();
    let of_beagles = modes.iter().filter(|mode| mode["class_name"] == "beagle");
    assert_eq!(
        of_beagles.map(|mode| &mode["images"]).collect::<Vec<_>>(),
        [3, 3]
    );
    // The first photograph of the first line is the one nearest to the mean of its mode, row 1 or row 4.
    let sheet = image::open(folder.path().join("embeddings.png"))
        .unwrap()
        .into_rgb8();
    let red = sheet.get_pixel(232 + 48, 4 + 48)[0];
    assert!(red == 30 || red == 120, "{red}");

    let mut broken = values;
    broken[6] = f32::NAN;
    write(&broken);
    let error = fails(&mut clusters(&[]));
    assert!(error.contains("row 6 has NaN in column 0"), "{error}");
}
