//! `lodestone explain`: what the keys of a run file mean, from the documentation of the program itself.

use anyhow::Result;
use lodestone_train::{Meaning, explain, keys};

use crate::args::ExplainArguments;

/// Runs the command.
pub(crate) fn run(arguments: &ExplainArguments) -> Result<()> {
    match &arguments.key {
        Some(key) => {
            let explanation = explain(key)?;
            for meaning in &explanation.meanings {
                outln!("{}", shown(&explanation.key, meaning))?;
            }
        }
        None => {
            let keys = keys();
            let width = keys.iter().map(String::len).max().unwrap_or(0);
            for key in &keys {
                let text = explain(key)?.meanings.into_iter().next();
                let text = text.map(|meaning| meaning.text).unwrap_or_default();
                let first = text.split(". ").next().unwrap_or_default();
                outln!("{key:width$}  {}", first.lines().next().unwrap_or_default())?;
            }
        }
    }
    Ok(())
}

/// A meaning as a page: the key, whose it is, the text, default, values, keys below.
fn shown(key: &str, meaning: &Meaning) -> String {
    let mut text = match meaning.of.as_slice() {
        [] => format!("{key}\n"),
        of => format!("{key} ({})\n", of.join(", ")),
    };
    for line in meaning.text.lines() {
        text += &format!("  {line}\n");
    }
    if let Some(default) = &meaning.default {
        text += &format!("  default: {default}\n");
    }
    if !meaning.values.is_empty() {
        text += "  one of:\n";
        let width = meaning.values.iter().map(|(name, _)| name.len()).max();
        let width = width.unwrap_or(0);
        for (name, meaning) in &meaning.values {
            let meaning = meaning.lines().next().unwrap_or_default();
            text += format!("    {name:width$}  {meaning}").trim_end();
            text.push('\n');
        }
    }
    if !meaning.keys.is_empty() {
        text += &format!("  keys: {}\n", meaning.keys.join(", "));
    }
    text
}
