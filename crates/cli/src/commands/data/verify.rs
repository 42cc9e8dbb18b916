//! `lodestone data verify`: everything is read and decoded, and what is wrong is said.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Result, bail};
use kdam::BarExt;
use lodestone_data::{
    Count, Dataset, DecodeLimits, FindingKind, Official, Regions, Report, SumCheck, detect,
    examine, official, verify_archives,
};
use serde::Serialize;

use super::set;
use crate::args::VerifyArguments;
use crate::commands::cache_folder;
use crate::progress::Progress;

/// Lines of each list in the table; JSON has them all.
const SHOWN: usize = 20;

/// What the JSON holds.
#[derive(Serialize)]
struct Verification<'a> {
    folder: &'a Path,
    faults: usize,
    sums: &'a BTreeMap<PathBuf, SumCheck>,
    #[serde(flatten)]
    report: &'a Report,
}

/// Runs the command; faults make it fail after the report.
pub(super) fn run(arguments: &VerifyArguments, progress: &mut Progress) -> Result<()> {
    let (found, root) = detect(&arguments.path)?;
    let set = with_boxes(arguments.set.as_deref().map_or(Ok(found), set)?);
    let official = official(&set);
    let folder = set.folder(&root);
    let listings = cache_folder(&root).join("listings");
    let table = set.open_listed(Some(&root), Some(&listings))?;
    let sums = verify_archives(&folder, &official)?;
    let bar = Mutex::new(progress.bar(table.rows.len(), official.name, " img"));
    let report = examine(&table, &official, DecodeLimits::default(), || {
        // If the terminal is gone there is nobody to tell.
        if let Ok(mut bar) = bar.lock()
            && let Some(bar) = &mut *bar
        {
            drop(bar.update(1));
        }
    });
    drop(bar);
    let faults = report.faults() + sums.values().filter(|sum| !sum.agrees()).count();
    if arguments.json {
        let all = Verification {
            folder: &folder,
            faults,
            sums: &sums,
            report: &report,
        };
        outln!("{}", serde_json::to_string_pretty(&all)?)?;
    } else {
        print(&folder, &official, &sums, &report)?;
    }
    match faults {
        0 => {
            if !arguments.json {
                outln!("nothing wrong in {}", folder.display())?;
            }
            Ok(())
        }
        1 => bail!("1 fault in {}", folder.display()),
        faults => bail!("{faults} faults in {}", folder.display()),
    }
}

/// The set with the rectangles of its annotations, which are to be checked too.
fn with_boxes(set: Dataset) -> Dataset {
    let regions = Regions::Annotated;
    match set {
        Dataset::OxfordIiitPet { .. } => Dataset::OxfordIiitPet { regions },
        Dataset::StanfordDogs { .. } => Dataset::StanfordDogs { regions },
        Dataset::Cub2002011 { protocol, .. } => Dataset::Cub2002011 { protocol, regions },
        Dataset::Cars196 { protocol, .. } => Dataset::Cars196 { protocol, regions },
        Dataset::InShop { .. } => Dataset::InShop { regions },
        other => other,
    }
}

fn print(
    folder: &Path,
    official: &Official,
    sums: &BTreeMap<PathBuf, SumCheck>,
    report: &Report,
) -> Result<()> {
    outln!("{} in {}", report.name, folder.display())?;
    outln!("{:<14}{:>10}{:>10}", "", "found", "official")?;
    count("classes", report.classes)?;
    for split in &report.splits {
        count(split.split.name(), split.rows)?;
        // Only a protocol that chooses the classes of its splits has something to say about them.
        if split.classes.official.is_some() {
            count("  classes", split.classes)?;
        }
    }
    if let Some(roles) = report.roles {
        count("  queries", roles.queries)?;
        count("  gallery", roles.gallery)?;
    }
    if let Some([fewest, most]) = report.class_balance {
        outln!("{fewest} to {most} training photographs a class")?;
    }
    let training_classes = official.split_classes.first().map(|(_, classes)| *classes);
    // Where the protocol keeps classes for the test they are no finding.
    if training_classes.is_none_or(|classes| classes == official.classes) {
        list(
            "classes without a training photograph",
            report.classes_without_training.iter().cloned(),
        )?;
    }
    for (path, sum) in sums {
        let name = inside(path, folder);
        if sum.agrees() {
            outln!("md5 of {name}: as published")?;
        } else {
            outln!("md5 of {name}: {} instead of {}", sum.found, sum.expected)?;
        }
    }
    if !sums.is_empty() && !official.sums_published {
        outln!("these sums are not the publisher's; several public loaders agree on them")?;
    }
    for (kind, title) in [
        (FindingKind::Broken, "broken"),
        (FindingKind::Truncated, "truncated"),
        (FindingKind::Misnamed, "named as another format"),
        (FindingKind::Cmyk, "CMYK"),
        (FindingKind::Grey, "grey"),
        (FindingKind::Tiny, "tiny"),
        (FindingKind::Box, "box reaches beyond the photograph"),
    ] {
        let findings = report
            .findings
            .iter()
            .filter(|finding| finding.kind == kind);
        let lines = findings
            .map(|finding| format!("{}: {}", inside(&finding.path, folder), finding.detail));
        list(title, lines)?;
    }
    let group = |fault: bool| {
        let groups = report
            .duplicates
            .iter()
            .filter(move |group| group.is_fault() == fault);
        groups.map(|group| {
            let paths: Vec<String> = group
                .paths
                .iter()
                .map(|path| inside(path, folder))
                .collect();
            paths.join(" = ")
        })
    };
    list("same file in several splits or classes", group(true))?;
    list("same file twice", group(false))?;
    let leaks = report.leaks.iter().map(|leak| {
        let [training, held_out] =
            [&leak.training, &leak.held_out].map(|path| inside(path, folder));
        format!(
            "{training} trains, {held_out} looks alike ({} of 128 bits differ)",
            leak.bits
        )
    });
    list("near-duplicates across the splits", leaks)?;
    for notice in &report.notices {
        outln!("note: {notice}")?;
    }
    Ok(())
}

/// A number beside the official one.
fn count(name: &str, count: Count) -> Result<()> {
    let official = count.official.map(|official| official.to_string());
    let mark = count.difference().map(|words| format!("  {words}"));
    outln!(
        "{name:<14}{:>10}{:>10}{}",
        count.found,
        official.as_deref().unwrap_or("-"),
        mark.unwrap_or_default()
    )?;
    Ok(())
}

/// A path as it is called in the folder.
fn inside(path: &Path, folder: &Path) -> String {
    path.strip_prefix(folder)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// A title with its count and the first lines, if there are any.
fn list(title: &str, lines: impl Iterator<Item = String>) -> Result<()> {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return Ok(());
    }
    outln!("{title}: {}", lines.len())?;
    for line in lines.iter().take(SHOWN) {
        outln!("  {line}")?;
    }
    if lines.len() > SHOWN {
        outln!("  and {} more, all in --json", lines.len() - SHOWN)?;
    }
    Ok(())
}
