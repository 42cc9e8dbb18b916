//! From a folder of photographs to answers: init, train, embed, index, search, report, in a folder with a space and an umlaut.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use image::RgbImage;
use serde_json::Value;

use crate::lodestone::{fails, lodestone, succeeds};

/// What makes a run of photographs last seconds.
const QUICK: [&str; 6] = [
    "--set",
    "train.images=960",
    "--set",
    "model.network.width=8",
    "--set",
    "model.head.embedding_size=16",
];

/// Classes and the colours that their photographs have.
const CLASSES: [(&str, [u8; 3]); 4] = [
    ("blaue Löffel", [30, 60, 200]),
    ("green cups", [40, 180, 60]),
    ("red plates", [210, 50, 40]),
    ("weiß", [230, 230, 230]),
];

/// A photograph of a colour with stripes that differ from one to the next.
fn photograph(colour: [u8; 3], number: u32) -> RgbImage {
    RgbImage::from_fn(72, 64, |x, y| {
        let stripe = ((x * (1 + number % 3) + y + 5 * number) / 9 % 2) as u8;
        image::Rgb(colour.map(|value| value.saturating_sub(35 * stripe + (number % 7) as u8)))
    })
}

/// `count` photographs of each of the first `classes` classes.
fn photographs(folder: &Path, classes: usize, count: u32) -> PathBuf {
    let root = folder.join("my fötos");
    for (name, colour) in &CLASSES[..classes] {
        for number in 0..count {
            let path = root.join(name).join(format!("{number}.png"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            photograph(*colour, number).save(path).unwrap();
        }
    }
    root
}

/// A run on three classes, made once for all tests of this file.
struct Trained {
    folder: tempfile::TempDir,
    photographs: PathBuf,
    run: PathBuf,
}

static TRAINED: LazyLock<Trained> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let photographs = photographs(folder.path(), 3, 20);
    let run = folder.path().join("first run");
    let mut arguments = vec!["--quiet", "train", text(&photographs), "--out", text(&run)];
    arguments.extend(QUICK);
    succeeds(&mut lodestone(folder.path(), &arguments));
    Trained {
        folder,
        photographs,
        run,
    }
});

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn init_says_what_it_found_and_writes_a_run_file_that_trains() {
    let folder = tempfile::tempdir().unwrap();
    let photographs = photographs(folder.path(), 3, 10);
    let file = folder.path().join("run file.toml");
    let init = |more: &[&str]| {
        let mut arguments = vec!["init", text(&photographs), "--out", text(&file)];
        arguments.extend(more);
        lodestone(folder.path(), &arguments)
    };
    let printed = succeeds(&mut init(&["--loss", "magnet"]));
    for part in [
        "3 classes",
        "30 training",
        "10 to 10 training photographs a class, median 10",
        "colour, about 64 pixels",
        "train --config '",
    ] {
        assert!(printed.contains(part), "{part} is not in {printed}");
    }
    let written = fs::read_to_string(&file).unwrap();
    assert!(
        written.contains("# Clusters in each class, K of the paper.\nclusters_per_class ="),
        "{written}"
    );
    let error = fails(&mut init(&[]));
    assert!(
        error.contains("is there already") && error.contains("--force"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), written);

    let run = folder.path().join("run");
    let mut arguments = vec![
        "--quiet",
        "train",
        "--config",
        text(&file),
        "--out",
        text(&run),
    ];
    arguments.extend(QUICK);
    succeeds(&mut lodestone(folder.path(), &arguments));
    assert!(run.join("model.safetensors").exists());

    let one = folder.path().join("one");
    fs::create_dir_all(one.join("only")).unwrap();
    photograph([1, 2, 3], 0)
        .save(one.join("only/a.png"))
        .unwrap();
    let error = fails(&mut lodestone(folder.path(), &["train", text(&one)]));
    assert!(error.contains("two or more to tell apart"), "{error}");
}

#[test]
fn a_run_without_test_photographs_is_judged_on_the_fifth_that_was_held_out() {
    let trained = &*TRAINED;
    let folder = tempfile::tempdir().unwrap();
    let ours = |arguments: &[&str]| succeeds(&mut lodestone(folder.path(), arguments));
    let run = text(&trained.run);
    let told = json(&fs::read_to_string(trained.run.join("report.json")).unwrap());
    assert_eq!(told["notes"]["part"], "validation");
    let error = &told["measures"]["soft_knn_error_at_1"];
    assert_eq!(error["count"], 12);
    let log = fs::read_to_string(trained.run.join("log.csv")).unwrap();
    let last = log.lines().last().unwrap().rsplit(',').next().unwrap();
    assert_eq!(
        last.parse::<f64>().unwrap(),
        error["value"].as_f64().unwrap()
    );

    assert_eq!(json(&ours(&["-q", "evaluate", run, "--json"])), told);
    let listed = ours(&["runs", run]);
    assert!(listed.contains("(validation)"), "{listed}");

    // Photographs that were trained on say nothing, and what an earlier run in the folder said goes.
    let all = folder.path().join("all");
    let mut train = vec!["--quiet", "train", text(&trained.photographs), "--out"];
    train.extend([text(&all), "--set", "data.validation=0"]);
    train.extend(["--set", "train.valid_period=0", "--force"]);
    train.extend(QUICK);
    fs::create_dir(&all).unwrap();
    fs::write(all.join("report.json"), "{}").unwrap();
    let printed = ours(&train);
    assert!(!printed.contains("error_at_1"), "{printed}");
    assert!(!all.join("report.json").exists());
    let error = fails(&mut lodestone(folder.path(), &["evaluate", text(&all)]));
    assert!(
        error.contains("has neither test nor validation images")
            && error.contains("data.validation"),
        "{error}"
    );
}

#[test]
fn questions_of_embeddings_are_refused_for_a_run_and_for_a_folder_of_kept_ones() {
    let trained = &*TRAINED;
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    let ours = |arguments: &[&str]| lodestone(trained.folder.path(), arguments);
    let run = text(&trained.run);
    succeeds(&mut ours(&[
        "-q",
        "evaluate",
        run,
        "--save-embeddings",
        text(&kept),
    ]));
    for [name, value] in [
        ["--k", "1"],
        ["--depth", "r"],
        ["--neighbours", "5"],
        ["--note", "a=b"],
    ] {
        let error = fails(&mut ours(&["evaluate", run, name, value]));
        assert!(error.contains("--embeddings kept/queries.npy"), "{error}");
        let all = ["evaluate", "--embeddings", text(&kept), name, value];
        let error = fails(&mut ours(&all));
        assert!(error.contains("queries.npy"), "{error}");
    }
    // Of the files all can be asked.
    let [queries, gallery] = ["queries.npy", "gallery.npy"].map(|name| kept.join(name));
    let (queries, gallery) = (text(&queries), text(&gallery));
    let all = [
        "evaluate",
        "--embeddings",
        queries,
        "--gallery",
        gallery,
        "--k",
        "1,3",
    ];
    assert!(succeeds(&mut ours(&all)).contains("recall_at_3"));
}

#[test]
fn an_index_answers_grows_by_a_class_and_shrinks() {
    let trained = &*TRAINED;
    let folder = tempfile::tempdir().unwrap();
    let index = folder.path().join("my photographs.index");
    let model = text(&trained.run);
    let ours = |arguments: &[&str]| lodestone(trained.folder.path(), arguments);
    let printed = succeeds(&mut ours(&[
        "-q",
        "index",
        "build",
        text(&index),
        text(&trained.photographs),
        "--model",
        model,
    ]));
    assert!(
        printed.contains("60 photographs of 3 classes, 16 values each, 9 centres, exact"),
        "{printed}"
    );

    // A photograph that was not there, of a class that is, and one of a class that is not.
    let cup = folder.path().join("ein becher.png");
    photograph(CLASSES[1].1, 33).save(&cup).unwrap();
    let white = folder.path().join("white.png");
    photograph(CLASSES[3].1, 3).save(&white).unwrap();
    let search = [
        "search",
        model,
        text(&index),
        text(&cup),
        text(&white),
        "--json",
        "-k",
        "3",
    ];
    let printed = succeeds(&mut ours(&search));
    let lines: Vec<Value> = printed.lines().map(json).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["photo"], text(&cup));
    assert_eq!(lines[0]["classes"][0]["class_name"], "green cups");
    assert_eq!(lines[0]["nearest"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&lines[0]["unknown"], &lines[1]["unknown"]),
        (&Value::from(false), &Value::from(true))
    );

    // The new class is known as soon as it is there, without training.
    let whites = folder.path().join("weiß");
    fs::create_dir(&whites).unwrap();
    for number in 0..12 {
        photograph(CLASSES[3].1, number)
            .save(whites.join(format!("{number}.png")))
            .unwrap();
    }
    let printed = succeeds(&mut ours(&[
        "-q",
        "index",
        "add",
        text(&index),
        text(&whites),
        "--model",
        model,
        "--class",
        "weiß",
    ]));
    assert!(printed.starts_with("12 added, 0 of them"), "{printed}");
    let printed = succeeds(&mut ours(&search));
    let line = json(printed.lines().nth(1).unwrap());
    assert_eq!(
        (&line["classes"][0]["class_name"], &line["unknown"]),
        (&Value::from("weiß"), &Value::from(false))
    );

    succeeds(&mut ours(&[
        "index",
        "remove",
        text(&index),
        "--class",
        "red plates",
    ]));
    let info = json(&succeeds(&mut ours(&[
        "index",
        "info",
        text(&index),
        "--json",
    ])));
    assert_eq!(
        (&info["rows"], &info["classes"][2]["class_name"]),
        (&Value::from(52), &Value::from("weiß"))
    );
    let error = fails(&mut ours(&[
        "index",
        "remove",
        text(&index),
        "--class",
        "red plates",
    ]));
    assert!(
        error.contains("has no such class; the first one is called blaue Löffel"),
        "{error}"
    );
}

#[test]
fn search_reads_paths_and_photographs_from_standard_input() {
    let trained = &*TRAINED;
    let folder = tempfile::tempdir().unwrap();
    let index = folder.path().join("x.index");
    let model = text(&trained.run);
    let embeddings = folder.path().join("e.npy");
    succeeds(&mut lodestone(
        trained.folder.path(),
        &[
            "-q",
            "embed",
            model,
            text(&trained.photographs),
            "-o",
            text(&embeddings),
        ],
    ));
    succeeds(&mut lodestone(
        trained.folder.path(),
        &["index", "build", text(&index), text(&embeddings)],
    ));
    let photo = trained.photographs.join("red plates/3.png");
    let ask = |input: &[u8], arguments: &[&str]| {
        let mut all = vec!["search", model, text(&index)];
        all.extend(arguments);
        let mut child = lodestone(trained.folder.path(), &all)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (success, printed, said) = ask(&fs::read(&photo).unwrap(), &["-", "-k", "2"]);
    assert!(
        success && printed.starts_with("-: red plates"),
        "{printed}{said}"
    );
    assert_eq!(printed.lines().count(), 3);
    // It finds itself, at no distance.
    assert!(
        printed.contains("0.0000  red plates") && printed.contains("3.png"),
        "{printed}"
    );
    let list = format!(
        "{}\n{}\n",
        photo.display(),
        folder.path().join("no.jpg").display()
    );
    let (success, printed, said) = ask(list.as_bytes(), &["--json"]);
    assert!(
        !success && said.contains("no.jpg") && said.contains("1 of 2 photographs"),
        "{said}"
    );
    assert!(
        json(printed.lines().nth(1).unwrap())["error"].is_string(),
        "{printed}"
    );
    // What was to come through the pipe did not.
    for arguments in [&["-"][..], &[]] {
        let (success, printed, said) = ask(b"", arguments);
        assert!(
            !success && printed.is_empty() && said.contains("not an image (it is empty)"),
            "{printed}{said}"
        );
    }
    let (success, _, said) = ask(b"\n\n", &[]);
    assert!(!success && said.contains("names no photograph"), "{said}");
    // The reason of a broken one is said once.
    let cut = folder.path().join("cut.png");
    fs::write(&cut, &fs::read(&photo).unwrap()[..60]).unwrap();
    let (success, _, said) = ask(b"", &[text(&cut)]);
    let told = said.lines().next().unwrap();
    assert!(!success && told.contains("cut.png"), "{said}");
    let words: Vec<&str> = told.split(": ").collect();
    let mut once = words.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(words.len(), once.len(), "{told}");
}

#[test]
fn a_model_that_did_not_make_the_index_is_refused() {
    let trained = &*TRAINED;
    let folder = tempfile::tempdir().unwrap();
    let index = folder.path().join("x.index");
    succeeds(&mut lodestone(
        trained.folder.path(),
        &[
            "-q",
            "index",
            "build",
            text(&index),
            text(&trained.photographs),
            "--model",
            text(&trained.run),
        ],
    ));
    let other = folder.path().join("other");
    let mut arguments = vec![
        "--quiet",
        "train",
        text(&trained.photographs),
        "--out",
        text(&other),
        "--set",
        "seed=1",
    ];
    arguments.extend(QUICK);
    succeeds(&mut lodestone(trained.folder.path(), &arguments));
    let photo = trained.photographs.join("red plates/3.png");
    let error = fails(&mut lodestone(
        trained.folder.path(),
        &["search", text(&other), text(&index), text(&photo)],
    ));
    assert!(
        error.contains("embeddings of two models cannot be compared"),
        "{error}"
    );
    let error = fails(&mut lodestone(
        trained.folder.path(),
        &["search", text(&trained.run), text(&photo), text(&photo)],
    ));
    assert!(error.contains("3.png"), "{error}");
}

#[test]
fn parts_of_an_embedding_are_the_whole() {
    let trained = &*TRAINED;
    let folder = tempfile::tempdir().unwrap();
    let embed = |name: &str, more: &[&str]| -> PathBuf {
        let out = folder.path().join(name);
        let mut arguments = vec![
            "-q",
            "embed",
            text(&trained.run),
            text(&trained.photographs),
            "-o",
            text(&out),
        ];
        arguments.extend(more);
        succeeds(&mut lodestone(trained.folder.path(), &arguments));
        out
    };
    let read = |path: &Path| -> ndarray::Array2<f32> { ndarray_npy::read_npy(path).unwrap() };
    let whole = read(&embed("whole.npy", &[]));
    let parts: Vec<_> = ["1/3", "2/3", "3/3"]
        .iter()
        .map(|part| read(&embed(&format!("{}.npy", &part[..1]), &["--shard", part])))
        .collect();
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    let joined = ndarray::concatenate(ndarray::Axis(0), &views).unwrap();
    // Batches of other sizes are multiplied in another order.
    assert_eq!(joined.dim(), whole.dim());
    assert!(joined.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-5));
    let error = fails(&mut lodestone(
        trained.folder.path(),
        &[
            "embed",
            text(&trained.run),
            text(&trained.photographs),
            "-o",
            "x.txt",
        ],
    ));
    assert!(error.contains("the name must end in .npy"), "{error}");
}

#[test]
fn a_photograph_is_embedded_once_by_each_model_and_again_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let photographs = photographs(folder.path(), 2, 20);
    let [run, out, index] = ["run", "x.npy", "x.index"].map(|name| folder.path().join(name));
    let mut arguments = vec!["train", text(&photographs), "--out", text(&run)];
    arguments.extend(QUICK);
    let printed = succeeds(&mut lodestone(folder.path(), &arguments));
    let next = format!("next: lodestone report {}", text(&run));
    assert_eq!(printed.lines().last(), Some(next.as_str()));

    let embed = || {
        let arguments = ["embed", text(&run), text(&photographs), "-o", text(&out)];
        lodestone(folder.path(), &arguments)
    };
    // How many were there already.
    let reused = || -> usize {
        let printed = succeeds(&mut embed());
        assert!(printed.contains("40 embeddings of 16 values"), "{printed}");
        let before = printed.split_once(" of them made before");
        before.map_or(0, |(start, _)| {
            start.rsplit(' ').next().unwrap().parse().unwrap()
        })
    };
    let values = || -> ndarray::Array2<f32> { ndarray_npy::read_npy(&out).unwrap() };
    // Those by which the run was judged, and then all, whatever embedded them.
    assert!(reused() >= 30);
    let before = values();
    let build = ["-q", "index", "build", text(&index), text(&photographs)];
    succeeds(lodestone(folder.path(), &build).args(["--model", text(&run)]));
    assert_eq!(reused(), 40);
    assert_eq!(values(), before);
    // The first in the order of the folders and names.
    photograph([9, 99, 199], 11)
        .save(photographs.join(CLASSES[0].0).join("0.png"))
        .unwrap();
    assert_eq!(reused(), 39);
    let after = values();
    assert_ne!(before.row(0), after.row(0));
    let rest = ndarray::s![1.., ..];
    assert_eq!(before.slice(rest), after.slice(rest));

    // What is damaged is made again.
    let cache = folder.path().join("cache/lodestone");
    for model in fs::read_dir(cache.join("embeddings")).unwrap() {
        for file in fs::read_dir(model.unwrap().path()).unwrap() {
            fs::write(file.unwrap().path(), "lodestone-embed1").unwrap();
        }
    }
    assert_eq!(reused(), 0);
    let again = values();
    // The first were made without folded normalisation, as a run is judged.
    assert!(again.iter().zip(&after).all(|(a, b)| (a - b).abs() < 1e-4));

    // What lies there, what goes, and what never does.
    let mine = cache.join("thesis.maps");
    fs::write(&mine, "mine").unwrap();
    let told = || {
        json(&succeeds(&mut lodestone(
            folder.path(),
            &["cache", "--json"],
        )))
    };
    let lies = told();
    assert_eq!(lies["kinds"][1]["kind"], "embeddings", "{lies:#}");
    assert_eq!(lies["kinds"][1]["files"], 1, "{lies:#}");
    assert_eq!(lies["limit"], 10_000_000_000_u64, "{lies:#}");
    let printed = succeeds(&mut lodestone(folder.path(), &["cache"]));
    assert!(printed.contains("LODESTONE_CACHE_LIMIT"), "{printed}");
    let clear = ["cache", "--clear", "embeddings"];
    let printed = succeeds(&mut lodestone(folder.path(), &clear));
    assert!(printed.contains("1 file removed"), "{printed}");
    assert_eq!(reused(), 0);
    succeeds(embed().env("LODESTONE_CACHE_LIMIT", "0"));
    assert_eq!(told()["bytes"], 0);
    assert_eq!(fs::read_to_string(mine).unwrap(), "mine");
    let error = fails(embed().env("LODESTONE_CACHE_LIMIT", "lots"));
    assert!(
        error.contains("LODESTONE_CACHE_LIMIT is \"lots\"") && error.contains("10GB"),
        "{error}"
    );
}

#[test]
fn a_report_is_one_page_of_a_run_or_of_embeddings() {
    let trained = &*TRAINED;
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let report = |source: &Path, more: &[&str]| {
        let mut arguments = vec!["-q", "report", text(source), "-o", text(&page)];
        arguments.extend(more);
        let printed = succeeds(&mut lodestone(trained.folder.path(), &arguments));
        (printed, fs::read_to_string(&page).unwrap())
    };
    // Twelve of sixty were held out.
    let (printed, html) = report(&trained.run, &[]);
    assert!(printed.contains("12 photographs"), "{printed}");
    assert!(html.contains("\"name\":\"loss\"") && html.contains("validation photographs"));
    assert!(html.contains("blaue Löffel/") && html.contains("id=\"large-0\""));

    let embeddings = folder.path().join("e.npy");
    succeeds(&mut lodestone(
        trained.folder.path(),
        &[
            "-q",
            "embed",
            text(&trained.run),
            text(&trained.photographs),
            "-o",
            text(&embeddings),
        ],
    ));
    let (printed, html) = report(&embeddings, &["--map", "pca", "--points", "50"]);
    assert!(printed.contains("50 photographs"), "{printed}");
    assert!(html.contains("60 embeddings, evenly taken") && html.contains("map_at_r"));
    let error = fails(&mut lodestone(
        trained.folder.path(),
        &["report", text(&page)],
    ));
    assert!(error.contains("page.html"), "{error}");
}

#[test]
fn a_photograph_that_is_not_there_is_counted_once_and_none_where_no_paths_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let (list, page) = (folder.path().join("e.csv"), folder.path().join("e.html"));
    let said = |column: &str| {
        let row = |row: usize| format!("{row}.png,{},{row},{}\n", row % 3, row * row % 7);
        let rows: String = (0..12).map(row).collect();
        fs::write(&list, format!("{column},label,e0,e1\n{rows}")).unwrap();
        let arguments = ["report", text(&list), "-o", text(&page)];
        let output = lodestone(folder.path(), &arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    // The page shows each at two sizes.
    let gone = said("path");
    assert!(
        gone.contains("\n12 photographs could not be read"),
        "{gone}"
    );
    let without = said("remark");
    assert!(
        without.contains("no paths were given") && !without.contains("could not be read"),
        "{without}"
    );
}

#[test]
fn the_page_works_in_a_browser_and_the_server_answers_only_what_it_should() {
    let python = std::env::var("LODESTONE_PYTHON").unwrap_or_else(|_| "python3".into());
    let has = |program: &str| {
        Command::new(program)
            .arg("--version")
            .output()
            .is_ok_and(|o| o.status.success())
    };
    if !has(&python)
        || !["chromium", "chromium-browser", "google-chrome"]
            .into_iter()
            .any(has)
    {
        eprintln!("skipped: no python3 or no chromium, so no page was opened in a browser");
        return;
    }
    let trained = &*TRAINED;
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("seite ü.html");
    succeeds(&mut lodestone(
        trained.folder.path(),
        &["-q", "report", text(&trained.run), "-o", text(&page)],
    ));
    let photo = folder.path().join("becher.png");
    photograph(CLASSES[1].1, 40).save(&photo).unwrap();
    let script = crate::lodestone::repository().join("tests/browser.py");
    let mut command = Command::new(python);
    command
        .env("XDG_CACHE_HOME", trained.folder.path().join("cache"))
        .arg(script)
        .args([
            env!("CARGO_BIN_EXE_lodestone"),
            text(&trained.run),
            text(&page),
            text(&photo),
        ])
        .arg(folder.path().join("screenshots"));
    let seen = json(&succeeds(&mut command));
    let report = &seen["report"];
    assert_eq!(report["problems"], json("[]"), "{seen:#}");
    // The file itself, and its photographs from its own memory.
    assert!(
        report["asked"]
            .as_array()
            .unwrap()
            .iter()
            .all(|kind| kind == "file" || kind == "blob"),
        "{seen:#}"
    );
    assert_eq!(
        (&report["legend"], &report["counts"]),
        (&Value::from(3), &Value::from("12 of 12 photographs"))
    );
    assert_eq!(report["tip_picture"], "url(\"blob", "{seen:#}");
    assert_eq!(
        (&report["kept"], &report["found_nothing"]),
        (&Value::from(8), &Value::from("0 of 12 photographs"))
    );
    let served = &seen["served"];
    assert_eq!(
        (&served["problems"], &served["address"]),
        (&json("[]"), &Value::from("http://127.0.0.1")),
        "{seen:#}"
    );
    assert!(
        served["answer"].as_str().unwrap().contains("green cups"),
        "{seen:#}"
    );
    let statuses = &served["statuses"];
    for (asked, expected) in [
        ("etc", 404),
        ("encoded", 404),
        ("put", 405),
        ("text", 400),
        ("large", 413),
        ("host", 403),
        ("origin", 403),
        ("page", 200),
        ("beside_a_stalled_one", 200),
    ] {
        assert_eq!(statuses[asked], expected, "{asked}: {seen:#}");
    }
}

#[test]
fn the_tool_describes_itself() {
    let folder = tempfile::tempdir().unwrap();
    let ours = |arguments: &[&str]| succeeds(&mut lodestone(folder.path(), arguments));
    let version = ours(&["--version"]);
    assert!(
        version.starts_with(concat!("lodestone ", env!("CARGO_PKG_VERSION"))),
        "{version}"
    );
    assert!(version.contains("devices: cpu"), "{version}");
    let devices = json(&ours(&["devices", "--json"]));
    assert!(
        devices["devices"][0]["gigaflops"].as_f64().unwrap() > 0.0,
        "{devices}"
    );
    for shell in ["bash", "zsh", "fish"] {
        assert!(ours(&["completions", shell]).contains("search"), "{shell}");
    }
    let pages = folder.path().join("man 1");
    ours(&["man", "--out", text(&pages)]);
    let page = fs::read_to_string(pages.join("lodestone-index-build.1")).unwrap();
    assert!(page.contains(".TH lodestone-index-build 1"), "{page}");
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = lodestone(folder.path(), &["explain"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_command_makes_again_what_it_made_and_writes_over_nothing_else() {
    let trained = &*TRAINED;
    let folder = tempfile::tempdir().unwrap();
    let ours = |arguments: &[&str]| lodestone(trained.folder.path(), arguments);
    let path = |name: &str| folder.path().join(name);
    let (run, photographs) = (text(&trained.run), text(&trained.photographs));
    let [matrix, list, table] = ["e.npy", "e.csv", "e.parquet"].map(path);
    let [page, sheet, model] = ["page.html", "sheet.png", "copy.safetensors"].map(path);
    let trained_model = trained.run.join("model.safetensors");
    let commands: [(&[&str], &[&Path], bool); 6] = [
        (
            &["-q", "embed", run, photographs, "-o", text(&matrix)],
            &[&matrix, &list],
            true,
        ),
        (
            &["-q", "embed", run, photographs, "-o", text(&table)],
            &[&table],
            true,
        ),
        (
            &["merge", text(&matrix), "-o", text(&table)],
            &[&table],
            true,
        ),
        (&["-q", "report", run, "-o", text(&page)], &[&page], true),
        (
            &["-q", "clusters", run, "--sheet", text(&sheet)],
            &[&sheet],
            true,
        ),
        (
            &["weights", "convert", text(&trained_model), text(&model)],
            &[&model],
            false,
        ),
    ];
    for (command, files, again) in commands {
        succeeds(&mut ours(command));
        match again {
            true => drop(succeeds(&mut ours(command))),
            false => {
                let error = fails(&mut ours(command));
                assert!(error.contains("is there already"), "{command:?}: {error}");
            }
        }
        // Something else of each name stays as it is, until it is to go.
        for file in files {
            let made = fs::read(file).unwrap();
            fs::write(file, "label\n1\n2\n").unwrap();
            let error = fails(&mut ours(command));
            assert!(
                error.contains("is there already") && error.contains("--force"),
                "{command:?}: {error}"
            );
            assert_eq!(fs::read(file).unwrap(), b"label\n1\n2\n");
            fs::write(file, made).unwrap();
        }
        let last = files[files.len() - 1];
        fs::write(last, "label\n1\n2\n").unwrap();
        succeeds(&mut ours(&[command, &["--force"]].concat()));
        assert_ne!(fs::read(last).unwrap(), b"label\n1\n2\n");
    }
    // A matrix of another program, whose list lies beside it or not.
    let theirs = path("theirs.npy");
    fs::copy(&matrix, &theirs).unwrap();
    let error = fails(&mut ours(&[
        "-q",
        "embed",
        run,
        photographs,
        "-o",
        text(&theirs),
    ]));
    assert!(error.contains("theirs.npy is there already"), "{error}");
}
