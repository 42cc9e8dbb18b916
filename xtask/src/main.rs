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
#[allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool prints"
)]
mod reproduce;
#[cfg(test)]
mod tidy;

const USAGE: &str = "\
cargo xtask reproduce [NAME..]   the paper's experiments: tune every loss alike, run what is left, table and page
    NAME is a data set (fashion-mini if none; fashion-mnist, flowers-102, oxford-iiit-pet, stanford-dogs,
    imagenet-attributes, imagenet) or an experiment (tuning, e1, e1-all-layers, e1-longer, e3 .. e9)
    --data FOLDER --weights FILE   where the photographs and the trunk's weights lie
    --attributes FILE.csv          attribute labels of the test images, for e4
    --trunk googlenet|inception-v3 --losses NAME,.. --trials N --seeds N
    --device cuda|wgpu|..          computes there instead of on the processor; as the binary takes it
    --budget 30m                   does what fits and goes on the next time (fashion-mini: 7.5m if not given)
    --forecast                     says how long and how much memory, and runs nothing
    --commands                     prints the command of each training that is left, for a shell in the workspace, and runs
                                   nothing: the folders may be made on other machines, with their paths, and brought here
    --rerun                        runs finished cells again
    --table                        makes the README's tables from the ledgers, and runs nothing
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
