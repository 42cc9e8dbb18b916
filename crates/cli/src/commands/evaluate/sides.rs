//! Who looks for whom: queries, gallery and their labels from one file or two.
//!
//! A file with rows that train and others, by its column `split`, is asked what a run with these photographs is asked.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use lodestone_eval::{Bytes, Engine, Mode, Protocol, Report, Roles, Search, Visibility, unit_rows};
use lodestone_exchange::{EmbeddingFile, LabelTable, numbered, numbered_sequences};

use super::divided::{Divided, Division};
use super::matrix::Matrix;
use crate::args::FilesArguments;

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
    /// How the column `split` divides the rows, where it does.
    divided: Option<Divided>,
    protocol: Protocol,
    /// What was made of the column `split`, in words.
    pub(crate) note: Option<String>,
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
        // Who is found is said by the second file, if there is one.
        let division = match &gallery {
            Some(_) => Division::None,
            None => Division::of(&set.table, column)?,
        };
        let (divided, unread) = match division {
            Division::None => (None, None),
            Division::Unread(note) => (None, Some(note)),
            Division::Some(divided) => (Some(divided), None),
        };
        let suiting = match (&gallery, &divided) {
            (Some(_), _) => Protocol::All(Mode::TrainGallery),
            (None, Some(divided)) => Protocol::suiting(&divided.seen, has_roles),
            (None, None) if has_roles => Protocol::All(Mode::Split),
            (None, None) => Protocol::All(Mode::LeaveOneOut),
        };
        let protocol = arguments
            .mode
            .map_or(suiting, |mode| Protocol::All(mode.mode()));
        let mode = protocol.whole();
        let note = match &divided {
            Some(divided) => Some(divided.note(mode)),
            None => unread,
        };
        let sides = match (mode, gallery) {
            (Mode::LeaveOneOut, None) => Self::held_out(set, divided.as_ref()),
            (Mode::LeaveOneOut, Some(_)) => {
                bail!("--mode self looks inside one set, but --gallery names a second one")
            }
            (Mode::TrainGallery, None) => {
                let Some(divided) = &divided else {
                    bail!(
                        "--mode train-gallery needs --gallery, or a column `split` in {} with rows of `train` and of `test` or \
                         `validation`",
                        set.table.file().display()
                    )
                };
                Self {
                    separate: Some(set.gather(&divided.train)),
                    ..Self::held_out(set, Some(divided))
                }
            }
            (_, Some(gallery)) => {
                let (one, other) = (set.matrix.dim, gallery.matrix.dim);
                ensure!(
                    one == other,
                    "{} has {one} dimensions, but {} has {other}",
                    set.matrix.file.display(),
                    gallery.matrix.file.display()
                );
                Self {
                    separate: Some(gallery),
                    ..Self::held_out(set, None)
                }
            }
            (Mode::Split, None) => {
                let held_out = Self::held_out(set, divided.as_ref());
                let table = &held_out.queries.table;
                let roles = Roles::new(&table.flags("is_query")?, &table.flags("is_gallery")?)
                    .with_context(|| table.file().display().to_string())?;
                Self {
                    separate: Some(held_out.queries.gather(&roles.gallery)),
                    own: Some(roles.own),
                    whole: Some(held_out.whole().clone()),
                    ..Self::alone(held_out.queries.gather(&roles.queries))
                }
            }
        };
        let sides = Self {
            mode,
            protocol,
            divided,
            note,
            ..sides
        };
        Ok(sides.with_sequences())
    }

    /// Held-out rows among themselves, or all where nothing says which are held out.
    fn held_out(set: Set, divided: Option<&Divided>) -> Self {
        match divided {
            None => Self::alone(set),
            Some(divided) => Self {
                whole: Some(set.clone()),
                ..Self::alone(set.gather(&divided.held_out))
            },
        }
    }

    /// Where held-out rows are of trained classes and of others: each kind for itself, the first among training rows, the second
    /// among themselves, by the name that its report has.
    pub(crate) fn parts(&self) -> Vec<(&'static str, Self)> {
        let (Protocol::SeenAndUnseen, Some(divided)) = (self.protocol, &self.divided) else {
            return Vec::new();
        };
        let of = |wanted: bool| {
            let rows = (0..divided.seen.len()).filter(|&row| divided.seen[row] == wanted);
            self.queries.gather(&rows.collect::<Vec<_>>())
        };
        let seen = Self {
            separate: Some(self.whole().gather(&divided.train)),
            mode: Mode::TrainGallery,
            ..Self::alone(of(true))
        };
        let unseen = Self::alone(of(false));
        [(Report::SEEN, seen), (Report::UNSEEN, unseen)]
            .map(|(name, sides)| (name, sides.with_sequences()))
            .into()
    }

    /// Where held-out rows are of trained classes and of others: the training rows, and whether the class of each held-out row is
    /// trained on.
    pub(crate) fn seen(&self) -> Option<(Matrix, &[bool])> {
        let divided = self.divided.as_ref()?;
        let training = || self.whole().matrix.gather(&divided.train);
        (self.protocol == Protocol::SeenAndUnseen).then(|| (training(), &divided.seen[..]))
    }

    fn alone(set: Set) -> Self {
        Self {
            queries: set,
            separate: None,
            whole: None,
            own: None,
            mode: Mode::LeaveOneOut,
            sequences: None,
            divided: None,
            protocol: Protocol::All(Mode::LeaveOneOut),
            note: None,
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
