//! `lodestone merge`: embeddings of several shards in one file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use lodestone_exchange::{Embeddings, Shard, class_order};

use crate::args::MergeArguments;
use crate::commands::embedded_files::EmbeddedFiles;
use crate::overwrite;
use crate::progress::Progress;

/// Runs the command.
pub(crate) fn run(arguments: &MergeArguments, progress: &Progress) -> Result<()> {
    overwrite::check_embeddings(&arguments.out, arguments.force)?;
    let mut dim = None;
    let mut classes: Vec<String> = Vec::new();
    let mut read = Vec::new();
    for file in &arguments.parts {
        let part = EmbeddedFiles::read(file, None)?;
        let first = *dim.get_or_insert(part.matrix.dim);
        ensure!(
            part.matrix.dim == first,
            "{} has embeddings of {} values, {} has {first}",
            file.display(),
            part.matrix.dim,
            arguments.parts[0].display()
        );
        classes.extend(part.class_names.iter().cloned());
        read.push(part);
    }
    let said: Vec<Option<Shard>> = read.iter().map(|part| part.shard.clone()).collect();
    if let Some(silent) = check_shards(&arguments.parts, &said)? {
        progress.note(&format!(
            "{} does not say which part it is: all are taken as they are given",
            silent.display()
        ));
    } else {
        read.sort_by_key(|part| part.shard.as_ref().map(|shard| shard.number));
    }
    // Labels in their order, names in theirs, as they are where all images were listed at once.
    if read.iter().any(|part| part.has_names) {
        classes.sort();
        classes.dedup();
    } else {
        let order = class_order(classes.iter().map(String::as_str));
        classes = order.into_iter().map(str::to_owned).collect();
    }
    let of_one_whole = said.iter().all(Option::is_some) || read.len() == 1;
    let kept = of_one_whole.then(|| numbered_classes(&read)).flatten();
    let mut all = Embeddings {
        values: Vec::new(),
        dim: dim.unwrap_or_default(),
        paths: Vec::new(),
        labels: Vec::new(),
        class_names: Vec::new(),
        columns: shared_columns(&read),
        shard: None,
    };
    for part in read {
        let place = |name: &String| classes.iter().position(|class| class == name);
        let places: Vec<usize> = part.class_names.iter().filter_map(place).collect();
        match (&kept, part.numbers) {
            (Some(_), Some(numbers)) => all.labels.extend(numbers),
            _ => all
                .labels
                .extend(part.labels.iter().map(|&label| places[label])),
        }
        all.values.extend(part.matrix.values);
        all.paths.extend(part.names);
        for (name, column) in &mut all.columns {
            let own = part.columns.iter().find(|(own, _)| own == name);
            column.extend(
                own.into_iter()
                    .flat_map(|(_, values)| values.iter().cloned()),
            );
        }
    }
    all.class_names = kept.unwrap_or(classes);
    let written = all.write(&arguments.out)?;
    let files: Vec<String> = written
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    outln!(
        "{} embeddings of {} values in {}",
        all.len(),
        all.dim,
        files.join(" and ")
    )?;
    Ok(())
}

/// Names of the classes by the numbers that the parts of one whole give them, which a table orders otherwise than by name; nothing if
/// the numbers have gaps, or one of them two names.
fn numbered_classes(parts: &[EmbeddedFiles]) -> Option<Vec<String>> {
    let mut names = BTreeMap::new();
    for part in parts {
        for (&number, &label) in part.numbers.as_ref()?.iter().zip(&part.labels) {
            let name = &part.class_names[label];
            if *names.entry(number).or_insert(name) != name {
                return None;
            }
        }
    }
    let whole = names.keys().copied().eq(0..names.len());
    whole.then(|| names.into_values().cloned().collect())
}

/// Further columns that every part has, empty yet: what one of them lacks is known of some rows only.
fn shared_columns(parts: &[EmbeddedFiles]) -> Vec<(String, Vec<String>)> {
    let first = parts.first().map_or(&[][..], |part| &part.columns[..]);
    let everywhere = |name: &&String| {
        let has = |part: &EmbeddedFiles| part.columns.iter().any(|(other, _)| other == *name);
        parts.iter().all(has)
    };
    let names = first.iter().map(|(name, _)| name).filter(everywhere);
    names.map(|name| (name.clone(), Vec::new())).collect()
}

/// Refuses a part that is there twice, is missing, or belongs to another whole. Parts of others do not say which they are: the
/// first such one is returned, unless it stands alone.
fn check_shards<'a>(files: &'a [PathBuf], said: &[Option<Shard>]) -> Result<Option<&'a Path>> {
    let known: Vec<(&Path, &Shard)> = files
        .iter()
        .zip(said)
        .filter_map(|(file, shard)| Some((file.as_path(), shard.as_ref()?)))
        .collect();
    for (at, &(file, shard)) in known.iter().enumerate() {
        let (first_file, first) = known[0];
        ensure!(
            shard.whole == first.whole && shard.count == first.count,
            "{} is part {} of {} and {} part {} of {} of other photographs, or of another model",
            first_file.display(),
            first.number,
            first.count,
            file.display(),
            shard.number,
            shard.count
        );
        if let Some((twin, _)) = known[..at].iter().find(|(_, other)| *other == shard) {
            bail!(
                "{} and {} are both part {} of {}",
                twin.display(),
                file.display(),
                shard.number,
                shard.count
            );
        }
    }
    let silent = files.iter().zip(said).find(|(_, shard)| shard.is_none());
    if let Some((file, _)) = silent {
        return Ok((files.len() > 1).then_some(file.as_path()));
    }
    let Some(&(_, first)) = known.first() else {
        return Ok(None);
    };
    let there = |number: &usize| known.iter().any(|(_, shard)| shard.number == *number);
    match (1..=first.count).find(|number| !there(number)) {
        None => Ok(None),
        Some(number) => bail!("part {number} of {} is missing", first.count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &[&str]) -> Result<Option<String>> {
        let files: Vec<PathBuf> = (0..said.len())
            .map(|at| format!("{at}.npy").into())
            .collect();
        let said: Vec<Option<Shard>> = said.iter().map(|text| text.parse().ok()).collect();
        let silent = check_shards(&files, &said)?;
        Ok(silent.map(|file| file.display().to_string()))
    }

    #[test]
    fn all_parts_once_are_a_whole_in_any_order() {
        assert_eq!(check(&["1/3 a", "2/3 a", "3/3 a"]).unwrap(), None);
        assert_eq!(check(&["3/3 a", "1/3 a", "2/3 a"]).unwrap(), None);
        assert_eq!(check(&[""]).unwrap(), None);
        assert_eq!(check(&["", ""]).unwrap(), Some("0.npy".into()));
        assert_eq!(check(&["2/3 a", ""]).unwrap(), Some("1.npy".into()));
    }

    #[test]
    fn a_part_too_many_too_few_or_of_another_whole_is_refused() {
        for (said, expected) in [
            (
                &["1/3 a", "1/3 a"][..],
                "0.npy and 1.npy are both part 1 of 3",
            ),
            (
                &["1/3 a", "", "1/3 a"],
                "0.npy and 2.npy are both part 1 of 3",
            ),
            (&["3/3 a", "1/3 a"], "part 2 of 3 is missing"),
            (&["1/2 a"], "part 2 of 2 is missing"),
            (
                &["1/2 a", "2/2 b"],
                "0.npy is part 1 of 2 and 1.npy part 2 of 2 of other photographs",
            ),
            (
                &["1/2 a", "2/3 a"],
                "0.npy is part 1 of 2 and 1.npy part 2 of 3 of other photographs",
            ),
        ] {
            let error = check(said).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
