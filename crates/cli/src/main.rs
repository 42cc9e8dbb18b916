//! `lodestone`: deep metric learning from the command line. Arguments in, library calls, results out.

#[macro_use]
mod output;

mod alone;
mod args;
mod commands;
mod device;
mod overwrite;
mod progress;
mod resources;
mod run_folder;
mod shell;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use clap::Parser;
use lodestone_files::told;

use crate::args::{Arguments, Command};
use crate::commands::cache;
use crate::commands::train::Interrupted;
use crate::output::OutputError;
use crate::progress::{Progress, Verbosity};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(answer) => return ended(answered(&answer)),
    };
    let verbosity = match (arguments.quiet, arguments.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    let mut progress = Progress::new(verbosity, Arc::new(AtomicBool::new(false)));
    if !arguments.command.outlives_its_reader() {
        sigpipe::reset();
    }
    // Told before hours of work.
    let limit = match arguments
        .command
        .uses_cache()
        .then(cache::limit)
        .transpose()
    {
        Ok(limit) => limit,
        Err(error) => return ended(Err(error)),
    };
    let result = match arguments.command {
        Command::Init(arguments) => commands::init::run(&arguments),
        Command::Train(arguments) => commands::train::run(&arguments, &mut progress),
        Command::Pretrain(arguments) => commands::pretrain::run(&arguments, &mut progress),
        Command::Runs(arguments) => commands::runs::run(&arguments),
        Command::Explain(arguments) => commands::explain::run(&arguments),
        Command::Evaluate(arguments) => commands::evaluate::run(&arguments, &mut progress),
        Command::Embed(arguments) => commands::embed::run(&arguments, &mut progress),
        Command::Merge(arguments) => commands::merge::run(&arguments, &progress),
        Command::Index(command) => commands::index::run(&command, &mut progress),
        Command::Search(arguments) => commands::search::run(&arguments, &progress),
        Command::Report(arguments) => commands::report::run(&arguments, &mut progress),
        Command::Serve(arguments) => commands::serve::run(&arguments, &mut progress),
        Command::ServeDevice(arguments) => commands::serve_device::run(&arguments),
        Command::Clusters(arguments) => commands::clusters::run(&arguments, &mut progress),
        Command::Data(command) => commands::data::run(&command, &mut progress),
        Command::Models(arguments) => commands::models::run(&arguments),
        Command::Weights(command) => commands::weights::run(&command),
        Command::Devices(arguments) => commands::devices::run(&arguments),
        Command::Cache(arguments) => cache::run(&arguments),
        Command::Completions(arguments) => commands::tool::completions(&arguments),
        Command::Man(arguments) => commands::tool::man(&arguments),
    };
    if let Some(limit) = limit {
        cache::keep_within(limit, &progress);
    }
    ended(result.map(|()| ExitCode::SUCCESS))
}

/// Prints the help or the version that was asked for, or what is wrong with the arguments.
fn answered(answer: &clap::Error) -> Result<ExitCode> {
    let printed = answer.print();
    if !answer.use_stderr() {
        printed.map_err(OutputError::new)?;
    }
    Ok(ExitCode::from(u8::try_from(answer.exit_code())?))
}

/// The status that the program ends with, and the error in one line.
fn ended(result: Result<ExitCode>) -> ExitCode {
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    if error.is::<Interrupted>() {
        errln!("{error}");
        // As a shell reports a program that SIGINT ended.
        return ExitCode::from(130);
    }
    let unread = error.downcast_ref::<OutputError>();
    if !unread.is_some_and(OutputError::reader_is_gone) {
        errln!("error: {}", told(error.as_ref()));
    }
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::told;

    #[test]
    fn every_cause_is_told_once() {
        let missing = lodestone_data::detect("no/such".as_ref()).unwrap_err();
        let cause = std::fs::metadata("no/such").unwrap_err().to_string();
        let error = anyhow::Error::from(missing).context("nothing to train on");
        // By our own words and by anyhow's.
        for text in [told(error.as_ref()), format!("{error:#}")] {
            assert!(
                text.starts_with("nothing to train on: ") && text.contains("no/such"),
                "{text}"
            );
            assert_eq!(text.matches(&cause).count(), 1, "{text}");
        }
        let plain: anyhow::Result<()> = Err(anyhow::anyhow!("b"));
        assert_eq!(told(plain.context("a").unwrap_err().as_ref()), "a: b");
    }
}
