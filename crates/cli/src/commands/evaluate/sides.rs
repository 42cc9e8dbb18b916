//! Who looks for whom: queries, gallery and their labels from one file or two.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use lodestone_eval::{Bytes, Engine, Mode, Roles, Search, Visibility, unit_rows};
use lodestone_exchange::{EmbeddingFile, LabelTable, numbered, numbered_sequences};

use super::matrix::Matrix;
use crate::args::{FilesArguments, ModeName};

/// Embeddings and what stands beside them.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    pub(crate) matrix: Matrix,
    pub(crate) table: LabelTable,
}

/// Classes of the queries and of the gallery in one numbering, and the names behind the numbers.
type Numbered = (Vec<usize>, Vec<usize>, BTreeMap<usize, String>);

impl Set {
    fn read(embeddings: &Path, labels: Option<&Path>, column: &str, cosine: bool) -> Result<Self> {
        let read = EmbeddingFile::read(embeddings, labels, &[column])?;
        let (mut matrix, table) = (Matrix::of(read.matrix, embeddings), read.table);
        matrix.check()?;
        if cosine {
            let unit = unit_rows(matrix.rows());
            matrix.values = unit.with_context(|| embeddings.display().to_string())?;
        }
        Ok(Self { matrix, table })
    }

    /// The sequence of each row, where the labels say one.
    pub(crate) fn sequences(&self) -> Option<Vec<usize>> {
        let numbers = numbered_sequences(&[self.table.get("sequence")?]);
        numbers.into_iter().next()
    }

    fn gather(&self, rows: &[usize]) -> Self {
        Self {
            matrix: self.matrix.gather(rows),
            table: self.table.gather(rows),
        }
    }
}

/// The two sides, and the file that rows of further tests are numbered by.
#[derive(Debug)]
pub(crate) struct Sides {
    pub(crate) queries: Set,
    /// Absent if the queries are the gallery.
    pub(crate) separate: Option<Set>,
    /// All rows of --embeddings, where the queries are only some of them.
    whole: Option<Set>,
    /// Places of the queries in the gallery, where rows have both roles.
    own: Option<Vec<Option<usize>>>,
    pub(crate) mode: Mode,
    sequences: Option<[Vec<usize>; 2]>,
}

impl Sides {
    /// Reads the files that the arguments name.
    pub(crate) fn read(arguments: &FilesArguments) -> Result<Self> {
        let embeddings = arguments.embeddings.as_deref();
        let embeddings = embeddings.context("--embeddings names no file")?;
        let column = &arguments.label_column;
        let read =
            |file: &Path, labels: Option<&Path>| Set::read(file, labels, column, arguments.cosine);
        let set = read(embeddings, arguments.labels.as_deref())?;
        if let Some(gallery) = &arguments.gallery {
            let real = |path: &Path| std::fs::canonicalize(path).ok();
            ensure!(
                real(gallery).is_none() || real(gallery) != real(embeddings),
                "--gallery is {}, the file of --embeddings itself, in which every row would find itself: leave --gallery out",
                gallery.display()
            );
        }
        let gallery = arguments
            .gallery
            .as_deref()
            .map(|file| read(file, arguments.gallery_labels.as_deref()))
            .transpose()?;
        let has_roles = ["is_query", "is_gallery"]
            .iter()
            .all(|role| set.table.get(role).is_some());
        let mode = arguments.mode.unwrap_or(match (&gallery, has_roles) {
            (Some(_), _) => ModeName::TrainGallery,
            (None, true) => ModeName::Split,
            (None, false) => ModeName::Alone,
        });
        let mode = mode.mode();
        let sides = match (mode, gallery) {
            (Mode::LeaveOneOut, None) => Self::alone(set),
            (Mode::LeaveOneOut, Some(_)) => {
                bail!("--mode self looks inside one set, but --gallery names a second one")
            }
            (Mode::TrainGallery, None) => bail!("--mode train-gallery needs --gallery"),
            (mode, Some(gallery)) => {
                let (one, other) = (set.matrix.dim, gallery.matrix.dim);
                ensure!(
                    one == other,
                    "{} has {one} dimensions, but {} has {other}",
                    set.matrix.file.display(),
                    gallery.matrix.file.display()
                );
                Self {
                    separate: Some(gallery),
                    mode,
                    ..Self::alone(set)
                }
            }
            (Mode::Split, None) => {
                let roles = Roles::new(
                    &set.table.flags("is_query")?,
                    &set.table.flags("is_gallery")?,
                )
                .with_context(|| set.table.file().display().to_string())?;
                Self {
                    queries: set.gather(&roles.queries),
                    separate: Some(set.gather(&roles.gallery)),
                    own: Some(roles.own),
                    whole: Some(set),
                    mode,
                    sequences: None,
                }
            }
        };
        Ok(sides.with_sequences())
    }

    fn alone(set: Set) -> Self {
        Self {
            queries: set,
            separate: None,
            whole: None,
            own: None,
            mode: Mode::LeaveOneOut,
            sequences: None,
        }
    }

    fn with_sequences(mut self) -> Self {
        let sequences = [&self.queries, self.gallery()].map(|set| set.table.get("sequence"));
        if let [Some(of_queries), Some(of_gallery)] = sequences {
            let mut numbers = numbered_sequences(&[of_queries, of_gallery]).into_iter();
            self.sequences = numbers.next().zip(numbers.next()).map(|(q, g)| [q, g]);
        }
        self
    }

    /// What is found.
    pub(crate) fn gallery(&self) -> &Set {
        self.separate.as_ref().unwrap_or(&self.queries)
    }

    /// All rows of --embeddings.
    pub(crate) fn whole(&self) -> &Set {
        self.whole.as_ref().unwrap_or(&self.queries)
    }

    /// A column of both sides in one numbering, and the names behind the numbers.
    pub(crate) fn classes(&self, column: &str) -> Result<Numbered> {
        let queries = self.queries.table.column(column)?;
        let gallery = self.gallery().table.column(column)?;
        let (numbers, mut names) = numbered(&[queries, gallery]);
        if names.is_empty() {
            names = self.names_beside(column, &numbers)?;
        }
        let [queries, gallery] = <[Vec<usize>; 2]>::try_from(numbers)
            .map_err(|_| anyhow::anyhow!("two lists were numbered"))?;
        Ok((queries, gallery, names))
    }

    /// Names of numbered classes from the column `class_name`; a number that means two classes is refused.
    fn names_beside(
        &self,
        column: &str,
        numbers: &[Vec<usize>],
    ) -> Result<BTreeMap<usize, String>> {
        let mut names = BTreeMap::<usize, String>::new();
        if column != "label" {
            return Ok(names);
        }
        for (set, numbers) in [&self.queries, self.gallery()].into_iter().zip(numbers) {
            let named = set.table.get("class_name").unwrap_or_default();
            for (&number, name) in numbers.iter().zip(named) {
                let known = names.entry(number).or_insert_with(|| name.clone());
                ensure!(
                    known == name,
                    "label {number} is both `{known}` and `{name}` ({}): if the files number their classes each for itself, say \
                     --label-column class_name",
                    set.table.file().display()
                );
            }
        }
        Ok(names)
    }

    /// The search, with the engine and the memory that were asked for.
    pub(crate) fn search(&self, engine: Engine, memory: Option<Bytes>) -> Result<Search<'_>> {
        let queries = self.queries.matrix.rows();
        let (search, visibility) = match (&self.separate, &self.own) {
            (None, _) => (Search::leave_one_out(queries)?, Visibility::leave_one_out()),
            (Some(gallery), own) => (
                Search::between(queries, gallery.matrix.rows())?,
                own.as_ref()
                    .map_or(Visibility::everything(), |own| Visibility::own_rows(own)),
            ),
        };
        let visibility = match &self.sequences {
            // Literally the same list on both sides, so that each pair is looked at once.
            Some([of_queries, _]) if self.separate.is_none() => {
                visibility.without_own_sequence(of_queries, of_queries)
            }
            Some([of_queries, of_gallery]) => {
                visibility.without_own_sequence(of_queries, of_gallery)
            }
            None => visibility,
        };
        let search = search.with_visibility(visibility)?.with_engine(engine);
        Ok(match memory {
            Some(limit) => search.with_memory(limit),
            None => search,
        })
    }
}
