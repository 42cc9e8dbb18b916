//! `lodestone explain`: what the keys of a run file mean, from the documentation of the program itself.

use std::path::Path;

use anyhow::Result;
use lodestone_models::NetworkConfig;
use lodestone_train::{Explanation, Meaning, RunConfig, explain, explain_in, keys, run_file};

use crate::args::ExplainArguments;
use crate::device::DeviceName;

/// The key whose values are those of the network.
const STAGES: &str = "model.freeze_until";

/// Runs the command.
pub(crate) fn run(arguments: &ExplainArguments) -> Result<()> {
    match (&arguments.key, &arguments.config) {
        (Some(key), Some(file)) => {
            let config: RunConfig = run_file::read(file, &[])?;
            let explanation = explain_in(&toml::Value::try_from(&config)?, key)?;
            out!("{}", page(&explanation))?;
            outln!("{}", set_there(&config, key, file))?;
            if key == STAGES {
                outln!("{}", stages_of(&config.model.network)?)?;
            }
        }
        (Some(key), None) => {
            out!("{}", page(&explain(key)?))?;
            if key == STAGES {
                outln!("  one of, by network:")?;
                for network in NetworkConfig::all() {
                    outln!("{}", stages_of(&network)?)?;
                }
            }
        }
        (None, _) => {
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

/// What a run file has for a key, or for the keys below it.
fn set_there(config: &RunConfig, key: &str, file: &Path) -> String {
    let below = format!("{key}.");
    let of_key: Vec<String> = run_file::by_key(config)
        .into_iter()
        .filter(|(name, _)| name == key || name.starts_with(&below))
        .map(|(name, value)| format!("  {name} = {value}"))
        .collect();
    match of_key.as_slice() {
        [] => format!("in {} it is not set", file.display()),
        lines => format!("in {}:\n{}", file.display(), lines.join("\n")),
    }
}

/// The stages that a network can be frozen up to, the lowest first.
fn stages_of(network: &NetworkConfig) -> Result<String> {
    // No parameter is drawn for it: the names are enough.
    let device = "cpu".parse::<DeviceName>().map_err(anyhow::Error::msg)?;
    let trunk = network.init(0, &device.open()?);
    Ok(format!(
        "    {}: {}",
        network.name(),
        trunk.stage_names().join(", ")
    ))
}

/// All that a key means: each text once, and behind those that share them the values and the keys below.
fn page(explanation: &Explanation) -> String {
    let meanings = merged(&explanation.meanings);
    let mut page = String::new();
    for (place, meaning) in meanings.iter().enumerate() {
        if place > 0 {
            page.push('\n');
        }
        page += &head(&explanation.key, meaning);
        let next = meanings.get(place + 1);
        if next.is_none_or(|next| lists(next) != lists(meaning)) {
            page += &lists(meaning);
        }
    }
    page
}

/// Meanings that differ in nothing but whose they are, together.
fn merged(meanings: &[Meaning]) -> Vec<Meaning> {
    let mut merged: Vec<Meaning> = Vec::new();
    for meaning in meanings {
        let of = meaning.of.clone();
        let same = merged.iter_mut().find(|known| {
            let as_theirs = Meaning {
                of: known.of.clone(),
                ..meaning.clone()
            };
            **known == as_theirs
        });
        match same {
            Some(known) => known.of.extend(of),
            None => merged.push(meaning.clone()),
        }
    }
    merged
}

/// The key, whose it is, the text and the default.
fn head(key: &str, meaning: &Meaning) -> String {
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
    text
}

/// The values it may have and the keys below.
fn lists(meaning: &Meaning) -> String {
    let mut text = String::new();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_losses_share_is_listed_once() {
        let page = page(&explain("loss.mining").unwrap());
        assert_eq!(page.matches("  one of:\n").count(), 1, "{page}");
        assert!(
            page.contains("loss.mining (contrastive, kl_pairwise"),
            "{page}"
        );
        assert!(page.contains("loss.mining (triplet)"), "{page}");
        // Those that mean something else each keep their own text.
        let margin = super::page(&explain("loss.margin").unwrap());
        assert!(margin.matches("loss.margin (").count() > 2, "{margin}");
    }

    #[test]
    fn every_network_names_its_stages() {
        for network in NetworkConfig::all() {
            let stages = stages_of(&network).unwrap();
            let (_, names) = stages.split_once(": ").unwrap();
            assert!(names.split(", ").count() >= 3, "{stages}");
        }
    }
}
