//! The rules of the house that no compiler holds, as tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::process::root;

/// Which of our crates each crate may use. A crate that is not listed here may not exist.
const MAY_USE: [(&str, &[&str]); 14] = [
    ("files", &[]),
    ("exchange", &["files"]),
    ("distances", &[]),
    ("kernels", &[]),
    ("data", &["exchange", "files"]),
    ("models", &["files", "kernels"]),
    ("losses", &[]),
    ("sampling", &["distances", "files"]),
    ("eval", &["distances", "files"]),
    ("gallery", &["eval", "files"]),
    ("report", &["eval", "files"]),
    (
        "train",
        &[
            "data",
            "distances",
            "eval",
            "files",
            "losses",
            "models",
            "sampling",
        ],
    ),
    (
        "cli",
        &[
            "data",
            "distances",
            "eval",
            "exchange",
            "files",
            "gallery",
            "kernels",
            "losses",
            "models",
            "report",
            "sampling",
            "train",
        ],
    ),
    ("xtask", &[]),
];

fn manifest(name: &str) -> (PathBuf, toml::Table) {
    let folder = if name == "xtask" {
        root().join("xtask")
    } else {
        root().join("crates").join(name)
    };
    let path = folder.join("Cargo.toml");
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (path, text.parse().unwrap())
}

#[test]
fn crates_depend_only_downwards() {
    for (name, allowed) in MAY_USE {
        let (path, manifest) = manifest(name);
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(table).and_then(toml::Value::as_table) else {
                continue;
            };
            for used in dependencies
                .keys()
                .filter_map(|key| key.strip_prefix("lodestone-"))
            {
                // A crate names itself to turn on its own features in its tests.
                assert!(
                    used == name || allowed.contains(&used),
                    "{}: {name} must not use {used}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn every_crate_stands_in_the_table() {
    let listed: BTreeSet<String> = MAY_USE.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut found = BTreeSet::from(["xtask".to_owned()]);
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        found.insert(entry.unwrap().file_name().to_string_lossy().into_owned());
    }
    assert_eq!(found, listed);
}

/// Only the binary and the tests choose a backend.
#[test]
fn no_library_turns_on_a_backend() {
    for (name, _) in MAY_USE
        .iter()
        .filter(|(name, _)| !["cli", "xtask"].contains(name))
    {
        let (path, manifest) = manifest(name);
        let burn = manifest["dependencies"]
            .as_table()
            .and_then(|table| table.get("burn")?.as_table());
        let features = burn.and_then(|burn| burn.get("features")?.as_array());
        let chosen = features.into_iter().flatten();
        let allowed = ["autodiff", "extension", "optim", "pytorch", "safetensors"];
        for feature in chosen.filter_map(toml::Value::as_str) {
            assert!(
                allowed.contains(&feature),
                "{}: burn has the feature {feature}",
                path.display()
            );
        }
        let defaults = manifest
            .get("features")
            .and_then(|table| table.get("default"));
        assert!(
            defaults.is_none(),
            "{}: default features {defaults:?}",
            path.display()
        );
    }
}

#[test]
fn every_source_file_opens_with_what_it_is_for() {
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("//!"),
            "{} does not open with //!",
            path.display()
        );
    }
}

/// A transfer makes the host wait for the device, so a step has one, in one place: no loss, miner or layer fetches anything,
/// and none asks for a shape that depends on values.
#[test]
fn nothing_in_a_step_waits_for_the_device() {
    let fetches = [
        ".into_data(",
        ".to_data(",
        "into_scalar",
        "try_into_data",
        "try_to_data",
        "into_data_async",
        "Transaction",
        ".nonzero(",
        ".argwhere(",
        ".mask_select(",
        ".sort(",
        ".argsort(",
        ".topk(",
    ];
    // What is fetched between steps: weights and maps for files, answers of an evaluation, and the one transfer of a step.
    let allowed = [
        "losses/src/labels.rs",
        "losses/src/output.rs",
        "models/src/weights",
        "models/src/head.rs",
        "train/src/input/frozen.rs",
        "train/src/input/source.rs",
        "train/src/learn/learner.rs",
    ];
    let parts = ["losses", "models", "kernels", "train"];
    let mut found = Vec::new();
    for (place, line) in library_code() {
        let in_a_step = parts
            .iter()
            .any(|part| place.starts_with(&format!("crates/{part}/src")));
        let known = allowed.iter().any(|part| place.contains(part));
        if let Some(fetch) = fetches.iter().find(|fetch| line.contains(**fetch))
            && in_a_step
            && !known
        {
            found.push(format!("{place}: {fetch}"));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_library_prints_sleeps_or_reads_the_clock() {
    let words = [
        "println!",
        "SystemTime::now",
        "Instant::now",
        "env::var(",
        "env::args",
    ];
    for (place, line) in library_code() {
        let found = words.iter().find(|word| line.contains(**word));
        assert!(found.is_none(), "{place}: {found:?} in a library");
    }
}

/// Who walks the causes of an error would read a cause twice that its own words repeat.
#[test]
fn an_error_leaves_its_cause_to_source() {
    let mut found = Vec::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let repeats = repeated_causes(&text).into_iter();
        found.extend(repeats.map(|words| format!("{}: {words}", path.display())));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Formats of errors that show a field which is the error's source as well.
fn repeated_causes(text: &str) -> Vec<&str> {
    let variants = text.split("#[error(").skip(1);
    let repeats = variants.filter_map(|variant| {
        let (format, rest) = variant.split_once(")]\n")?;
        // A variant ends where the next one, or what follows the type, begins.
        let fields = rest.split("#[error(").next()?.split("\n}").next()?;
        let marked = ["#[source]", "#[from]"]
            .iter()
            .any(|mark| fields.contains(mark));
        // A field called source is one without a mark too.
        let shown = format.contains("{source") || (marked && format.contains("{0"));
        shown.then_some(format)
    });
    repeats.collect()
}

#[test]
fn a_repeated_cause_is_found_with_and_without_a_name() {
    let good = "#[error(\"a {}\", path.display())]\nA { #[source] source: E },\n#[error(\"b {0}\")]\nB(E),\n}";
    assert!(repeated_causes(good).is_empty());
    let named = "#[error(\"a: {source}\")]\nA { source: E },\n}";
    assert_eq!(repeated_causes(named), ["\"a: {source}\""]);
    let unnamed = "#[error(\"b: {0}\")]\nB(#[from] E),\n}";
    assert_eq!(repeated_causes(unnamed), ["\"b: {0}\""]);
}

/// Lines of the libraries with their place, without tests and comments.
fn library_code() -> Vec<(String, String)> {
    let sources = sources();
    let mut not_library: BTreeSet<String> = ["examples", "fuzz", "tests"].map(str::to_owned).into();
    for path in &sources {
        not_library.extend(test_modules(&fs::read_to_string(path).unwrap()));
    }
    let mut lines = Vec::new();
    for path in sources {
        let relative = path.strip_prefix(root()).unwrap().to_path_buf();
        let library = relative.starts_with("crates")
            && !relative.starts_with("crates/cli")
            && !relative.components().any(|part| {
                let part = part.as_os_str().to_string_lossy();
                not_library.contains(part.trim_end_matches(".rs"))
            });
        if !library {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let numbered = code.lines().map(str::trim_start).zip(1..);
        let code = numbered.filter(|(line, _)| !line.starts_with("//"));
        lines.extend(
            code.map(|(line, number)| {
                (format!("{}:{number}", relative.display()), line.to_owned())
            }),
        );
    }
    lines
}

/// Names of the modules that a file declares for tests only.
fn test_modules(text: &str) -> Vec<String> {
    let after_mark = text.split("#[cfg(test)]").skip(1);
    let declared = after_mark.filter_map(|rest| {
        // Further attributes may stand between the mark and the module.
        let lines = rest.lines().map(str::trim);
        let line = lines
            .into_iter()
            .find(|line| !line.is_empty() && !line.starts_with("#["))?;
        line.strip_prefix("mod ")?
            .strip_suffix(';')
            .map(str::to_owned)
    });
    declared.collect()
}

#[test]
fn a_module_for_tests_is_found_behind_further_attributes() {
    let text = "mod a;\n#[cfg(test)]\n#[allow(x, reason = \"y\")]\nmod parity;\n#[cfg(test)]\nmod tests {\n";
    assert_eq!(test_modules(text), ["parity"]);
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["crates", "xtask", "tests"] {
        collect(&root().join(folder), &mut found);
    }
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
