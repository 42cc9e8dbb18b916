//! `cargo xtask reproduce`: the comparison of losses as a ledger, trained anew, gone on with, or shown.
//!
//! A cell is one training under one name (data set, question, loss, stage, setting, seed). Its key follows everything that decides its
//! numbers; a cell whose key stands in the ledger is not run again. Settings are searched alike for every loss on held-out images;
//! the ledgers, `datasets/NAME/results.json` and `outcomes.json`, are committed, and `docs/results.md` is made from them.
//!
//! | module | what |
//! |---|---|
//! | `options`, `set`, `loss` | what can be asked for: data sets with their questions, losses with their levers |
//! | `draw`, `plan`, `cell` | the points of the search, the order of what is run, the key of each run |
//! | `ledger`, `outcomes` | rows, and what became of each test image |
//! | `campaign`, `alone`, `work`, `company` | running what is left within a time |
//! | `again` | the winners trained anew, beside the ledger |
//! | `statistics`, `verdicts`, `factors`, `page`, `files` | paired intervals, words, the grid of causes, tables, run files |

mod again;
mod alone;
mod campaign;
mod cell;
mod company;
mod draw;
mod factors;
mod files;
mod ledger;
mod loss;
mod options;
mod outcomes;
mod page;
mod plan;
mod set;
mod statistics;
mod verdicts;
mod work;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::process::{cargo, run, target};
use options::{Mode, Options};

pub(crate) use files::check;

/// The command; see `USAGE`.
pub(crate) fn reproduce(arguments: &[&str]) -> Result<()> {
    let options = Options::read(arguments)?;
    match options.mode {
        Mode::Table => {
            for &set in &options.sets {
                outln!("{}", page::of(set)?)?;
            }
            files::write()
        }
        Mode::Forecast => {
            for &set in &options.sets {
                let ledger = ledger::Ledger::of(set)?;
                outln!("{}", campaign::forecast(set, &options, &ledger)?)?;
            }
            Ok(())
        }
        Mode::Campaign => {
            let program = program(&options)?;
            let deadline = deadline(&options);
            for &set in &options.sets {
                if !campaign::run(set, &options, &program, deadline)? {
                    break;
                }
            }
            files::write()
        }
        Mode::Again => {
            let program = program(&options)?;
            let deadline = deadline(&options);
            for &set in &options.sets {
                again::run(set, &options, &program, deadline)?;
            }
            Ok(())
        }
    }
}

fn deadline(options: &Options) -> Option<Instant> {
    let budget = options.budget?;
    Some(Instant::now() + Duration::from_secs_f64(budget))
}

/// The binary that was named, or that of this tree, built now.
fn program(options: &Options) -> Result<PathBuf> {
    if let Some(program) = &options.program {
        return Ok(program.canonicalize()?);
    }
    let start = Instant::now();
    outln!("building the release binary")?;
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
    outln!("built in {:.0} s\n", start.elapsed().as_secs_f64())?;
    Ok(target().join("release/lodestone"))
}
