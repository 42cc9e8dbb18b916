//! `lodestone search`: what photographs are most like, what they would be called, and whether they are known at all.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, stdin};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use lodestone_data::DecodeLimits;
use lodestone_eval::Rows;
use lodestone_files::told;
#[cfg(feature = "approximate")]
use lodestone_gallery::Graph;
use lodestone_gallery::{Answer, Gallery};
use serde_json::{Value, json};

use crate::args::SearchArguments;
use crate::commands::embed::table_of;
use crate::commands::index::same_model;
use crate::commands::opened::Opened;
use crate::progress::Progress;

/// Runs the command.
pub(crate) fn run(arguments: &SearchArguments, progress: &Progress) -> Result<()> {
    ensure!(arguments.nearest > 0, "-k is 0, must be at least 1");
    ensure!(
        (0.0..=1.0).contains(&arguments.precision),
        "--precision is {}, must be between 0 and 1",
        arguments.precision
    );
    let index = Index::open(&arguments.index)?;
    let opened = Opened::read(&arguments.model, &arguments.device.device)?;
    same_model(&index.gallery, &arguments.index, Some(&opened.checksum))?;
    let photographs = photographs(&arguments.photographs)?;
    let files: Vec<&Path> = photographs.iter().filter_map(Photograph::file).collect();
    // Of a single one the look at what is kept would cost more.
    let kept = match files.len() {
        0 | 1 => BTreeMap::new(),
        _ => opened.recall(&files),
    };
    let mut made = (Vec::new(), Vec::new());
    let mut broken = 0;
    for photograph in &photographs {
        let known = photograph.file().and_then(|file| kept.get(file));
        let embedding = match known {
            Some(embedding) => Ok(embedding.clone()),
            None => photograph.embed(&opened),
        };
        if let (None, Some(file), Ok(embedding)) = (known, photograph.file(), &embedding) {
            made.0.push(file);
            made.1.extend_from_slice(embedding);
        }
        let answer = embedding.and_then(|embedding| {
            let rows = Rows::new(&embedding, opened.size())?;
            let answers = index.ask(rows, arguments.nearest, arguments.precision)?;
            answers.into_iter().next().context("no answer")
        });
        let name = photograph.name();
        let text = match (&answer, arguments.json) {
            (Ok(answer), true) => as_json(&name, answer)?,
            (Ok(answer), false) => as_text(&name, answer),
            (Err(error), true) => {
                json!({ "photo": name, "error": told(error.as_ref()) }).to_string()
            }
            (Err(_), false) => String::new(),
        };
        if let Err(error) = &answer {
            broken += 1;
            progress.note(&told(error.as_ref()));
        }
        if !text.is_empty() {
            outln!("{text}")?;
        }
    }
    if files.len() > 1 {
        opened.remember(&made.0, &made.1);
    }
    ensure!(
        broken == 0,
        "{broken} of {} photographs could not be looked up",
        photographs.len()
    );
    Ok(())
}

/// The index, opened once for all photographs.
struct Index {
    gallery: Gallery,
    /// Without the graph the exact search answers the same question, only later.
    #[cfg(feature = "approximate")]
    graph: Option<Graph>,
}

impl Index {
    fn open(path: &Path) -> Result<Self> {
        let gallery = Gallery::read(path)?;
        #[cfg(feature = "approximate")]
        let graph = match gallery.wants_graph() {
            true => Some(gallery.open_graph(path)?),
            false => None,
        };
        Ok(Self {
            #[cfg(feature = "approximate")]
            graph,
            gallery,
        })
    }

    fn ask(&self, rows: Rows, count: usize, precision: f64) -> Result<Vec<Answer>> {
        #[cfg(feature = "approximate")]
        if let Some(graph) = &self.graph {
            return Ok(self.gallery.search_graph(graph, rows, count, precision)?);
        }
        Ok(self.gallery.search(rows, count, precision)?)
    }
}

/// A photograph to look up.
enum Photograph {
    File(PathBuf),
    /// The bytes of standard input.
    Bytes(Vec<u8>),
}

impl Photograph {
    fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Bytes(_) => None,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::File(path) => path.to_string_lossy().into_owned(),
            Self::Bytes(_) => "-".to_owned(),
        }
    }

    fn embed(&self, opened: &Opened) -> Result<Vec<f32>> {
        match self {
            Self::File(path) => {
                let metadata = std::fs::metadata(path);
                let metadata =
                    metadata.with_context(|| format!("cannot read {}", path.display()))?;
                // A pipe would never end.
                ensure!(metadata.is_file(), "{} is not a file", path.display());
                let bytes = std::fs::read(path);
                let bytes = bytes.with_context(|| format!("cannot read {}", path.display()))?;
                opened.embed_bytes(&bytes, path)
            }
            Self::Bytes(bytes) => opened.embed_bytes(bytes, Path::new("standard input")),
        }
    }
}

fn photographs(named: &[PathBuf]) -> Result<Vec<Photograph>> {
    let mut found = Vec::new();
    if named.is_empty() {
        if stdin().is_terminal() {
            bail!("name a photograph, or send paths or a photograph to standard input");
        }
        return from_input();
    }
    for path in named {
        if path.as_os_str() == "-" {
            found.extend(from_input()?);
        } else if path.is_dir() {
            let table = table_of(path)?;
            let rows = (0..table.rows.len()).map(|row| Photograph::File(table.describe(row)));
            found.extend(rows);
        } else {
            found.push(Photograph::File(path.clone()));
        }
    }
    Ok(found)
}

/// Paths line by line, if the first one is that of a file, or else the bytes of a photograph, known by how they begin: a path may
/// begin as one of them does, as `BMW/1.jpg`.
fn from_input() -> Result<Vec<Photograph>> {
    let limit = DecodeLimits::default().bytes;
    let mut bytes = Vec::new();
    stdin()
        .lock()
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .context("cannot read standard input")?;
    ensure!(
        bytes.len() as u64 <= limit,
        "standard input is longer than {limit} bytes"
    );
    if bytes.is_empty() {
        // What was to come through a pipe did not: a broken photograph as an empty file is.
        return Ok(vec![Photograph::Bytes(bytes)]);
    }
    let first = bytes.split(|&byte| byte == b'\n').next();
    let first = first.and_then(|line| std::str::from_utf8(line).ok());
    let is_path = first.is_some_and(|line| Path::new(line.trim_end()).is_file());
    if !is_path && image::guess_format(&bytes).is_ok() {
        return Ok(vec![Photograph::Bytes(bytes)]);
    }
    let text = lodestone_files::text(Path::new("standard input"), bytes)
        .context("standard input is neither a photograph nor a list of paths")?;
    let lines = text.lines().filter(|line| !line.is_empty());
    let named: Vec<_> = lines.map(|line| Photograph::File(line.into())).collect();
    ensure!(!named.is_empty(), "standard input names no photograph");
    Ok(named)
}

/// One line: the photograph's name in front of the answer.
fn as_json(name: &str, answer: &Answer) -> Result<String> {
    let mut value = json!({ "photo": name });
    if let (Value::Object(line), Value::Object(answer)) =
        (&mut value, serde_json::to_value(answer)?)
    {
        line.extend(answer);
    }
    Ok(value.to_string())
}

fn as_text(name: &str, answer: &Answer) -> String {
    let votes: Vec<String> = answer
        .classes
        .iter()
        .take(3)
        .map(|vote| format!("{} {:.1} %", vote.class_name, 100.0 * vote.probability))
        .collect();
    let votes = votes.join(", ");
    let named = !answer.classes.is_empty();
    let verdict = match (answer.unknown, answer.unknown_beyond) {
        (Some(true), Some(beyond)) => format!(
            "unknown: farther from everything than {beyond:.4}; of what is known it is most like {votes}"
        ),
        (Some(_), _) => votes,
        // An index without classes has no names to say.
        (None, _) if !named => "nearest".to_owned(),
        (None, _) => format!("{votes} (this index cannot tell what is unknown)"),
    };
    let mut text = format!("{name}: {verdict}");
    for (rank, near) in answer.nearest.iter().enumerate() {
        text += &format!("\n{:>4}  {:>9.4}  ", rank + 1, near.distance);
        if named {
            text += &format!("{}  ", near.class_name);
        }
        text += &near.path;
    }
    text
}

#[cfg(test)]
mod tests {
    use lodestone_gallery::{ClassVote, Near};

    use super::*;

    #[test]
    fn an_unknown_photograph_is_called_so_first() {
        let answer = Answer {
            nearest: vec![Near {
                row: 0,
                key: 4,
                path: "my cups/1.jpg".into(),
                class_name: "cups".into(),
                distance: 2.5,
            }],
            classes: vec![ClassVote {
                class_name: "cups".into(),
                probability: 0.75,
            }],
            unknown: Some(true),
            unknown_beyond: Some(1.0),
            familiarity: Some(0.0),
        };
        assert_eq!(
            as_text("x.jpg", &answer),
            "x.jpg: unknown: farther from everything than 1.0000; of what is known it is most like cups 75.0 %\n   1     2.5000  cups  \
             my cups/1.jpg"
        );
        let without = Answer {
            classes: Vec::new(),
            unknown: None,
            unknown_beyond: None,
            familiarity: None,
            ..answer.clone()
        };
        assert_eq!(
            as_text("x.jpg", &without),
            "x.jpg: nearest\n   1     2.5000  my cups/1.jpg"
        );
        let line: Value = serde_json::from_str(&as_json("x.jpg", &answer).unwrap()).unwrap();
        assert_eq!(
            (&line["photo"], &line["nearest"][0]["key"]),
            (&json!("x.jpg"), &json!(4))
        );
    }
}
