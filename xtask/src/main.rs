//! `cargo xtask`: everything a developer runs that is not the program itself.
//!
//! It builds and runs the binary as a user would and depends on none of the workspace's crates.

use std::process::ExitCode;

#[macro_use]
mod output;

mod bench;
mod check;
mod dataset;
mod device;
mod files;
mod machine;
mod median;
mod process;
mod reproduce;
#[cfg(test)]
mod tidy;

const USAGE: &str = "\
cargo xtask reproduce [NAME..]   trains the winner of every loss anew and prints each number beside the ledger's (minutes)
    NAME is a data set (fashion-mini if none; oxford-iiit-pet, flowers-102, stanford-dogs) or a question (closed, unseen, cause,
    hierarchy, all-layers)
    --table                        prints the ledger's tables and makes docs/results.md, the README's table and run files of them
    --campaign                     searches settings for every loss and tests the winners: what the ledger does not have yet
    --forecast                     says how long that takes, and runs nothing
    --data FOLDER --weights FILE   where the photographs and the trunk's weights lie
    --losses NAME,..               these alone
    --budget 30m                   does what fits and goes on the next time
    --device cuda|wgpu|..          computes there instead of on the processor; as the binary takes it
    --program FILE                 this binary instead of one that is built now: what is built beside a campaign changes no result
cargo xtask check                                     format, tables, lints, unit, doc and end-to-end tests, documentation
cargo xtask check --device NAME,..                    the tests of other devices: wgpu, vulkan, cuda, remote
cargo xtask bench NAME [--peer PYTHON] [--rounds N]   time a part beside the tool that people use today
cargo xtask dataset fashion-mini [FOLDER]             make the embedded data set from the full files
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["check"] => check::run(),
        ["check", "--device", name] => device::check(name),
        ["reproduce", rest @ ..] => reproduce::reproduce(rest),
        ["bench", rest @ ..] => bench::bench(rest),
        ["dataset", "fashion-mini", rest @ ..] => dataset::fashion_mini(rest),
        [] | ["help" | "--help" | "-h"] => outln!("{}", USAGE.trim_end()),
        other => Err(anyhow::anyhow!(
            "no task named {:?}\n{USAGE}",
            other.join(" ")
        )),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !output::reader_is_gone(&error) {
                errln!("error: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
