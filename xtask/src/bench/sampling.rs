//! The cluster index beside faiss and scikit-learn on the same arrays, its growth up to ImageNet's size, and the time of a draw.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Comparison, Options, example, peer};
use crate::process::{run, target};

/// Classes, rows of each, dimensions and K of the jobs that the peers do as well: Pets with K = 8, and a sixteenth of ImageNet.
const SHARED: [[&str; 4]; 2] = [["120", "100", "1024", "8"], ["1000", "80", "1024", "3"]];
/// ImageNet's 1.28 million rows in 1000 classes, with K = 3, and smaller ones.
const GROWTH: [&str; 3] = ["80", "320", "1280"];

/// Runs the parts named on the command line, of `index`, `scale` and `draw`, or all.
pub(crate) fn sampling(options: &Options) -> Result<()> {
    let program = example("bench_sampling")?;
    let parts: Vec<&str> = match options.rest.len() {
        0 => vec!["index", "scale", "draw"],
        _ => options.rest.iter().map(String::as_str).collect(),
    };
    for part in parts {
        match part {
            "index" => index(&program, options)?,
            "scale" => scale(&program, options)?,
            "draw" => alone(&program, options, &[&["draw"]])?,
            other => bail!("bench sampling has the parts index, scale and draw, not {other}"),
        }
    }
    Ok(())
}

/// The same arrays to us, to faiss and to scikit-learn.
fn index(program: &Path, options: &Options) -> Result<()> {
    let folder = target().join("bench-sampling");
    let files: Vec<String> = SHARED
        .iter()
        .map(|[classes, per_class, dim, _]| {
            let file = folder.join(format!("{classes}x{per_class}x{dim}.npy"));
            let file = file.to_str().context("the build folder is not Unicode")?;
            run(Command::new(program).args(["make", file, classes, per_class, dim]))?;
            Ok(file.to_owned())
        })
        .collect::<Result<_>>()?;
    for name in ["faiss", "scikit-learn"] {
        let mut comparison = Comparison::default();
        for ([classes, _, _, k], file) in SHARED.iter().zip(&files) {
            let ours = || {
                let mut command = Command::new(program);
                command.args(["index", file, classes, k]);
                command
            };
            let theirs = options.peer.as_deref().map(|python| {
                move || {
                    let mut command = peer(python, "peer_kmeans.py");
                    command.args([name, file, classes, k]);
                    command
                }
            });
            comparison.alternate(
                options.rounds,
                &ours,
                theirs.as_ref().map(|theirs| theirs as &dyn Fn() -> Command),
            )?;
        }
        outln!("{}", comparison.to_markdown(name))?;
        if options.peer.is_none() {
            break;
        }
    }
    std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// One process a size, so that its peak is its own. Made-up rows stand in memory once; where they do not fit, they are left out.
fn scale(program: &Path, options: &Options) -> Result<()> {
    let mut jobs: Vec<Vec<&str>> = Vec::new();
    for per_class in GROWTH {
        let gigabytes = 1000.0 * per_class.parse::<f64>()? * 1024.0 * 4.0 / 1e9 * 1.2;
        match available_gigabytes() {
            Some(free) if free < gigabytes + 1.0 => outln!(
                "1000 x {per_class} rows are left out: they take {gigabytes:.1} GB, {free:.1} are free\n"
            )?,
            _ => jobs.push(vec!["scale", "1000", per_class, "1024", "3"]),
        }
    }
    let jobs: Vec<&[&str]> = jobs.iter().map(Vec::as_slice).collect();
    alone(program, options, &jobs)
}

/// Jobs that only we do.
fn alone(program: &Path, options: &Options, jobs: &[&[&str]]) -> Result<()> {
    let mut comparison = Comparison::default();
    for job in jobs {
        let ours = || {
            let mut command = Command::new(program);
            command.args(*job);
            command
        };
        comparison.alternate(options.rounds, &ours, None)?;
    }
    outln!("{}", comparison.to_markdown("no peer"))
}

fn available_gigabytes() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0 / 1e9)
}
