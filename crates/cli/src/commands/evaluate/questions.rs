//! Questions beyond the ranking: hierarchy recovery, clusters, verification, attribute concentration.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use lodestone_eval::{
    Attribute, Clustering, Engine, KMeansConfig, Labelled, Levels, Pairs, Report, Search, SoftVote,
    Verification, clustering_scores, concentration, hierarchy_recovery, merge_at_random,
    merge_mixed, sample_pairs,
};
use lodestone_exchange::{LabelTable, numbered};

use super::sides::Sides;
use crate::args::{FilesArguments, Merge};

/// Fine classes of the queries from a gallery that was trained on coarse ones.
pub(crate) fn add_hierarchy(
    report: &mut Report,
    sides: &Sides,
    search: &Search,
    arguments: &FilesArguments,
) -> Result<()> {
    let tests = &arguments.tests;
    if tests.hierarchy.is_none() && tests.merge.is_none() {
        return Ok(());
    }
    let (fine, gallery_fine, _) = sides.classes(&arguments.label_column)?;
    let given = tests
        .hierarchy
        .as_deref()
        .map(|column| sides.classes(column));
    let given = given
        .transpose()?
        .map(|(queries, gallery, _)| (queries, gallery));
    // Both sides are merged as one list, so that a class has one group on either.
    let all: Vec<usize> = fine.iter().chain(&gallery_fine).copied().collect();
    let seed = arguments.shown.seed;
    let merged = match (tests.merge, &given) {
        (None, _) => None,
        (Some(Merge::Random { groups }), _) => Some(merge_at_random(&all, groups, seed)?),
        (Some(Merge::Mixed { groups }), Some((queries, gallery))) => {
            let both: Vec<usize> = queries.iter().chain(gallery).copied().collect();
            Some(merge_mixed(&all, &both, groups, seed)?)
        }
        (Some(Merge::Mixed { .. }), None) => {
            bail!("--merge mixed mixes the classes of --hierarchy, which is not given")
        }
    };
    let (coarse, gallery_coarse) = match (merged, given) {
        (Some(merged), _) => {
            let (queries, gallery) = merged.split_at(fine.len());
            (queries.to_vec(), gallery.to_vec())
        }
        (None, Some(given)) => given,
        (None, None) => return Ok(()),
    };
    let gallery = Labelled::from_rows(search.gallery(), &gallery_fine)?;
    let vote = SoftVote {
        nearest: arguments.shown.neighbours,
        variance: gallery.within_class_variance(),
    };
    let test = Levels {
        fine: &fine,
        coarse: &coarse,
    };
    let training = Levels {
        fine: &gallery_fine,
        coarse: &gallery_coarse,
    };
    let recovery = hierarchy_recovery(search, test, training, vote)?;
    report.add_hierarchy(&recovery);
    match (tests.merge, &tests.hierarchy) {
        (Some(Merge::Random { groups }), _) => {
            report.note("hierarchy", format!("random, {groups} groups, seed {seed}"))
        }
        (Some(Merge::Mixed { groups }), _) => {
            report.note("hierarchy", format!("mixed, {groups} groups, seed {seed}"))
        }
        (None, column) => report.note("hierarchy", column.as_deref().unwrap_or_default()),
    }
    Ok(())
}

/// NMI, AMI and purity of clusters that were given or found.
pub(crate) fn add_clustering(
    report: &mut Report,
    search: &Search,
    sides: &Sides,
    labels: &[usize],
    arguments: &FilesArguments,
    note: &mut impl FnMut(&str),
) -> Result<()> {
    let tests = &arguments.tests;
    if let Some(column) = &tests.given_clusters {
        let (clusters, _) = numbered(&[sides.queries.table.column(column)?]);
        let scores = clustering_scores(labels, clusters.first().map_or(&[], Vec::as_slice))?;
        report.clustering = Some(Clustering::of_given(scores));
    }
    if let Some(asked) = tests.clusters {
        let config = KMeansConfig {
            clusters: if asked == 0 {
                report.setting.classes
            } else {
                asked
            },
            restarts: tests.cluster_restarts,
            iterations: tests.cluster_passes,
            seed: arguments.shown.seed,
        };
        let pass = labels.len() as f64 * config.clusters as f64 * search.queries().dim() as f64;
        if pass > 1e10 {
            note(&format!(
                "K-means: {} clusters of {} rows, {pass:.1e} multiply-adds a pass",
                config.clusters,
                labels.len()
            ));
        }
        let found = search.k_means(&config)?;
        let scores = clustering_scores(labels, &found.clusters)?;
        report.clustering = Some(Clustering::of_k_means(scores, config, &found));
    }
    Ok(())
}

/// Same or not the same, over pairs of a file or over sampled ones.
pub(crate) fn add_verification(
    report: &mut Report,
    sides: &Sides,
    arguments: &FilesArguments,
) -> Result<()> {
    let tests = &arguments.tests;
    let set = sides.whole();
    let rows = set.matrix.rows();
    let (labels, _) = numbered(&[set.table.column(&arguments.label_column)?]);
    let labels = labels.into_iter().next().unwrap_or_default();
    let (validation, test, from) = if let Some(file) = &tests.pairs {
        let (validation, test) = pairs_of(file, rows.len())?;
        (validation, test, file.display().to_string())
    } else if let Some(count) = tests.verification {
        let seed = arguments.shown.seed;
        let mut test = sample_pairs(&labels, count, seed);
        let mut validation = Vec::new();
        if tests.precision.is_some() {
            // Every second pair of either kind, which the order of the sample mixes well enough.
            let (odd, even): (Vec<_>, Vec<_>) =
                test.iter().enumerate().partition(|(i, _)| i % 2 == 1);
            validation = odd.into_iter().map(|(_, &pair)| pair).collect();
            test = even.into_iter().map(|(_, &pair)| pair).collect();
        }
        (validation, test, format!("sampled with seed {seed}"))
    } else {
        ensure!(
            tests.precision.is_none(),
            "--precision needs pairs: --verification N or --pairs FILE"
        );
        return Ok(());
    };
    let measured = |pairs: &[(usize, usize)], which: &str| {
        Pairs::from_rows(rows, &labels, pairs).with_context(|| format!("{which} pairs {from}"))
    };
    let tested = measured(&test, "test")?;
    let validated = match tests.precision {
        Some(_) => Some(measured(&validation, "validation")?),
        None => None,
    };
    let precision = tests.precision.zip(validated.as_ref());
    report.verification = Some(Verification::new(from, &tested, &tests.fmr, precision)?);
    Ok(())
}

type RowPairs = Vec<(usize, usize)>;

/// Validation and test pairs of a file; without the column `part` all are test pairs.
fn pairs_of(file: &Path, rows: usize) -> Result<(RowPairs, RowPairs)> {
    let table = LabelTable::read(file, "a")?;
    let row = |column: &str, at: usize, text: &str| {
        let row = text.parse().ok().filter(|&row: &usize| row < rows);
        row.ok_or_else(|| {
            let problem = format!("`{text}` is no row of {rows} embeddings");
            table.wrong(at, column, problem)
        })
    };
    let parts = table.get("part");
    let (mut validation, mut test) = (Vec::new(), Vec::new());
    let columns = table.column("a")?.iter().zip(table.column("b")?);
    for (i, (a, b)) in columns.enumerate() {
        let pair = (row("a", i, a)?, row("b", i, b)?);
        match parts.map_or("test", |parts| parts[i].as_str()) {
            "test" => test.push(pair),
            "validation" => validation.push(pair),
            other => {
                let problem = format!("`{other}` is neither validation nor test");
                return Err(table.wrong(i, "part", problem).into());
            }
        }
    }
    Ok((validation, test))
}

/// How attributes concentrate around images that have them.
pub(crate) fn add_concentration(
    report: &mut Report,
    sides: &Sides,
    engine: Engine,
    arguments: &FilesArguments,
) -> Result<()> {
    let Some(file) = &arguments.tests.attributes else {
        return Ok(());
    };
    let table = LabelTable::read(file, "attribute")?;
    let rows = sides.whole().matrix.rows();
    ensure!(
        table.rows() == rows.len(),
        "{} has {} lines of attributes, but there are {} embeddings",
        file.display(),
        table.rows(),
        rows.len()
    );
    let names: Vec<String> = table
        .names()
        .filter(|name| *name != "path")
        .map(str::to_owned)
        .collect();
    let attributes = names
        .iter()
        .map(|name| attribute(&table, name))
        .collect::<Result<Vec<_>>>()?;
    let sequences = sides.whole().sequences();
    let mut search = Search::leave_one_out(rows)?.with_engine(engine);
    if let Some(sequences) = &sequences {
        let visibility = search
            .visibility()
            .without_own_sequence(sequences, sequences);
        search = search.with_visibility(visibility)?;
    }
    if let Some(limit) = arguments.memory {
        search = search.with_memory(limit);
    }
    let mut found = concentration(&search, &attributes, &arguments.tests.neighbourhoods)
        .with_context(|| file.display().to_string())?;
    found.names = names;
    report.concentration = Some(found);
    Ok(())
}

fn attribute(table: &LabelTable, name: &str) -> Result<Vec<Attribute>> {
    let read = |(row, text): (usize, &String)| match text.as_str() {
        "1" | "+1" => Ok(Attribute::Present),
        "-1" => Ok(Attribute::Absent),
        "0" => Ok(Attribute::Ambiguous),
        other => Err(table
            .wrong(row, name, format!("`{other}` is not 1, -1 or 0"))
            .into()),
    };
    table.column(name)?.iter().enumerate().map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lodestone_data::{Row, Split, Table};

    use super::*;

    /// `--merge random` and a run file's `data.coarse` of the same seed mean the same groups.
    #[test]
    fn merging_is_that_of_training() {
        let names = (0..11).map(|class| class.to_string()).collect();
        let rows = (0..11).map(|class| Row::file(class.to_string(), class, Split::Train));
        let mut table = Table::of_files("t", Path::new(""), names, rows.collect());
        for (groups, seed) in [(2, 0), (4, 7), (11, 1)] {
            table.merge_classes(groups, seed).unwrap();
            let all: Vec<usize> = (0..11).collect();
            assert_eq!(
                table.coarse_labels(&all).unwrap(),
                merge_at_random(&all, groups, seed).unwrap()
            );
        }
    }
}
