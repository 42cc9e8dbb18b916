//! Files as the programs of others read them: numpy, pandas, safetensors, pytorch-metric-learning, usearch, Milvus.

use std::fs;
use std::path::Path;
use std::process::Command;

use image::RgbImage;
use serde_json::Value;

use crate::lodestone::{SHORT, lodestone, succeeds};

/// Reads every form and says whether they agree, and what pytorch-metric-learning makes of the embeddings.
const READER: &str = r#"
import json, sys
import numpy, pandas, torch
from safetensors.numpy import load_file
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
folder = sys.argv[1]
matrix = numpy.load(folder + "/e.npy")
table = pandas.read_csv(folder + "/e.csv")
bundle = numpy.load(folder + "/e.npz")
tensors = load_file(folder + "/e.safetensors")
parquet = pandas.read_parquet(folder + "/e.parquet")
wide = pandas.read_csv(folder + "/wide.csv")
projector = pandas.read_csv(folder + "/projector/tensors.tsv", sep="\t", header=None)
metadata = pandas.read_csv(folder + "/projector/metadata.tsv", sep="\t")
gallery = load_file(folder + "/x.index")
others = {
    "npz": bundle["embeddings"], "safetensors": tensors["embeddings"], "parquet": numpy.stack(parquet["embedding"]),
    "csv": wide.iloc[:, 3:].to_numpy("float32"), "projector": projector.to_numpy("float32"), "index": gallery["embeddings"],
}
labels = table["label"].to_numpy()
calculator = AccuracyCalculator(include=("precision_at_1", "mean_average_precision_at_r"), k="max_bin_count", device=torch.device("cpu"))
scores = calculator.get_accuracy(torch.tensor(matrix), torch.tensor(labels))
print(json.dumps({
    "shape": matrix.shape, "dtype": str(matrix.dtype),
    "equal": {name: bool(numpy.array_equal(matrix, other)) for name, other in others.items()},
    "labels": [bool(numpy.array_equal(labels, other)) for other in (bundle["labels"], tensors["labels"], parquet["label"], wide["label"])],
    "paths": bool((parquet["path"] == table["path"]).all() and (metadata["path"] == table["path"]).all()),
    "precision_at_1": scores["precision_at_1"], "map_at_r": scores["mean_average_precision_at_r"],
}))
"#;

/// A Python that has all of these: that of `LODESTONE_PYTHON`, or python3.
fn python(packages: &str) -> Option<String> {
    let python = std::env::var("LODESTONE_PYTHON").unwrap_or_else(|_| "python3".into());
    let check = Command::new(&python)
        .args(["-c", &format!("import {packages}")])
        .output();
    if check.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    eprintln!(
        "skipped: {python} lacks one of {packages}, which were to read our files; set LODESTONE_PYTHON"
    );
    None
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A run, and 30 photographs in three classes.
fn prepared(folder: &Path) {
    let mut arguments = vec![
        "--quiet",
        "train",
        "--config",
        "tests/run-files/triplet.toml",
    ];
    let run = folder.join("run");
    arguments.extend(["--out", text(&run)]);
    arguments.extend(SHORT);
    succeeds(&mut lodestone(folder, &arguments));
    for number in 0..30_u32 {
        let path = folder.join(format!("images/class {}/{number}.png", number % 3));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let level = |x: u32| ((x * (number % 3 + 1) * 9 + number * 11) % 256) as u8;
        RgbImage::from_fn(30, 30, |x, y| image::Rgb([level(x), level(x), level(y)]))
            .save(path)
            .unwrap();
    }
}

fn run_python(python: &str, script: &str, folder: &Path) -> Value {
    let mut command = Command::new(python);
    let printed = succeeds(command.args(["-c", script, text(folder)]));
    serde_json::from_str(printed.lines().last().unwrap_or_default()).unwrap()
}

#[test]
fn numpy_pandas_safetensors_and_pytorch_metric_learning_read_the_same() {
    let packages = "numpy, pandas, pyarrow, safetensors, torch, pytorch_metric_learning, faiss";
    let Some(python) = python(packages) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    prepared(folder.path());
    let at = |name: &str| folder.path().join(name);
    for name in ["e.npy", "e.npz", "e.safetensors", "e.parquet", "wide.csv"] {
        let (run, images, out, projector) = (at("run"), at("images"), at(name), at("projector"));
        let arguments = [
            "-q",
            "embed",
            text(&run),
            text(&images),
            "-o",
            text(&out),
            "--projector",
            text(&projector),
        ];
        succeeds(&mut lodestone(folder.path(), &arguments));
    }
    let (index, npy) = (at("x.index"), at("e.npy"));
    succeeds(&mut lodestone(
        folder.path(),
        &["index", "build", text(&index), text(&npy)],
    ));
    let seen = run_python(&python, READER, folder.path());
    assert_eq!(
        (&seen["shape"], &seen["dtype"]),
        (&serde_json::json!([30, 16]), &Value::from("float32"))
    );
    for (name, equal) in seen["equal"].as_object().unwrap() {
        assert_eq!(equal, true, "{name}: {seen}");
    }
    assert_eq!(
        seen["labels"],
        serde_json::json!([true, true, true, true]),
        "{seen}"
    );
    assert_eq!(seen["paths"], true, "{seen}");
    // Both count alike where they mean the same.
    let arguments = ["evaluate", "--embeddings", text(&npy), "--json"];
    let ours: Value =
        serde_json::from_str(&succeeds(&mut lodestone(folder.path(), &arguments))).unwrap();
    for name in ["precision_at_1", "map_at_r"] {
        let (ours, theirs) = (&ours["measures"][name]["value"], &seen[name]);
        let apart = ours.as_f64().unwrap() - theirs.as_f64().unwrap();
        assert!(apart.abs() < 1e-6, "{name}: {ours} {theirs}");
    }
}

/// Imports `e.parquet` with Milvus' own client: compares its columns with those of the file that the client's bulk writer makes of
/// the same rows, and searches them in the database that runs inside of Python.
const MILVUS: &str = r#"
import json, sys
import pyarrow.parquet
from pymilvus import CollectionSchema, DataType, FieldSchema, MilvusClient
from pymilvus.bulk_writer import BulkFileType, LocalBulkWriter
folder = sys.argv[1]
table = pyarrow.parquet.read_table(folder + "/e.parquet")
rows = table.to_pylist()
schema = CollectionSchema([
    FieldSchema("path", DataType.VARCHAR, is_primary=True, max_length=4096),
    FieldSchema("label", DataType.INT64),
    FieldSchema("class_name", DataType.VARCHAR, max_length=256),
    FieldSchema("embedding", DataType.FLOAT_VECTOR, dim=len(rows[0]["embedding"])),
])
with LocalBulkWriter(schema=schema, local_path=folder + "/bulk", file_type=BulkFileType.PARQUET) as writer:
    for row in rows:
        writer.append_row(row)
    writer.commit()
    [[theirs]] = writer.batch_files
theirs = pyarrow.parquet.read_table(theirs)
client = MilvusClient(folder + "/milvus.db")
index = client.prepare_index_params()
index.add_index("embedding", index_type="FLAT", metric_type="L2")
client.create_collection("photographs", schema=schema, index_params=index)
client.insert("photographs", rows)
found = client.search("photographs", [row["embedding"] for row in rows[:5]], limit=3, anns_field="embedding")
plain = lambda table: {name: str(table.schema.field(name).type) for name in table.column_names}
print(json.dumps({
    "same columns": plain(table) == plain(theirs), "ours": plain(table), "theirs": plain(theirs),
    "same rows": theirs.select(table.column_names).to_pylist() == rows,
    "found": [[hit["path"] for hit in hits] for hits in found], "paths": [row["path"] for row in rows[:5]],
    "distances": [hits[0]["distance"] for hits in found],
}))
"#;

#[test]
fn milvus_takes_the_parquet_file_in_bulk() {
    let Some(python) = python("pymilvus, milvus_lite, pandas, pyarrow") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    prepared(folder.path());
    let at = |name: &str| folder.path().join(name);
    let (run, images, out) = (at("run"), at("images"), at("e.parquet"));
    let arguments = ["-q", "embed", text(&run), text(&images), "-o", text(&out)];
    succeeds(&mut lodestone(folder.path(), &arguments));
    let seen = run_python(&python, MILVUS, folder.path());
    assert_eq!(seen["same columns"], true, "{seen}");
    assert_eq!(seen["same rows"], true, "{seen}");
    for (hits, path) in seen["found"]
        .as_array()
        .unwrap()
        .iter()
        .zip(seen["paths"].as_array().unwrap())
    {
        assert_eq!(&hits[0], path, "{seen}");
    }
}

/// Reads the graph with usearch's own package and looks up the first rows of the index by it.
#[cfg(feature = "approximate")]
const GRAPH_READER: &str = r#"
import glob, json, sys
import numpy
from safetensors.numpy import load_file
from usearch.index import Index
folder = sys.argv[1]
gallery = load_file(folder + "/x.index")
[graph] = glob.glob(folder + "/x.index.*.usearch")
index = Index.restore(graph)
found = index.search(gallery["embeddings"][:5], 3)
print(json.dumps({"size": len(index), "dim": index.ndim, "keys": found.keys[:, 0].tolist(), "ours": gallery["keys"][:5].tolist(),
    "distances": found.distances[:, 0].tolist()}))
"#;

/// The command that builds `x.index`, a graph, of what [`prepared`] made.
fn builds_graph(folder: &Path) -> Command {
    let at = |name: &str| folder.join(name);
    let (run, images, index) = (at("run"), at("images"), at("x.index"));
    lodestone(
        folder,
        &[
            "-q",
            "index",
            "build",
            text(&index),
            text(&images),
            "--model",
            text(&run),
            "--kind",
            "hnsw",
        ],
    )
}

#[cfg(feature = "approximate")]
#[test]
fn usearch_reads_the_graph_of_an_index() {
    let Some(python) = python("numpy, safetensors, usearch") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    prepared(folder.path());
    let at = |name: &str| folder.path().join(name);
    let index = at("x.index");
    succeeds(&mut builds_graph(folder.path()));
    succeeds(&mut lodestone(
        folder.path(),
        &["index", "remove", text(&index), "--class", "class 0"],
    ));
    let seen = run_python(&python, GRAPH_READER, folder.path());
    assert_eq!(
        (&seen["size"], &seen["dim"]),
        (&Value::from(20), &Value::from(16))
    );
    assert_eq!(seen["keys"], seen["ours"], "{seen}");
    assert!(
        seen["distances"]
            .as_array()
            .unwrap()
            .iter()
            .all(|d| d.as_f64().unwrap() < 1e-5),
        "{seen}"
    );
}

#[cfg(not(feature = "approximate"))]
#[test]
fn a_graph_that_is_not_built_in_says_how_to_build_it() {
    let folder = tempfile::tempdir().unwrap();
    prepared(folder.path());
    let error = crate::lodestone::fails(&mut builds_graph(folder.path()));
    assert!(error.contains("--features approximate"), "{error}");
    assert!(!folder.path().join("x.index").exists());
}
