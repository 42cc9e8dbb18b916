//! Embedding files evaluated alone, from whoever wrote them.

use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;
use ndarray::Array2;
use ndarray_npy::WriteNpyExt;
use serde_json::Value;

use crate::lodestone::{SHORT, fails, lodestone, succeeds};

/// A folder with embeddings of five classes around five corners, and what else is asked for.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// `rows` embeddings of 6 values and their labels beside them: `row % 5`, a little spread, the same for the same `shift`.
    fn embeddings(&self, name: &str, rows: usize, shift: usize) {
        let spread = |i: usize| ((i + shift) * 7919 % 1009) as f32 / 1009.0;
        let matrix = Array2::from_shape_fn((rows, 6), |(row, column)| {
            f32::from(column == row % 5) + 0.9 * spread(row * 6 + column)
        });
        self.matrix(&format!("{name}.npy"), &matrix);
        let lines = (0..rows).map(|row| format!("{},img {row}.jpg,{}\n", row % 5, row % 5 / 3));
        self.text(
            &format!("{name}.csv"),
            &("label,path,coarse\n".to_owned() + &lines.collect::<String>()),
        );
    }

    fn matrix(&self, name: &str, matrix: &Array2<f32>) {
        matrix
            .write_npy(fs::File::create(self.path(name)).unwrap())
            .unwrap();
    }

    /// `evaluate --embeddings x.npy`, with names of the folder written as `@name`.
    fn command(&self, more: &[&str]) -> std::process::Command {
        let path = |text: &&str| match text.strip_prefix('@') {
            Some(name) => self.path(name).to_str().unwrap().to_owned(),
            None => (*text).to_owned(),
        };
        let all = ["evaluate", "--embeddings", "@x.npy"].iter().chain(more);
        let arguments: Vec<String> = all.map(path).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        lodestone(self.folder.path(), &arguments)
    }

    fn json(&self, more: &[&str]) -> Value {
        let mut arguments = vec!["--json"];
        arguments.extend(more);
        serde_json::from_str(&succeeds(&mut self.command(&arguments))).unwrap()
    }
}

fn value(report: &Value, measure: &str) -> f64 {
    report["measures"][measure]["value"]
        .as_f64()
        .unwrap_or_else(|| panic!("{measure} is not in {report:#}"))
}

#[test]
fn one_file_is_ranked_against_the_rest_of_itself() {
    let files = Files::new();
    files.embeddings("x", 60, 0);
    let report = files.json(&["--labels", "@x.csv"]);
    assert_eq!(report["schema"], 1);
    assert_eq!(report["setting"]["mode"], "self");
    assert_eq!(report["setting"]["queries"], 60);
    assert_eq!(report["measures"]["map_at_r"]["count"], 60);
    let map = value(&report, "map_at_r");
    assert!(map > 0.3 && map < 1.0, "{map}");
    assert!(report["diagnostics"]["effective_rank"].as_f64().unwrap() > 2.0);
    // A list of bare numbers, and whatever memory, depth and tiles, give the same ranking.
    files.text(
        "y.csv",
        &(0..60)
            .map(|row| format!("{}\n", row % 5))
            .collect::<String>(),
    );
    let again = files.json(&["--labels", "@y.csv", "--memory", "60kB", "--depth", "r"]);
    for measure in ["precision_at_1", "recall_at_8", "r_precision", "map_at_r"] {
        assert_eq!(value(&again, measure), value(&report, measure), "{measure}");
    }
    assert!(again["measures"].get("mean_average_precision").is_none());
    let table = succeeds(&mut files.command(&[]));
    assert!(
        table.contains("| precision_at_1 = recall_at_1 = CMC@1 = hit@1 |"),
        "{table}"
    );
}

#[test]
fn a_gallery_may_be_another_file_or_a_column() {
    let files = Files::new();
    files.embeddings("x", 25, 3);
    files.embeddings("g", 40, 500);
    let two = files.json(&["--gallery", "@g.npy", "--mode", "split"]);
    assert_eq!(two["setting"]["mode"], "split");
    assert_eq!(two["setting"]["gallery"], 40);

    // The same as one file with roles.
    let one = |name: &str, shift| {
        let spread = |i: usize| ((i + shift) * 7919 % 1009) as f32 / 1009.0;
        let rows = if name == "x" { 25 } else { 40 };
        Array2::from_shape_fn((rows, 6), |(row, column)| {
            f32::from(column == row % 5) + 0.9 * spread(row * 6 + column)
        })
    };
    let both = ndarray::concatenate![ndarray::Axis(0), one("x", 3), one("g", 500)];
    files.matrix("both.npy", &both);
    let line = |row: usize| match row < 25 {
        true => format!("{},1,0\n", row % 5),
        false => format!("{},0,1\n", (row - 25) % 5),
    };
    files.text(
        "both.csv",
        &("label,is_query,is_gallery\n".to_owned() + &(0..65).map(line).collect::<String>()),
    );
    fs::rename(files.path("both.npy"), files.path("x.npy")).unwrap();
    fs::rename(files.path("both.csv"), files.path("x.csv")).unwrap();
    let column = files.json(&[]);
    assert_eq!(column["setting"], two["setting"]);
    assert_eq!(column["measures"], two["measures"]);
    // Roles can be passed over.
    assert_eq!(files.json(&["--mode", "self"])["setting"]["queries"], 65);
}

#[test]
fn every_option_has_its_number() {
    let files = Files::new();
    files.embeddings("x", 50, 0);
    files.embeddings("g", 80, 321);
    let lines = (0..50).map(|row| match row % 4 {
        0 => "1,-1\n",
        1 => "-1,1\n",
        2 => "0,1\n",
        _ => "-1,0\n",
    });
    files.text(
        "traits.csv",
        &("striped,big\n".to_owned() + &lines.collect::<String>()),
    );
    let centres = Array2::from_shape_fn((5, 6), |(row, column)| f32::from(row == column) + 0.45);
    files.matrix("centres.npy", &centres);
    files.text("centres.csv", "label\n0\n1\n2\n3\n4\n");
    let logits = Array2::from_shape_fn((50, 5), |(row, column)| f32::from(column == row % 5));
    files.matrix("logits.npy", &logits);
    let report = files.json(&[
        "--gallery",
        "@g.npy",
        "--all-metrics",
        "--convention",
        "pml,oml,sklearn",
        "--lone-as-miss",
        "--per-class",
        "--per-query",
        "@queries.csv",
        "--bootstrap",
        "200",
        "--confusion",
        "--clusters",
        "--cluster-restarts",
        "3",
        "--verification",
        "100",
        "--precision",
        "0.6",
        "--fmr",
        "0.1,0.5",
        "--hierarchy",
        "coarse",
        "--attributes",
        "@traits.csv",
        "--neighbourhoods",
        "1,5",
        "--centres",
        "@centres.npy",
        "--variance",
        "0.5",
        "--logits",
        "@logits.npy",
        "--note",
        "weights=none",
        "--memory",
        "10MB",
        "--out",
        "@out",
        "--k",
        "1,5",
    ]);
    for measure in [
        "precision_at_1",
        "recall_ir_at_5",
        "precision_at_5_capped",
        "map_at_5.oml",
        "map_at_r.pml",
        "mean_average_precision.sklearn",
        "recall_at_5_lone_as_miss",
        "map_at_r_per_class_mean",
        "soft_knn_error_at_1",
        "nearest_neighbour_error_at_1",
        "nearest_class_mean_error_at_5",
        "hierarchy_soft_knn_error_at_1",
        "knc_error_at_1",
        "nearest_centre_error_at_1",
    ] {
        assert!((0.0..=1.0).contains(&value(&report, measure)), "{measure}");
    }
    // Three fine classes below one coarse, two below the other: 3/5 of 2/3 and 2/5 of 1/2.
    assert!((value(&report, "hierarchy_chance_error_at_1") - 0.6).abs() < 1e-12);
    assert_eq!(value(&report, "argmax_error_at_1"), 0.0);
    let map = &report["measures"]["map_at_r"];
    let interval: Vec<f64> = serde_json::from_value(map["interval"].clone()).unwrap();
    assert!(interval[0] < map["value"].as_f64().unwrap() && interval[1] > interval[0]);
    assert_eq!(report["per_class"].as_object().unwrap().len(), 5);
    assert_eq!(report["clustering"]["clusters"], 5);
    assert_eq!(report["clustering"]["k_means"]["restarts"], 3);
    assert!(report["clustering"]["nmi"].as_f64().unwrap() > 0.2);
    assert_eq!(report["verification"]["positive"], 50);
    assert_eq!(report["verification"]["fnmr_at_fmr"][1]["fmr"], 0.5);
    assert!(
        report["verification"]["calibrated"]["validation"]["precision"]
            .as_f64()
            .unwrap()
            >= 0.6
    );
    assert_eq!(
        report["concentration"]["names"],
        serde_json::json!(["big", "striped"])
    );
    assert_eq!(report["concentration"]["sizes"], serde_json::json!([1, 5]));
    assert_eq!(report["confusion"]["classes"].as_array().unwrap().len(), 5);
    assert_eq!(report["notes"]["weights"], "none");

    // The files: the same JSON, a table, a line a query.
    let saved = fs::read_to_string(files.path("out/report.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&saved).unwrap(), report);
    let table = fs::read_to_string(files.path("out/report.md")).unwrap();
    for part in [
        "Verification (sampled",
        "NMI",
        "| striped |",
        "Shape:",
        "95 % interval",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }
    let queries = fs::read_to_string(files.path("queries.csv")).unwrap();
    assert_eq!(queries.lines().count(), 51);
    assert!(
        queries.lines().nth(1).unwrap().contains(",img 0.jpg,img "),
        "{queries}"
    );

    // Merged classes, given clusters, given pairs, coarse relevance, leave-one-out rules.
    let merged = files.json(&[
        "--gallery",
        "@g.npy",
        "--merge",
        "mixed:2",
        "--hierarchy",
        "coarse",
    ]);
    assert!(value(&merged, "hierarchy_chance_error_at_1") > 0.4);
    assert_eq!(merged["notes"]["hierarchy"], "mixed, 2 groups, seed 0");
    files.text(
        "pairs.csv",
        "a,b,part\n0,5,test\n0,1,test\n1,6,validation\n1,2,validation\n",
    );
    let more = files.json(&[
        "--label-column",
        "label",
        "--given-clusters",
        "coarse",
        "--pairs",
        "@pairs.csv",
        "--precision",
        "1",
        "--loo",
    ]);
    assert_eq!(more["clustering"]["clusters"], 2);
    assert_eq!(more["verification"]["negative"], 1);
    assert!(more["measures"].get("soft_knn_loo_error_at_1").is_some());
    let coarse = files.json(&["--label-column", "coarse", "--cosine"]);
    assert_eq!(coarse["setting"]["classes"], 2);
    assert_eq!(coarse["setting"]["distance"], "cosine");
    // A row of the right fine class is one of the right coarse class, so coarse relevance can only find more.
    let coarse = files.json(&["--label-column", "coarse"]);
    assert!(value(&coarse, "recall_at_1") >= value(&more, "recall_at_1"));
}

#[test]
fn odd_data_is_defined_and_said() {
    let files = Files::new();
    files.embeddings("x", 20, 0);
    // One class only.
    files.text("one.csv", &"7\n".repeat(20));
    let report = files.json(&["--labels", "@one.csv"]);
    assert_eq!(value(&report, "map_at_r"), 1.0);
    let warnings = report["warnings"].to_string();
    assert!(
        warnings.contains("no query sees a row of another class"),
        "{warnings}"
    );
    // All lone: absent, not NaN.
    files.text(
        "lone.csv",
        &(0..20).map(|row| format!("{row}\n")).collect::<String>(),
    );
    let report = files.json(&["--labels", "@lone.csv"]);
    assert!(report["measures"]["map_at_r"]["value"].is_null());
    assert_eq!(report["setting"]["n_lone"], 20);
    // k beyond the gallery looks at all there is.
    let report = files.json(&["--k", "1,500"]);
    assert_eq!(report["notes"]["k_effective_at_500"], "19");
    assert_eq!(value(&report, "recall_at_500"), 1.0);
    // Copies are legitimate hits; all rows equal is a collapse.
    files.matrix("x.npy", &Array2::from_elem((20, 6), 0.25));
    let report = files.json(&[]);
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("collapsed to one point"), "{warnings}");
    assert!(
        warnings.contains("20 of 20 queries have the very embedding"),
        "{warnings}"
    );
    // Equal distances rank by row number: all but row 0 see row 0 first, which is right for rows 5, 10 and 15.
    assert_eq!(value(&report, "precision_at_1"), 3.0 / 20.0);
}

#[test]
fn mistakes_get_one_line_that_names_file_and_value() {
    let files = Files::new();
    files.embeddings("x", 20, 0);
    files.embeddings("g", 20, 5);
    let mut bad = Array2::from_elem((20, 6), 1.0_f32);
    bad[(13, 2)] = f32::NAN;
    files.matrix("nan.npy", &bad);
    bad[(13, 2)] = f32::INFINITY;
    files.matrix("inf.npy", &bad);
    files.matrix("wide.npy", &Array2::from_elem((20, 7), 1.0));
    files.matrix("empty.npy", &Array2::from_elem((0, 6), 1.0));
    files.text("short.csv", "label\n1\n2\n");
    files.text("traits.csv", &("big\n".to_owned() + &"2\n".repeat(20)));
    files.text("pairs.csv", "a,b\n0,99\n");
    files.text("broken.npy", "no array");
    fs::copy(files.path("x.csv"), files.path("labels.csv")).unwrap();
    let cases: [(&[&str], &[&str]); 19] = [
        (&["--labels", "@no.csv"], &["no.csv", "No such file"]),
        (
            &["--labels", "@short.csv"],
            &["short.csv has 2 labels", "x.npy has 20 embeddings"],
        ),
        (
            &["--label-column", "kind"],
            &["no column `kind`", "coarse, label, path"],
        ),
        (
            &["--gallery", "@nan.npy", "--gallery-labels", "@labels.csv"],
            &["nan.npy", "row 13 has NaN in column 2"],
        ),
        (
            &["--gallery", "@inf.npy", "--gallery-labels", "@labels.csv"],
            &["inf.npy", "row 13 has inf in column 2"],
        ),
        (
            &["--gallery", "@wide.npy", "--gallery-labels", "@labels.csv"],
            &["6 dimensions", "wide.npy has 7"],
        ),
        (
            &["--gallery", "@empty.npy", "--gallery-labels", "@labels.csv"],
            &["empty.npy is 0 x 6"],
        ),
        (
            &[
                "--gallery",
                "@broken.npy",
                "--gallery-labels",
                "@labels.csv",
            ],
            &["broken.npy"],
        ),
        (&["--mode", "train-gallery"], &["needs --gallery"]),
        (
            &["--mode", "self", "--gallery", "@g.npy"],
            &["--mode self", "--gallery"],
        ),
        (
            &["--gallery", "@x.npy"],
            &["x.npy", "every row would find itself"],
        ),
        (&["--mode", "split"], &["no column `is_query`"]),
        (&["--k", "0"], &["k is 0, must be at least 1"]),
        (&["--memory", "500"], &["are needed", "the limit is 500 B"]),
        (
            &["--clusters", "21"],
            &["clusters is 21, must be at most the number of rows"],
        ),
        (
            &["--attributes", "@traits.csv"],
            &["traits.csv: line 2, big: `2` is not 1, -1 or 0"],
        ),
        (
            &["--pairs", "@pairs.csv"],
            &["line 2, b: `99` is no row of 20 embeddings"],
        ),
        (
            &["--verification", "9", "--fmr", "1.5"],
            &["fmr is 1.5, must be between 0 and 1"],
        ),
        (&["--precision", "0.9"], &["--precision needs pairs"]),
    ];
    for (arguments, expected) in cases {
        let error = fails(&mut files.command(arguments));
        for part in expected {
            assert!(error.contains(part), "{arguments:?}: {error}");
        }
    }
    #[cfg(not(feature = "approximate"))]
    {
        let error = fails(&mut files.command(&["--approximate"]));
        assert!(error.contains("--features approximate"), "{error}");
    }
}

#[test]
fn labels_are_read_as_they_stand() {
    let files = Files::new();
    files.embeddings("x", 20, 0);
    let labels = |of: fn(usize) -> String| {
        "label\n".to_owned() + &(0..20).map(|row| of(row % 5) + "\n").collect::<String>()
    };
    let classes = |name: &str, text: String| {
        files.text(name, &text);
        let report = files.json(&["--labels", &format!("@{name}")]);
        report["setting"]["classes"].clone()
    };
    // 1, 01, 001, +1 and 1.: five names, not one number.
    let spelled = |class: usize| ["1", "01", "001", "+1", "1."][class].to_owned();
    assert_eq!(classes("spelled.csv", labels(spelled)), 5);
    assert_eq!(
        classes("floats.csv", labels(|class| format!("{class}.0"))),
        5
    );

    let spoiled = |name: &str, missing: &str| {
        files.text(
            name,
            &labels(|class| class.to_string()).replacen("\n3\n", &format!("\n{missing}\n"), 1),
        );
        fails(&mut files.command(&["--labels", &format!("@{name}")]))
    };
    for missing in ["", "nan", "NULL"] {
        let error = spoiled("spoiled.csv", missing);
        assert!(error.contains("spoiled.csv: line 5, label"), "{error}");
    }
    // A list of names has no line above it.
    files.text("words.csv", &"cup\n".repeat(20));
    let error = fails(&mut files.command(&["--labels", "@words.csv"]));
    assert!(
        error.contains("no column `label`, only cup; this line"),
        "{error}"
    );
}

#[test]
fn a_row_without_a_sequence_hides_nothing() {
    let files = Files::new();
    files.embeddings("x", 20, 0);
    let table = |sequence: fn(usize) -> &'static str| {
        let line = |row: usize| format!("{},{}\n", row % 5, sequence(row));
        "label,sequence\n".to_owned() + &(0..20).map(line).collect::<String>()
    };
    let plain = files.json(&[])["measures"].clone();
    files.text("none.csv", &table(|_| ""));
    files.text("half.csv", &table(|row| if row == 0 { "s" } else { "nan" }));
    for name in ["@none.csv", "@half.csv"] {
        assert_eq!(files.json(&["--labels", name])["measures"], plain, "{name}");
    }
    files.text("all.csv", &table(|_| "s"));
    let all = files.json(&["--labels", "@all.csv"]);
    assert_ne!(all["measures"], plain);
}

#[cfg(feature = "approximate")]
#[test]
fn an_approximate_search_says_its_recall() {
    let files = Files::new();
    files.embeddings("x", 400, 0);
    let exact = files.json(&["--depth", "r"]);
    let report = files.json(&["--approximate", "--candidates", "200"]);
    let recall = report["approximate"]["recall"].as_f64().unwrap();
    assert!(recall > 0.9 && recall <= 1.0, "{recall}");
    assert_eq!(report["approximate"]["sampled"], 200);
    assert!((value(&report, "map_at_r") - value(&exact, "map_at_r")).abs() < 0.02);
    let table = succeeds(&mut files.command(&["--approximate"]));
    assert!(
        table.contains("of the true neighbours were found"),
        "{table}"
    );
}

/// Photographs of three classes that differ in brightness, with train and test folders.
fn photographs(root: &Path) {
    for (part, images) in [("train", 12), ("test", 6)] {
        for (class, level) in [("dark", 40), ("grey", 120), ("light", 200)] {
            for n in 0..images {
                let path = root.join(part).join(class).join(format!("{n}.png"));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                let seed = n * 31 + images;
                RgbImage::from_fn(32, 32, |x, y| {
                    let noise = (x * 7 + y * 13 + seed * 29).wrapping_mul(2_654_435_761) >> 27;
                    image::Rgb([level + noise as u8; 3])
                })
                .save(path)
                .unwrap();
            }
        }
    }
}

#[test]
fn embeddings_of_a_run_give_the_report_of_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let (data, run) = (folder.path().join("data"), folder.path().join("run"));
    photographs(&data);
    let mut arguments = vec![
        "--quiet",
        "train",
        "--config",
        "tests/run-files/triplet.toml",
    ];
    arguments.extend([
        "--out",
        run.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
    ]);
    arguments.extend(SHORT);
    arguments.extend([
        "--set",
        "data.set={name=\"image-folder\"}",
        "--set",
        "sampler.classes_per_batch=3",
        "--set",
        "sampler.images_per_class=8",
    ]);
    succeeds(&mut lodestone(folder.path(), &arguments));
    let report: Value =
        serde_json::from_slice(&fs::read(run.join("report.json")).unwrap()).unwrap();

    // The very embeddings, kept: the same report to the last digit and word.
    let kept = folder.path().join("kept");
    let outcomes = folder.path().join("outcomes.csv");
    let keep = [
        "--quiet",
        "evaluate",
        run.to_str().unwrap(),
        "--json",
        "--data",
        data.to_str().unwrap(),
        "--save-embeddings",
        kept.to_str().unwrap(),
        "--per-query",
        outcomes.to_str().unwrap(),
    ];
    let judged = succeeds(&mut lodestone(folder.path(), &keep));
    let alone = ["evaluate", "--json", "--embeddings", kept.to_str().unwrap()];
    assert_eq!(succeeds(&mut lodestone(folder.path(), &alone)), judged);
    // And the same of each photograph.
    let of_run = fs::read_to_string(run.join("outcomes.csv")).unwrap();
    assert_eq!(fs::read_to_string(&outcomes).unwrap(), of_run);
    let photographs = report["setting"]["queries"].as_u64().unwrap();
    assert_eq!(of_run.lines().count() as u64, 1 + photographs);

    // What `embed` writes, which has no head and no clusters.
    let embed = |part: &str| {
        let out = folder.path().join(format!("{part}.npy"));
        let images = data.join(part);
        let arguments = [
            "--quiet",
            "embed",
            run.to_str().unwrap(),
            images.to_str().unwrap(),
            "-o",
            out.to_str().unwrap(),
        ];
        succeeds(&mut lodestone(folder.path(), &arguments));
        out
    };
    let (test, train) = (embed("test"), embed("train"));
    let evaluate = [
        "evaluate",
        "--json",
        "--embeddings",
        test.to_str().unwrap(),
        "--gallery",
        train.to_str().unwrap(),
    ];
    let alone: Value =
        serde_json::from_str(&succeeds(&mut lodestone(folder.path(), &evaluate))).unwrap();
    assert_eq!(alone["setting"], report["setting"]);
    let (measures, alone_measures) = (&report["measures"], &alone["measures"]);
    let keys = |measures: &Value| {
        measures
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    // A run is judged in cosine as well.
    let (cosine, plain): (Vec<_>, Vec<_>) = keys(measures)
        .into_iter()
        .partition(|key| key.ends_with(".cosine"));
    assert_eq!(
        cosine,
        [
            "map_at_r.cosine",
            "nearest_class_mean_error_at_1.cosine",
            "recall_at_1.cosine"
        ]
    );
    assert_eq!(plain, keys(alone_measures));
    for key in plain {
        assert_eq!(
            measures[&key]["count"], alone_measures[&key]["count"],
            "{key}"
        );
        let (one, other) = (
            measures[&key]["value"].as_f64(),
            alone_measures[&key]["value"].as_f64(),
        );
        // Batches of another size round differently; the ranking does not change.
        let difference = (one.unwrap() - other.unwrap()).abs();
        assert!(difference < 1e-9, "{key}: {one:?} {other:?}");
    }
    let rank = |report: &Value| report["diagnostics"]["effective_rank"].as_f64().unwrap();
    assert!((rank(&report) - rank(&alone)).abs() < 1e-3 * rank(&report));
}
