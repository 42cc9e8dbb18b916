//! `lodestone evaluate --embeddings`: everything that files of embeddings and labels can be asked.

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use lodestone_eval::{
    Bootstrap, Convention, Depth, Engine, Forecast, Labelled, Mode, Predictions, RankingDistance,
    Report, ReportConfig, Retrieval, RetrievalConfig, Search, SoftVote, Unknowns, diagnostics,
    unit_rows,
};
use lodestone_exchange::{EmbeddingFile, LabelTable, numbered};
use lodestone_train::{Event, Observer};

use super::matrix::Matrix;
use super::parts;
use super::questions;
use super::sides::Sides;
use crate::args::{ConventionName, DepthName, FilesArguments};
use crate::progress::Progress;

/// Computes the report of the files; with `--shard` there is none yet, but a file with a part of the scores.
pub(crate) fn report(
    arguments: &FilesArguments,
    device: &Device,
    on_cpu: bool,
    progress: &mut Progress,
) -> Result<Option<Report>> {
    let engine = match on_cpu {
        true => Engine::Host,
        false => Engine::Device(device.clone()),
    };
    let config = config(arguments);
    let sides = Sides::read(arguments)?;
    let (query_labels, gallery_labels, names) = sides.classes(&arguments.label_column)?;
    let search = sides.search(engine.clone(), arguments.memory)?;
    let config = ReportConfig {
        mode: sides.mode,
        ..config
    };

    // Say what it will take, then rank.
    let mut note = |text: &str| progress.on(Event::Note(text));
    if let Some(text) = &sides.note {
        note(text);
    }
    let labels = (&query_labels[..], &gallery_labels[..]);
    if let Some(shard) = arguments.shard {
        parts::write(shard, &sides, &search, labels, &config, arguments)?;
        return Ok(None);
    }
    let (mut report, retrieval) = if arguments.approximate {
        approximately(&search, labels, &config, arguments)?
    } else if !arguments.scores.is_empty() {
        let retrieval = parts::together(&sides, labels, &config, arguments)?;
        (search.report_on(&retrieval, &config)?, retrieval)
    } else {
        let forecast = search.forecast_retrieval(labels.0, labels.1, &config.retrieval)?;
        let rules = sides.separate.is_some() || arguments.shown.loo || arguments.shown.confusion;
        announce(
            &forecast,
            rules,
            &sides,
            &engine,
            &config.retrieval,
            &mut note,
        )?;
        search.report(labels.0, labels.1, &config)?
    };

    // Rules of classification.
    if sides.separate.is_some() || arguments.shown.loo || arguments.shown.confusion {
        let neighbours = arguments.shown.neighbours;
        let rules = search.add_rules(&mut report, labels.0, labels.1, neighbours, 1.0)?;
        if arguments.shown.confusion {
            report.confusion = Some(rules.voted.confusion(labels.0)?);
        }
    }
    add_given_rules(&mut report, &sides, labels.0, arguments)?;

    // The other questions.
    let queries = Labelled::from_rows(sides.queries.matrix.rows(), labels.0)?;
    if !arguments.shown.no_diagnostics && queries.len() > 1 {
        report.add_diagnostics(diagnostics(queries)?);
    }
    questions::add_hierarchy(&mut report, &sides, &search, arguments)?;
    questions::add_clustering(&mut report, &search, &sides, labels.0, arguments, &mut note)?;
    questions::add_verification(&mut report, &sides, arguments)?;
    questions::add_concentration(&mut report, &sides, engine.clone(), arguments)?;
    add_parts(&mut report, &sides, &engine, &config, arguments)?;

    if let Some(file) = &arguments.shown.per_query {
        write_queries(file, &sides, &retrieval)?;
    }
    report.class_names = names;
    for (name, value) in &arguments.notes {
        report.note(name, value);
    }
    Ok(Some(report))
}

/// Where held-out rows are of trained classes and of others: each kind for itself, and whether the two can be told apart.
fn add_parts(
    report: &mut Report,
    sides: &Sides,
    engine: &Engine,
    config: &ReportConfig,
    arguments: &FilesArguments,
) -> Result<()> {
    for (name, part) in sides.parts() {
        let (queries, gallery, _) = part.classes(&arguments.label_column)?;
        let search = part.search(engine.clone(), arguments.memory)?;
        let config = ReportConfig {
            mode: part.mode,
            ..config.clone()
        };
        let (mut of_part, _) = search.report(&queries, &gallery, &config)?;
        if part.separate.is_some() {
            let neighbours = arguments.shown.neighbours;
            search.add_rules(&mut of_part, &queries, &gallery, neighbours, 1.0)?;
        }
        let labelled = Labelled::from_rows(part.queries.matrix.rows(), &queries)?;
        if !arguments.shown.no_diagnostics && queries.len() > 1 {
            of_part.add_diagnostics(diagnostics(labelled)?);
        }
        questions::add_hierarchy(&mut of_part, &part, &search, arguments)?;
        report.parts.insert(name.to_owned(), of_part);
    }
    if let Some((training, seen)) = sides.seen() {
        let (labels, _, _) = sides.classes(&arguments.label_column)?;
        let queries = Labelled::from_rows(sides.queries.matrix.rows(), &labels)?;
        let distances = Unknowns::of(queries, seen, training.rows())?;
        let bootstrap = Bootstrap::new(arguments.shown.seed);
        report.add_unknowns(&distances, Unknowns::PRECISION, bootstrap)?;
    }
    Ok(())
}

fn config(arguments: &FilesArguments) -> ReportConfig {
    let shown = &arguments.shown;
    let full = arguments.depth == DepthName::Full && !arguments.approximate;
    let retrieval = RetrievalConfig {
        cuts: arguments.cuts.clone(),
        depth: if full { Depth::Full } else { Depth::UpToR },
    };
    let conventions = shown.convention.iter().map(|name| match name {
        ConventionName::Pml => Convention::Pml,
        ConventionName::Oml => Convention::Oml,
        ConventionName::Sklearn => Convention::Sklearn,
    });
    ReportConfig {
        distance: match arguments.cosine {
            true => RankingDistance::Cosine,
            false => RankingDistance::SquaredEuclidean,
        },
        all_metrics: shown.all_metrics,
        conventions: conventions.collect(),
        lone_as_miss: shown.lone_as_miss,
        per_class: shown.per_class,
        bootstrap: shown.bootstrap.map(|resamples| Bootstrap {
            resamples,
            seed: shown.seed,
        }),
        ..ReportConfig::new(Mode::LeaveOneOut, retrieval)
    }
}

/// Multiply-adds that take about a second; what takes longer is announced with its time.
const LONG: f64 = 5e10;
/// Rows on which the speed is measured.
const PROBE: usize = 4096;

/// Tells memory, work and, for a long search, the time at the speed that its first rows have.
fn announce(
    forecast: &Forecast,
    rules: bool,
    sides: &Sides,
    engine: &Engine,
    config: &RetrievalConfig,
    note: &mut impl FnMut(&str),
) -> Result<()> {
    if forecast.multiply_adds < LONG {
        return Ok(());
    }
    let rows = sides.queries.matrix.rows();
    let rows = rows.slice(0..rows.len().min(PROBE));
    let probe = Search::leave_one_out(rows)?.with_engine(engine.clone());
    let classes: Vec<usize> = (0..rows.len()).map(|row| row / 8).collect();
    // Once to warm up: the first walk wakes threads and, on a device, compiles.
    probe.retrieval(&classes, &classes, config)?;
    let start = std::time::Instant::now();
    probe.retrieval(&classes, &classes, config)?;
    let work = probe
        .forecast_retrieval(&classes, &classes, config)?
        .multiply_adds;
    let rate = work / start.elapsed().as_secs_f64();
    note(&format!(
        "forecast: {}, about {}{}",
        forecast.line(),
        duration(forecast.seconds(rate)),
        match rules {
            true => "; as much again for the rules of classification",
            false => "",
        }
    ));
    Ok(())
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(feature = "approximate")]
fn approximately(
    search: &Search,
    (query_labels, gallery_labels): (&[usize], &[usize]),
    config: &ReportConfig,
    arguments: &FilesArguments,
) -> Result<(Report, Retrieval)> {
    let approximate = lodestone_eval::ApproximateConfig {
        expansion_search: arguments.candidates,
        ..lodestone_eval::ApproximateConfig::new(arguments.shown.seed)
    };
    let (retrieval, note) = search.approximate_retrieval(
        query_labels,
        gallery_labels,
        &config.retrieval,
        approximate,
    )?;
    let mut report = search.report_on(&retrieval, config)?;
    report.approximate = Some(note);
    Ok((report, retrieval))
}

#[cfg(not(feature = "approximate"))]
fn approximately(
    _: &Search,
    _: (&[usize], &[usize]),
    _: &ReportConfig,
    arguments: &FilesArguments,
) -> Result<(Report, Retrieval)> {
    anyhow::bail!(
        "--approximate with {} candidates needs the graph index, which is not built in; build with --features approximate (it \
         compiles C++)",
        arguments.candidates
    )
}

/// Rules whose scores or centres come from files of their own.
fn add_given_rules(
    report: &mut Report,
    sides: &Sides,
    query_labels: &[usize],
    arguments: &FilesArguments,
) -> Result<()> {
    let tests = &arguments.tests;
    let queries = sides.queries.matrix.rows();
    if let (Some(file), Some(variance)) = (&tests.centres, tests.variance) {
        let read = EmbeddingFile::read(file, None, &["label"])?;
        let mut centres = Matrix::of(read.matrix, file);
        if arguments.cosine {
            let unit = unit_rows(centres.rows());
            centres.values = unit.with_context(|| file.display().to_string())?;
        }
        let (mut labels, names) = numbered(&[read.table.column("label")?]);
        ensure!(
            names.is_empty(),
            "{}: a class is not a number",
            read.table.file().display()
        );
        let labels = labels.pop().unwrap_or_default();
        let labelled = Labelled::from_rows(centres.rows(), &labels)
            .with_context(|| file.display().to_string())?;
        let vote = SoftVote {
            nearest: tests.nearest_clusters,
            variance,
        };
        let to_centres = Search::between(queries, centres.rows())?;
        let knc = Predictions::soft_vote(&to_centres, &labels, vote)?;
        report.add_errors("knc", knc.errors(query_labels)?, Some(vote));
        let nearest = Predictions::nearest_centre(queries, labelled)?;
        report.add_errors("nearest_centre", nearest.errors(query_labels)?, None);
    }
    if let Some(file) = &tests.logits {
        let logits = Matrix::read(file)?;
        ensure!(
            logits.rows().len() == queries.len(),
            "{} has scores for {} rows, but there are {} queries",
            file.display(),
            logits.rows().len(),
            queries.len()
        );
        let argmax =
            Predictions::argmax(logits.rows()).with_context(|| file.display().to_string())?;
        report.add_errors("argmax", argmax.errors(query_labels)?, None);
    }
    Ok(())
}

/// The CSV of single queries, with paths where the labels have any.
fn write_queries(file: &std::path::Path, sides: &Sides, retrieval: &Retrieval) -> Result<()> {
    let paths = |table: &LabelTable| table.get("path").map(<[String]>::to_vec);
    let (of_queries, of_gallery) = (paths(&sides.queries.table), paths(&sides.gallery().table));
    retrieval.save_csv(file, of_queries.as_deref(), of_gallery.as_deref())?;
    Ok(())
}
