//! What became of each test image of a reported run, which is what losses are compared by, image by image.
//!
//! `datasets/NAME/outcomes.json` has one line for each reported run. Where the classes were trained on the images are the units
//! that are drawn; where they were not, the classes are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::ledger::JudgedIn;
use super::set::{Set, Task};
use crate::files::{read_text, write_whole};

/// A rule that every loss is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rule {
    NearestClassMean,
    NearestNeighbour,
    MapAtR,
}

impl Rule {
    /// The rules of a task. Classes that were not trained on have no means.
    pub(crate) fn of(task: Task) -> &'static [Self] {
        match task {
            Task::Unseen => &[Self::NearestNeighbour, Self::MapAtR],
            _ => &[Self::NearestClassMean, Self::NearestNeighbour, Self::MapAtR],
        }
    }

    /// Its column in `outcomes.csv`, by own distance.
    fn column(self) -> &'static str {
        match self {
            Self::NearestClassMean => "nearest_class_mean",
            Self::NearestNeighbour => "nearest_neighbour",
            Self::MapAtR => "map_at_r",
        }
    }

    /// The measure of a report, and whether it is an error.
    pub(crate) fn measure(self) -> (&'static str, bool) {
        match self {
            Self::NearestClassMean => ("nearest_class_mean_error_at_1", true),
            Self::NearestNeighbour => ("recall_at_1", false),
            Self::MapAtR => ("map_at_r", false),
        }
    }

    /// Heading of a table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::NearestClassMean => "nearest class mean, error %",
            Self::NearestNeighbour => "recall@1 %",
            Self::MapAtR => "MAP@R %",
        }
    }
}

/// Shares of right answers, or precisions, of units in a fixed order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Units {
    /// A unit each: an image, or the mean of a class.
    pub(crate) values: Vec<f64>,
    /// Images in each.
    pub(crate) weights: Vec<f64>,
}

/// A rule's outcomes as they are written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Packed {
    /// Four images a hexadecimal digit, the first in the highest bit; 1 is right.
    Right(String),
    /// Two digits an image: precision in steps of 1/255.
    Precision(String),
    /// The sum over the images of each class, and how many there are.
    Classes(Vec<(f64, u32)>),
}

/// A reported run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    key: String,
    images: usize,
    rules: BTreeMap<Rule, Packed>,
}

/// The outcomes of a set's reported runs, by the key of the cell.
#[derive(Debug)]
pub(crate) struct Outcomes {
    path: PathBuf,
    lines: Vec<Line>,
}

impl Outcomes {
    /// Reads those of a set; none are there before the first.
    pub(crate) fn of(set: Set) -> Result<Self> {
        Self::open(&set.folder().join("outcomes.json"))
    }

    fn open(path: &Path) -> Result<Self> {
        let text = match path.exists() {
            true => read_text(path)?,
            false => String::new(),
        };
        let lines = text.lines().enumerate().map(|(number, line)| {
            serde_json::from_str(line)
                .with_context(|| format!("{}, line {}", path.display(), number + 1))
        });
        Ok(Self {
            path: path.to_path_buf(),
            lines: lines.collect::<Result<_>>()?,
        })
    }

    /// Takes in `outcomes.csv` of a run that was reported, by the distance that its search chose, and saves. Lines whose key is
    /// not among `alive` go.
    pub(crate) fn record(
        &mut self,
        key: &str,
        file: &Path,
        task: Task,
        distance: JudgedIn,
        alive: &dyn Fn(&str) -> bool,
    ) -> Result<()> {
        let line = read(key, file, task, distance)?;
        self.lines.retain(|old| old.key != key && alive(&old.key));
        self.lines.push(line);
        self.lines.sort_by(|a, b| a.key.cmp(&b.key));
        let lines = self.lines.iter().map(serde_json::to_string);
        let lines: Vec<String> = lines.collect::<Result<_, _>>()?;
        write_whole(&self.path, (lines.join("\n") + "\n").as_bytes())
    }

    /// The units of a run; absent where they were not written down.
    pub(crate) fn units(&self, key: &str, rule: Rule) -> Option<Units> {
        let line = self.lines.iter().find(|line| line.key == key)?;
        let values: Vec<f64> = match line.rules.get(&rule)? {
            Packed::Right(text) => {
                let digits = text.chars().map(|c| c.to_digit(16).unwrap_or(0));
                let bits = digits.flat_map(|digit| [8, 4, 2, 1].map(|bit| digit & bit > 0));
                bits.map(f64::from).take(line.images).collect()
            }
            Packed::Precision(text) => {
                let byte = |place: usize| {
                    let digits = text.get(2 * place..2 * place + 2).unwrap_or("0");
                    f64::from(u8::from_str_radix(digits, 16).unwrap_or(0)) / 255.0
                };
                (0..line.images).map(byte).collect()
            }
            Packed::Classes(classes) => {
                let values = classes.iter().map(|&(sum, count)| sum / f64::from(count));
                let weights = classes.iter().map(|&(_, count)| f64::from(count));
                return Some(Units {
                    values: values.collect(),
                    weights: weights.collect(),
                });
            }
        };
        let weights = vec![1.0; values.len()];
        Some(Units { values, weights })
    }
}

/// Reads `outcomes.csv`.
fn read(key: &str, file: &Path, task: Task, distance: JudgedIn) -> Result<Line> {
    let text = read_text(file)?;
    let mut lines = text.lines();
    let heading: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    // From the end, since a path may hold a comma; what follows the class's name never does.
    let from_end = |name: &str| -> Result<usize> {
        let place = heading.iter().position(|&column| column == name);
        let place = place.with_context(|| format!("{} has no column {name}", file.display()))?;
        Ok(heading.len() - place)
    };
    let (label, seen) = (from_end("label")?, from_end("seen")?);
    let mut rules: BTreeMap<Rule, Vec<(String, f64)>> = BTreeMap::new();
    let mut columns = Vec::new();
    for &rule in Rule::of(task) {
        let name = match distance {
            JudgedIn::Own => rule.column().to_owned(),
            JudgedIn::Cosine => format!("{}_cosine", rule.column()),
        };
        columns.push((rule, from_end(&name)?));
    }
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let field = |from_end: usize| {
            let place = fields.len().checked_sub(from_end)?;
            fields.get(place).copied()
        };
        let was_seen = field(seen).is_some_and(|text| text == "true" || text == "1");
        if task == Task::Unseen && was_seen {
            continue;
        }
        for &(rule, column) in &columns {
            // A query that has nothing to find has no outcome.
            let value = field(column).filter(|text| !text.is_empty());
            let Some(value) = value else { continue };
            let value: f64 = value
                .parse()
                .with_context(|| format!("{}: {line}", file.display()))?;
            let class = field(label).unwrap_or_default().to_owned();
            rules.entry(rule).or_default().push((class, value));
        }
    }
    let images = rules.values().map(Vec::len).max().unwrap_or(0);
    ensure!(images > 0, "{} has no outcomes", file.display());
    let packed = rules.into_iter().map(|(rule, values)| {
        ensure!(
            task == Task::Unseen || values.len() == images,
            "{} has {} outcomes of {} and {images} of another rule",
            file.display(),
            values.len(),
            rule.column()
        );
        Ok((rule, pack(task, rule, &values)))
    });
    Ok(Line {
        key: key.to_owned(),
        images,
        rules: packed.collect::<Result<_>>()?,
    })
}

fn pack(task: Task, rule: Rule, values: &[(String, f64)]) -> Packed {
    if task == Task::Unseen {
        let mut classes: BTreeMap<&str, (f64, u32)> = BTreeMap::new();
        for (class, value) in values {
            let one = classes.entry(class).or_default();
            *one = (one.0 + value, one.1 + 1);
        }
        let rounded = |(sum, count): (f64, u32)| ((sum * 1e4).round() / 1e4, count);
        return Packed::Classes(classes.into_values().map(rounded).collect());
    }
    match rule {
        Rule::MapAtR => Packed::Precision(
            values
                .iter()
                .map(|(_, value)| format!("{:02x}", (255.0 * value).round() as u8))
                .collect(),
        ),
        _ => {
            let digit = |four: &[(String, f64)]| {
                let bits = four.iter().zip([8, 4, 2, 1]);
                let bits = bits.map(|((_, right), bit)| if *right > 0.5 { bit } else { 0 });
                format!("{:x}", bits.sum::<u8>())
            };
            Packed::Right(values.chunks(4).map(digit).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "path,class_name,label,seen,nearest_neighbour,map_at_r,nearest_class_mean,\
        nearest_neighbour_cosine,map_at_r_cosine,nearest_class_mean_cosine\n\
        \"a, b.jpg\",x,0,true,1,0.5000,0,0,0.2500,1\n\
        c.jpg,x,0,true,1,1.0000,1,1,1.0000,1\n\
        d.jpg,y,1,false,0,0.0000,,1,0.5000,\n\
        e.jpg,y,1,false,1,0.5000,,1,0.5000,\n\
        f.jpg,z,2,false,,,,,,\n";

    fn outcomes(task: Task, distance: JudgedIn) -> Outcomes {
        let folder = std::env::temp_dir().join(format!(
            "lodestone-outcomes-{}-{task:?}-{distance:?}",
            std::process::id()
        ));
        let file = folder.join("outcomes.csv");
        let text = match task {
            Task::Unseen => FILE.to_owned(),
            _ => FILE
                .lines()
                .take(3)
                .map(|line| format!("{line}\n"))
                .collect(),
        };
        write_whole(&file, text.as_bytes()).unwrap();
        let path = folder.join("outcomes.json");
        let mut outcomes = Outcomes::open(&path).unwrap();
        outcomes
            .record("abc", &file, task, distance, &|_| true)
            .unwrap();
        let again = Outcomes::open(&path).unwrap();
        assert_eq!(again.lines, outcomes.lines);
        std::fs::remove_dir_all(folder).unwrap();
        again
    }

    #[test]
    fn images_of_trained_classes_are_units_themselves() {
        let own = outcomes(Task::Closed, JudgedIn::Own);
        let values = |rule| own.units("abc", rule).unwrap().values;
        assert_eq!(values(Rule::NearestNeighbour), [1.0, 1.0]);
        assert_eq!(values(Rule::NearestClassMean), [0.0, 1.0]);
        assert_eq!(values(Rule::MapAtR), [128.0 / 255.0, 1.0]);
        let cosine = outcomes(Task::Closed, JudgedIn::Cosine);
        let values = cosine.units("abc", Rule::NearestNeighbour).unwrap().values;
        assert_eq!(values, [0.0, 1.0]);
    }

    #[test]
    fn classes_that_were_never_seen_are_units_with_their_images_as_weight() {
        let own = outcomes(Task::Unseen, JudgedIn::Own);
        let units = own.units("abc", Rule::MapAtR).unwrap();
        // The lone image of class 2 has no outcome, and classes 0 was trained on.
        assert_eq!((units.values, units.weights), (vec![0.25], vec![2.0]));
        assert!(own.units("abc", Rule::NearestClassMean).is_none());
        assert!(own.units("other", Rule::MapAtR).is_none());
    }
}
