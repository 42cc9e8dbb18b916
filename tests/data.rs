//! Data sets listed, looked over, and trained on in spite of a broken photograph.

use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;
use serde_json::Value;

use crate::lodestone::{SHORT, fails, lodestone, succeeds};

/// Blocks of colours that differ for every seed.
pub(crate) fn picture(seed: u32) -> RgbImage {
    RgbImage::from_fn(72, 72, |x, y| {
        let block = (x / 6) * 31 + (y / 6) * 17 + seed * 101;
        let value = block.wrapping_mul(2_654_435_761);
        image::Rgb([(value >> 8) as u8, (value >> 16) as u8, (value >> 24) as u8])
    })
}

/// Four classes with twelve training and three test photographs.
fn photographs(folder: &Path) -> PathBuf {
    let root = folder.join("photo graphs");
    for class in 0..4 {
        for number in 0..15 {
            let split = if number < 12 { "train" } else { "test" };
            let path = root.join(format!("{split}/class {class}/{number}.png"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            picture(class * 100 + number).save(path).unwrap();
        }
    }
    root
}

#[test]
fn the_sets_are_listed_with_what_they_need() {
    let folder = tempfile::tempdir().unwrap();
    let printed = succeeds(&mut lodestone(folder.path(), &["data", "list"]));
    for part in [
        "oxford-iiit-pet",
        "annotations/{trainval,test}.txt",
        "5c4f3ee8e5d25df40f4fd59a7f44e54c",
        "120 classes; 12000 train, 8580 test",
        "register at https://image-net.org",
        "200 classes; 5864 train of 100 classes, 5924 test of 100 classes",
        "25882 train of 3997 classes, 26830 test of 3985 classes (14218 that ask, 12612 that are looked for)",
    ] {
        assert!(printed.contains(part), "{part} is not in {printed}");
    }
    let json = succeeds(&mut lodestone(folder.path(), &["data", "list", "--json"]));
    let sets: Value = serde_json::from_str(&json).unwrap();
    assert!(sets.as_array().unwrap().len() >= 13);
    let to = folder.path().join("to");
    let to = to.to_str().unwrap();
    let error = fails(&mut lodestone(
        folder.path(),
        &["-q", "data", "fetch", "pet", "--to", to],
    ));
    assert!(
        error.contains("\"pet\"") && error.contains("oxford-iiit-pet"),
        "{error}"
    );
    let error = fails(&mut lodestone(
        folder.path(),
        &["-q", "data", "fetch", "imagenet", "--to", to],
    ));
    assert!(
        error.contains("ILSVRC2012_img_train.tar") && error.contains("register"),
        "{error}"
    );
    for (set, parts) in [
        (
            "cars",
            ["car_ims.tgz cannot be downloaded freely", "car_devkit.tgz"],
        ),
        (
            "in-shop",
            ["in-shop cannot be fetched", "https://mmlab.ie.cuhk.edu.hk/"],
        ),
    ] {
        let error = fails(&mut lodestone(
            folder.path(),
            &["-q", "data", "fetch", set, "--to", to],
        ));
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}

/// Three photographs of two species in the layout of CUB-200-2011, in the folder that its archive has.
fn birds(folder: &Path) -> PathBuf {
    let root = folder.join("birds");
    let inner = root.join("CUB_200_2011");
    let photographs = [
        "001.Black_footed_Albatross/a.jpg",
        "001.Black_footed_Albatross/b.jpg",
        "101.White_Pelican/c.jpg",
    ];
    for (number, path) in photographs.iter().enumerate() {
        let path = inner.join("images").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture(number as u32).save(path).unwrap();
    }
    let [a, b, c] = photographs;
    let lists = [
        ("images.txt", format!("1 {a}\n2 {b}\n3 {c}\n")),
        ("image_class_labels.txt", "1 1\n2 1\n3 101\n".to_owned()),
        (
            "classes.txt",
            "1 001.Black_footed_Albatross\n101 101.White_Pelican\n".to_owned(),
        ),
        (
            "bounding_boxes.txt",
            "1 0.0 0.0 72.0 72.0\n2 5.0 5.0 60.0 60.0\n3 70.0 5.0 9.0 9.0\n".to_owned(),
        ),
    ];
    for (name, text) in lists {
        fs::write(inner.join(name), text).unwrap();
    }
    root
}

#[test]
fn a_part_of_a_set_of_the_field_is_told_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let root = birds(folder.path());
    let output = lodestone(folder.path(), &["data", "verify", root.to_str().unwrap()])
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    let words: Vec<&str> = printed.split_whitespace().collect();
    let printed_words = words.join(" ");
    for part in [
        "cub-200-2011:metric in ",
        "classes 2 200 198 missing",
        "train 2 5864 5862 missing classes 1 100 99 missing",
        "test 1 5924 5923 missing classes 1 100 99 missing",
        "box reaches beyond the photograph: 1",
        "overlap with ImageNet's",
    ] {
        assert!(printed_words.contains(part), "{part} is not in {printed}");
    }
    assert!(
        !printed.contains("without a training photograph"),
        "{printed}"
    );
}

#[test]
fn what_would_spoil_a_run_is_said_and_the_status_tells() {
    let folder = tempfile::tempdir().unwrap();
    let root = photographs(folder.path());
    let verify = |more: &[&str]| {
        let mut arguments = vec!["data", "verify", root.to_str().unwrap()];
        arguments.extend(more);
        lodestone(folder.path(), &arguments)
    };
    let printed = succeeds(&mut verify(&[]));
    assert!(
        printed.contains("12 to 12 training photographs a class"),
        "{printed}"
    );
    assert!(
        printed
            .lines()
            .any(|line| line.starts_with("nothing wrong in ")),
        "{printed}"
    );

    fs::write(root.join("train/class 0/broken.jpg"), "no photograph").unwrap();
    fs::copy(
        root.join("train/class 1/0.png"),
        root.join("test/class 1/copy.jpg"),
    )
    .unwrap();
    let output = verify(&[]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(!printed.contains("nothing wrong"), "{printed}");
    for part in [
        "broken: 1",
        "broken.jpg: ",
        "named as another format: 1",
        "test/class 1/copy.jpg: Png inside, named as Jpeg",
        "same file in several splits or classes: 1",
    ] {
        assert!(printed.contains(part), "{part} is not in {printed}");
    }
    let output = verify(&["--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["faults"], 2);
    assert_eq!(report["splits"][0]["rows"]["found"], 49);
    assert_eq!(report["class_counts"][1]["test"], 4);
    let doctor = lodestone(folder.path(), &["data", "doctor", root.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(doctor.status.code(), Some(1));
}

#[test]
fn what_is_not_read_is_said_by_every_command_that_looks() {
    let folder = tempfile::tempdir().unwrap();
    let root = photographs(folder.path());
    fs::rename(root.join("train"), root.join("Training")).unwrap();
    fs::rename(root.join("test"), root.join("TEST")).unwrap();
    fs::rename(
        root.join("Training/class 0/0.png"),
        root.join("Training/class 0/0.gif"),
    )
    .unwrap();
    for litter in ["__MACOSX/Training/class 0", "Training/class 1/@eaDir/1.png"] {
        fs::create_dir_all(root.join(litter)).unwrap();
        picture(7)
            .save(root.join(litter).join("thumb.png"))
            .unwrap();
    }
    fs::create_dir_all(root.join("Training/nothing")).unwrap();
    fs::write(root.join("Training/class 0/a.heic"), "heic").unwrap();
    fs::write(root.join("Training/class 2/broken.jpg"), "no photograph").unwrap();
    picture(8).save(root.join("Training/loose.png")).unwrap();
    let notes = [
        "note: 1 photograph in no class folder is left out, such as Training/loose.png: put them into the folders of their classes",
        "note: 1 class folder without a photograph is left out: Training/nothing",
        "note: 1 picture in a form that is not read is left out (1 .heic), such as Training/class 0/a.heic: convert them to JPEG or PNG",
    ];
    let path = root.to_str().unwrap();
    let output = lodestone(folder.path(), &["data", "verify", path])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8(output.stdout).unwrap();
    for part in notes
        .into_iter()
        .chain(["broken: 1", "classes                4"])
    {
        assert!(printed.contains(part), "{part} is not in {printed}");
    }
    fs::remove_file(root.join("Training/class 2/broken.jpg")).unwrap();

    let run = folder.path().join("run");
    let mut arguments = vec!["train", path, "--out", run.to_str().unwrap()];
    arguments.extend(SHORT);
    arguments.extend(["--set", "train.images=96"]);
    let output = lodestone(folder.path(), &arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    for note in notes {
        assert_eq!(said.matches(note).count(), 1, "{note} in {said}");
    }
    let out = folder.path().join("e.npy");
    let arguments = [
        "embed",
        run.to_str().unwrap(),
        path,
        "-o",
        out.to_str().unwrap(),
    ];
    let output = lodestone(folder.path(), &arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(notes[2]), "{said}");
    let list = fs::read_to_string(out.with_extension("csv")).unwrap();
    // 48 training and 12 test photographs, and the loose one.
    assert_eq!(list.lines().count(), 1 + 61, "{list}");
    assert!(!list.contains("thumb"), "{list}");
    fs::remove_file(root.join("Training/loose.png")).unwrap();
    let (index, model) = (folder.path().join("i"), run.to_str().unwrap());
    let arguments = [
        "index",
        "build",
        index.to_str().unwrap(),
        path,
        "--model",
        model,
    ];
    let output = lodestone(folder.path(), &arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains(notes[2]), "{said}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("60 photographs of 4 classes"), "{printed}");
}

#[test]
fn a_table_is_named_from_the_folder_it_lies_in() {
    let folder = tempfile::tempdir().unwrap();
    photographs(folder.path());
    fs::rename(folder.path().join("photo graphs"), folder.path().join("p")).unwrap();
    let mut table = "label,path,split,is_query,is_gallery\n".to_owned();
    for class in 0..4 {
        for number in 0..15 {
            let (split, role, part) = match number < 12 {
                true => ("train", "", "train"),
                false => ("test", "1", "validation"),
            };
            table +=
                &format!("{class},p/{split}/class {class}/{number}.png,{part},{role},{role}\n");
        }
    }
    fs::write(folder.path().join("t.csv"), table).unwrap();
    let here = |arguments: &[&str]| {
        let mut command = lodestone(folder.path(), arguments);
        command.current_dir(folder.path());
        command
    };
    let printed = succeeds(&mut here(&["data", "verify", "t.csv"]));
    assert!(printed.starts_with("oml in .\n"), "{printed}");
    succeeds(&mut here(&["init", "t.csv", "-o", "r.toml"]));
    let mut arguments = vec!["-q", "train", "t.csv", "--out", "run"];
    arguments.extend(SHORT);
    arguments.extend(["--set", "train.images=96"]);
    let printed = succeeds(&mut here(&arguments));
    assert!(printed.contains("of 12"), "{printed}");
    succeeds(&mut here(&[
        "-q",
        "train",
        "--config",
        "r.toml",
        "--out",
        "other",
        "--set",
        "train.images=64",
    ]));
}

#[test]
fn a_broken_photograph_stops_training_or_is_listed_in_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let root = photographs(folder.path());
    fs::write(
        root.join("train/class 0/cut off.jpg"),
        [0xff, 0xd8, 0xff, 0xe0],
    )
    .unwrap();
    let out = folder.path().join("run");
    let mut arguments = vec![
        "--quiet",
        "train",
        "--config",
        "tests/run-files/triplet.toml",
    ];
    arguments.extend([
        "--data",
        root.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ]);
    arguments.extend(["--set", "data.set={ name = \"image-folder\" }"]);
    arguments.extend(SHORT);
    arguments.extend(["--set", "train.images=96"]);
    let error = fails(&mut lodestone(folder.path(), &arguments));
    assert!(error.contains("cut off.jpg"), "{error}");
    fs::remove_dir_all(&out).ok();
    arguments.push("--skip-broken");
    succeeds(&mut lodestone(folder.path(), &arguments));
    let report = fs::read_to_string(out.join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let warnings = report["warnings"].to_string();
    assert!(
        warnings.contains("1 of 61 photographs left out as broken"),
        "{warnings}"
    );
    assert!(warnings.contains("cut off.jpg: truncated"), "{warnings}");
}
