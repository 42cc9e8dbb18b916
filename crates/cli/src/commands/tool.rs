//! `lodestone completions` and `man`: what shells and `man` need to know, made from the arguments themselves.

use anyhow::Result;
use clap::{Command, CommandFactory};
use clap_complete::generate;
use clap_mangen::Man;
use lodestone_files::write_whole;

use crate::args::{Arguments, CompletionsArguments, ManArguments};

/// Prints the completions of a shell.
pub(crate) fn completions(arguments: &CompletionsArguments) -> Result<()> {
    let mut command = Arguments::command();
    let mut script = Vec::new();
    generate(arguments.shell, &mut command, "lodestone", &mut script);
    out!("{}", String::from_utf8_lossy(&script))?;
    Ok(())
}

/// Writes the pages.
pub(crate) fn man(arguments: &ManArguments) -> Result<()> {
    let mut command = Arguments::command();
    command.build();
    let mut pages = Vec::new();
    collect(&command, "lodestone", &mut pages)?;
    for (name, page) in &pages {
        let path = arguments.out.join(format!("{name}.1"));
        write_whole(&path, |file| file.write_all(page))?;
    }
    outln!("{} pages in {}", pages.len(), arguments.out.display())?;
    Ok(())
}

/// A page for a command and one for each below it.
fn collect(command: &Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let mut page = Vec::new();
    Man::new(command.clone())
        .title(name.to_owned())
        .render(&mut page)?;
    pages.push((name.to_owned(), page));
    let below = command.get_subcommands();
    for command in below.filter(|command| command.get_name() != "help") {
        collect(command, &format!("{name}-{}", command.get_name()), pages)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// Long help that no test can check for sense, but for the examples that each command has.
    #[test]
    fn every_command_has_examples() {
        fn check(command: &Command, name: &str) {
            let mut below = command
                .get_subcommands()
                .filter(|command| command.get_name() != "help")
                .peekable();
            if below.peek().is_none() {
                let help = command.get_after_help().map(ToString::to_string);
                let help = help.unwrap_or_default();
                assert!(help.contains("Example"), "{name} has no examples");
            }
            below.for_each(|command| check(command, &format!("{name} {}", command.get_name())));
        }
        check(&Arguments::command(), "lodestone");
    }

    #[test]
    fn train_alone_asks_for_a_folder_first() {
        let answer = Arguments::try_parse_from(["lodestone", "train"]).unwrap_err();
        let text = answer.to_string();
        assert!(
            text.contains("<FOLDER|--config <FILE>|--resume <RUN>>"),
            "{text}"
        );
        for arguments in [
            &["photographs"][..],
            &["--config", "run.toml"],
            &["--resume", "runs/first"],
        ] {
            let all = ["lodestone", "train"].iter().chain(arguments);
            assert!(Arguments::try_parse_from(all).is_ok(), "{arguments:?}");
        }
    }

    #[test]
    fn arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }
}
