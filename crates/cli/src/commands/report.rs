//! `lodestone report`: a run or embeddings as one page that a browser opens without a network.

mod files;
mod run;
mod shown;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use lodestone_data::Table;
use lodestone_eval::{Report, Rows, Search};
use lodestone_files::write_whole;
use lodestone_report::{Cluster, Curve, Layout, Look, Material, NoPictures, Page, Side};
use lodestone_sampling::Index;
use lodestone_train::{Event, Observer};

use self::shown::Shown;
use crate::args::{LayoutName, PageArguments, ReportArguments};
use crate::commands::embedded_files::EmbeddedFiles;
use crate::commands::opened::Opened;
use crate::overwrite;
use crate::progress::Progress;

/// Runs the command.
pub(crate) fn run(arguments: &ReportArguments, progress: &mut Progress) -> Result<()> {
    let source = &arguments.page.source;
    let path = arguments.out.clone().unwrap_or_else(|| {
        if is_run(source) {
            source.join("report.html")
        } else {
            source.with_extension("html")
        }
    });
    // Told before hours of work.
    overwrite::check(&path, arguments.force, Page::made)?;
    let gathered = Gathered::read(&arguments.page, progress)?;
    let page = gathered.page(&arguments.page, progress)?;
    let html = page.html();
    write_whole(&path, |file| file.write_all(html.as_bytes()))?;
    outln!(
        "{}: {} photographs{}; {:.1} MB, open it in a browser",
        path.display(),
        gathered.queries.labels.len(),
        gathered.precision(),
        html.len() as f64 / 1e6
    )?;
    Ok(())
}

/// Embedded photographs of one side.
pub(crate) struct SideRows {
    /// `[rows, dim]`.
    pub(crate) values: Vec<f32>,
    pub(crate) dim: usize,
    pub(crate) labels: Vec<usize>,
    pub(crate) names: Vec<String>,
    /// Rows of the table.
    pub(crate) rows: Vec<usize>,
}

impl SideRows {
    pub(crate) fn embeddings(&self) -> Rows<'_> {
        Rows::new(&self.values, self.dim).expect("embeddings are whole rows")
    }

    fn side(&self) -> Result<Side<'_>> {
        Ok(Side::new(self.embeddings(), &self.labels, &self.names)?)
    }

    /// At most `most` rows, evenly taken.
    fn thinned(self, most: usize) -> Self {
        let count = self.labels.len();
        if count <= most {
            return self;
        }
        let kept: Vec<usize> = (0..most).map(|at| at * count / most).collect();
        let embeddings = self.embeddings();
        Self {
            values: kept
                .iter()
                .flat_map(|&row| embeddings.row(row))
                .copied()
                .collect(),
            dim: self.dim,
            labels: kept.iter().map(|&row| self.labels[row]).collect(),
            names: kept.iter().map(|&row| self.names[row].clone()).collect(),
            rows: kept.iter().map(|&row| self.rows[row]).collect(),
        }
    }
}

/// All that a page shows, read and embedded.
pub(crate) struct Gathered {
    title: String,
    facts: Vec<(String, String)>,
    class_names: Vec<String>,
    table: Table,
    /// Whether anybody says where the photographs lie.
    has_paths: bool,
    pub(crate) queries: SideRows,
    pub(crate) gallery: Option<SideRows>,
    /// Clusters of the gallery, or of the queries where there is none.
    index: Index,
    report: Option<Report>,
    curves: Vec<Curve>,
}

impl Gathered {
    /// Reads a run folder, whose photographs are embedded anew, a folder of photographs for a model, or an embedding file.
    pub(crate) fn read(arguments: &PageArguments, progress: &mut Progress) -> Result<Self> {
        ensure!(arguments.points > 0, "--points is 0, must be at least 1");
        if let (true, Some(labels)) = (arguments.source.is_dir(), &arguments.labels) {
            anyhow::bail!(
                "--labels {} is for a file of embeddings; {} is a folder, which names the classes itself",
                labels.display(),
                arguments.source.display()
            );
        }
        let source = &arguments.source;
        match &arguments.model {
            Some(model) if source.is_dir() && !is_run(source) => {
                let opened = Opened::read(model, &arguments.device.device)?;
                let read = EmbeddedFiles::of_photographs(source, &opened, progress)?;
                files::gather(arguments, read)
            }
            _ if source.is_dir() => {
                check_run(source)?;
                run::gather(arguments, progress)
            }
            _ => {
                let read = EmbeddedFiles::read(source, arguments.labels.as_deref())?;
                files::gather(arguments, read)
            }
        }
    }

    /// The photographs that are found.
    pub(crate) fn found(&self) -> &SideRows {
        self.gallery.as_ref().unwrap_or(&self.queries)
    }

    /// Name of a class.
    pub(crate) fn class_name(&self, label: usize) -> &str {
        &self.class_names[label]
    }

    /// The share of photographs whose nearest one is of their class, as the report has it.
    fn precision(&self) -> String {
        let report = self.report.as_ref();
        let measure = report.and_then(|report| report.measures.get("precision_at_1"));
        let value = measure.and_then(|measure| measure.value);
        value.map_or_else(String::new, |value| {
            format!(", precision_at_1 {:.2} %", 100.0 * value)
        })
    }

    /// Draws the map and picks what is worth looking at.
    pub(crate) fn page(&self, arguments: &PageArguments, progress: &mut Progress) -> Result<Page> {
        let mut facts = self.facts.clone();
        facts.push(("photographs".into(), self.queries.labels.len().to_string()));
        if let Some(gallery) = &self.gallery {
            facts.push(("looked up among".into(), gallery.labels.len().to_string()));
        }
        facts.push(("classes".into(), self.class_names.len().to_string()));
        facts.push((
            "values of an embedding".into(),
            self.queries.dim.to_string(),
        ));
        let material = Material {
            title: self.title.clone(),
            facts,
            class_names: &self.class_names,
            queries: self.queries.side()?,
            gallery: self.gallery.as_ref().map(SideRows::side).transpose()?,
            clusters: self.clusters()?,
            cluster_of: self.cluster_of()?,
            report: self.report.clone(),
            curves: self.curves.clone(),
        };
        let look = Look {
            layout: match arguments.map {
                LayoutName::Neighbours => Layout::Neighbours,
                LayoutName::Pca => Layout::Principal,
            },
            pictures: arguments.pictures,
            seed: arguments.seed,
            ..Look::default()
        };
        progress.on(Event::Note("drawing the map, collecting photographs"));
        if !self.has_paths {
            progress.note("no paths were given, so the page has no photographs");
            return Ok(Page::new(&material, &NoPictures, &look)?);
        }
        let shown = Shown::new(self, progress);
        let page = Page::new(&material, &shown, &look)?;
        shown.tell(progress);
        Ok(page)
    }

    fn clusters(&self) -> Result<Vec<Cluster>> {
        let modes = self.index.modes(self.found().embeddings(), 8)?;
        let cluster = |mode: lodestone_sampling::Mode| Cluster {
            class: mode.class,
            size: mode.size,
            radius: mode.radius,
            nearest: mode
                .nearest_imposter
                .map(|near| (near.class, near.distance)),
            exemplars: mode.exemplars,
        };
        Ok(modes.into_iter().map(cluster).collect())
    }

    /// The cluster that each query belongs to, or lies nearest to.
    fn cluster_of(&self) -> Result<Vec<usize>> {
        if self.gallery.is_none() {
            return Ok(self.index.assignment().to_vec());
        }
        let search = Search::between(self.queries.embeddings(), self.index.centres())?;
        let nearest = search.nearest(1)?;
        Ok(nearest.iter().flatten().map(|near| near.row).collect())
    }
}

/// Whether a path is the folder of a run, and not one of photographs.
pub(crate) fn is_run(source: &Path) -> bool {
    source.join("run.toml").is_file()
}

/// Refuses a folder that is no run, which needs a model.
pub(crate) fn check_run(source: &Path) -> Result<()> {
    ensure!(
        is_run(source),
        "{} has no run.toml, so it is no run: for a folder of photographs say with --model what embeds them",
        source.display()
    );
    Ok(())
}

/// The last part of a path, for a heading.
fn heading(path: &Path) -> String {
    let absolute: PathBuf = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    absolute.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
