//! `lodestone data`: which sets there are, getting them, and finding what is wrong with them.

mod fetch;
mod verify;

use anyhow::{Context, Result};
use lodestone_data::{Dataset, Official, catalogue};

use crate::args::DataCommand;
use crate::progress::Progress;

/// Runs the command.
pub(crate) fn run(command: &DataCommand, progress: &mut Progress) -> Result<()> {
    match command {
        DataCommand::List { json } => list(*json),
        DataCommand::Fetch(arguments) => fetch::run(arguments, progress),
        DataCommand::Verify(arguments) => verify::run(arguments, progress),
    }
}

/// The set that the user means.
fn set(name: &str) -> Result<Dataset> {
    Dataset::from_name(name).with_context(|| {
        let names: Vec<&str> = catalogue().iter().map(|set| set.name).collect();
        format!(
            "no data set named {name:?}, only pets, dogs, flowers, cub, cars, sop, {}",
            names.join(", ")
        )
    })
}

fn list(json: bool) -> Result<()> {
    let sets = catalogue();
    if json {
        outln!("{}", serde_json::to_string_pretty(&sets)?)?;
        return Ok(());
    }
    for set in &sets {
        outln!("{}", set.name)?;
        outln!("  needs    {}", set.layout)?;
        if set.classes > 0 {
            outln!("  holds    {}", size(set))?;
        }
        for archive in set.archives {
            let url = archive.url();
            let place = url.as_deref().unwrap_or("by hand");
            outln!("  archive  {}  md5 {}  {place}", archive.name, archive.md5)?;
        }
        if !set.archives.is_empty() && !set.sums_published {
            outln!("           sums not published; several public loaders agree on them")?;
        }
        if let Some(by_hand) = set.by_hand {
            outln!("  by hand  {by_hand}")?;
        }
        outln!("  terms    {}", set.licence)?;
    }
    Ok(())
}

fn size(set: &Official) -> String {
    let rows = set.rows.iter().map(|(split, rows)| {
        let split_classes = set.split_classes.iter();
        let classes = split_classes
            .filter(|(other, _)| other == split)
            .map(|(_, classes)| format!(" of {classes} classes"));
        format!("{rows} {}{}", split.name(), classes.collect::<String>())
    });
    let rows: Vec<String> = rows.collect();
    let roles = set
        .roles
        .map(|[queries, gallery]| format!(" ({queries} that ask, {gallery} that are looked for)"));
    let (classes, roles) = (set.classes, roles.unwrap_or_default());
    format!("{classes} classes; {}{roles}", rows.join(", "))
}
