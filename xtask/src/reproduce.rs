//! `cargo xtask reproduce`: the paper's experiments as a ledger of claims.
//!
//! A cell is one training under one name (data set, experiment, loss, setting, seed). Its key follows everything that decides
//! its numbers; a cell whose key stands in the ledger is not run again. Settings are chosen on validation images, with as many
//! trials for each loss; the ledger, `datasets/NAME/results.json`, is committed, and the README's tables are made from it.
//!
//! | module | what |
//! |---|---|
//! | `options`, `set`, `suite`, `loss` | what can be asked for: data sets with their protocols, losses with their rules |
//! | `halton`, `space`, `levers` | the points and the levers of tuning |
//! | `experiment`, `runs`, `fit`, `ablation`, `cell` | the cells of an experiment, and their keys |
//! | `inputs` | fingerprints of data and weights |
//! | `ledger`, `readings` | rows, and what a finished run says |
//! | `campaign`, `alone`, `forecast`, `rerun`, `work` | running what is left within a time |
//! | `concentration`, `kept`, `map` | what is asked of trained embeddings |
//! | `stats`, `table`, `details`, `convergence`, `paper`, `claims`, `verdict`, `overview`, `readme` | tables, and the paper's rows beside ours |
//! | `drawing`, `figures`, `strips`, `page` | one offline page with every figure |

mod ablation;
mod alone;
mod campaign;
mod cell;
mod claims;
mod concentration;
mod convergence;
mod details;
mod drawing;
mod experiment;
mod figures;
mod fit;
mod forecast;
mod halton;
mod inputs;
mod kept;
mod ledger;
mod levers;
mod loss;
mod map;
mod options;
mod overview;
mod page;
mod paper;
mod readings;
pub(crate) mod readme;
mod rerun;
mod runs;
mod set;
mod space;
mod stats;
mod strips;
mod suite;
mod table;
mod verdict;
mod work;

use std::time::Instant;

use anyhow::Result;

use crate::process::{cargo, run, target};
use options::Options;

/// The command; see `USAGE`.
pub(crate) fn reproduce(arguments: &[&str]) -> Result<()> {
    let options = Options::read(arguments)?;
    if options.table {
        return readme::regenerate();
    }
    // Standard output belongs to the commands that are asked for.
    eprintln!("building the release binary");
    let start = Instant::now();
    let mut build = cargo(&[
        "build",
        "--release",
        "--quiet",
        "--package",
        "lodestone-cli",
    ]);
    if let Some(feature) = options.feature() {
        build.args(["--features", feature]);
    }
    run(&mut build)?;
    eprintln!("built in {:.0} s\n", start.elapsed().as_secs_f64());
    let program = target().join("release/lodestone");
    // One budget for all sets.
    let start = Instant::now();
    for suite in options.suites() {
        if options.commands {
            print!("{}", campaign::commands(suite, &options, &program)?);
            continue;
        }
        let budget = options
            .budget
            .map(|budget| (budget - start.elapsed().as_secs_f64()).max(0.0));
        campaign::run(suite, &options, &program, budget)?;
    }
    match options.commands {
        true => Ok(()),
        false => readme::regenerate(),
    }
}
