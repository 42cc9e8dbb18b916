//! `lodestone init`: from a folder to a run file with settings that suit it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use lodestone_data::{DecodeLimits, Orientation, Table, UnseenClasses, detect, find_broken};
use lodestone_files::write_whole;
use lodestone_train::{RunConfig, Survey, Wishes, documented, run_file, suggest};

use crate::args::{GoalName, InitArguments, WishesArguments};
use crate::overwrite;
use crate::resources::machine;
use crate::shell::quoted;

/// Runs the command.
pub(crate) fn run(arguments: &InitArguments) -> Result<()> {
    let out = &arguments.out;
    overwrite::check(out, arguments.force, overwrite::never)?;
    let suggested = Suggested::new(&arguments.folder, &arguments.wishes, false)?;
    let config = suggested.config(&[])?;
    let text = format!(
        "# Made by `lodestone init` for {}: {}\n# Every key with its value; a line that begins with # and ends with = has none.\n\n{}",
        arguments.folder.display().to_string().replace('\n', " "),
        suggested.found(),
        documented(&config)
    );
    write_whole(out, |file| file.write_all(text.as_bytes()))?;
    outln!("{}: {}", arguments.folder.display(), suggested.found())?;
    for notice in &suggested.notices {
        outln!("note: {notice}")?;
    }
    for hint in suggested.hints() {
        outln!("{hint}")?;
    }
    outln!("{}", plan(&config))?;
    outln!("run file: {}", out.display())?;
    outln!("train with: lodestone train --config {}", quoted(out))?;
    Ok(())
}

/// A run file made for a folder, and what it was made from.
pub(crate) struct Suggested {
    folder: PathBuf,
    set: &'static str,
    survey: Survey,
    text: String,
    has_weights: bool,
    /// What of the folder is not read; a training says it when it opens the set.
    notices: Vec<String>,
}

impl Suggested {
    /// Looks at the folder; with `skip_broken` without the photographs that cannot be read, and the classes that have no others.
    pub(crate) fn new(folder: &Path, wishes: &WishesArguments, skip_broken: bool) -> Result<Self> {
        let (set, root) = detect(folder)?;
        // A run file may be read from elsewhere.
        let root = std::path::absolute(root)?;
        let mut table: Table = set.open(Some(&root))?;
        let notices = table.notices.clone();
        if skip_broken {
            let limits = DecodeLimits::default();
            let broken = find_broken(&table, Orientation::default(), limits, || {});
            table.leave_out(&broken);
        }
        let unseen = wishes
            .unseen
            .map(|share| UnseenClasses::Share { share, seed: 0 });
        if let Some(unseen) = &unseen {
            table.set_unseen(unseen)?;
        }
        let survey = Survey::of(&table)?;
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let weights = wishes
            .weights
            .as_ref()
            .map(std::path::absolute)
            .transpose()?;
        let wished = Wishes {
            goal: wishes.loss.map(GoalName::goal),
            weights,
            unseen,
            threads: threads.clamp(2, 8),
        };
        Ok(Self {
            folder: folder.to_path_buf(),
            set: set.name(),
            text: suggest(&set, Some(&root), &survey, &wished)?,
            survey,
            has_weights: wishes.weights.is_some(),
            notices,
        })
    }

    /// The run file with `overrides` on top.
    pub(crate) fn config(&self, overrides: &[String]) -> Result<RunConfig> {
        let name = PathBuf::from(format!("run file made for {}", self.folder.display()));
        Ok(run_file::parse(&self.text, &name, overrides)?)
    }

    /// What was found, in a line.
    pub(crate) fn found(&self) -> String {
        let Survey {
            classes,
            unseen,
            train,
            validation,
            test,
            class_sizes: [smallest, middle, largest],
            side,
            grey,
            ..
        } = self.survey;
        let unseen = match unseen {
            0 => String::new(),
            unseen => format!(" to train on and {unseen} that are only tested on"),
        };
        format!(
            "{} with {classes} classes{unseen}; {train} training, {validation} validation and {test} test photographs; {smallest} to \
             {largest} training photographs a class, median {middle}; {}, about {side} pixels",
            self.set,
            if grey { "grey" } else { "colour" }
        )
    }

    /// What would make the result better.
    pub(crate) fn hints(&self) -> Vec<String> {
        let mut hints = Vec::new();
        let [smallest, _, _] = self.survey.class_sizes;
        if smallest < 5 {
            hints.push(format!(
                "hint: a class has {smallest} training photographs; ten or more of each class make a difference"
            ));
        }
        if self.survey.test == 0 && self.survey.validation == 0 {
            hints.push(
                "hint: there are no test photographs, so a fifth of each class is held out where there are enough; to choose them yourself \
                 put the class folders into `train` and `test`"
                    .to_owned(),
            );
        }
        if !self.has_weights && self.survey.side >= 100 {
            hints.push(
                "hint: without --weights a small network starts from random weights; use pretrained ones for photographs (docs/guide, \
                 `Your own photographs`)"
                    .to_owned(),
            );
        }
        hints
    }
}

/// What the run will do, in a line.
pub(crate) fn plan(config: &RunConfig) -> String {
    // As the run file spells it.
    let loss = serde_json::to_value(&config.loss).unwrap_or_default();
    let data = &config.data;
    let held_out = match (data.validation, data.validation_classes) {
        (share, _) if share > 0.0 => format!("; {share} of each class held out to choose settings"),
        (_, share) if share > 0.0 => {
            format!("; {share} of the training classes held out to choose settings")
        }
        _ => String::new(),
    };
    format!(
        "{} loss on {}, {} images to train on{held_out}; {}",
        loss["kind"].as_str().unwrap_or_default(),
        config.model.network.name(),
        config.train.images,
        machine()
    )
}
