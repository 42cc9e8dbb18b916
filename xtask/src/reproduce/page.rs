//! The tables of `docs/results.md` and of the README, made from the ledgers.

use std::fmt::Write;

use anyhow::Result;

use super::cell::Stage;
use super::factors;
use super::ledger::{JudgedIn, Ledger, Row};
use super::loss::Loss;
use super::outcomes::{Outcomes, Rule};
use super::plan::{KEPT, POINTS, Plan, own_ranges, shared_ranges};
use super::set::{Set, Task};
use super::statistics::{mean, spread};
use super::verdicts::{Beside, Standing, Word, reported, standings};
use crate::process::quoted;

/// What a page says before its sets.
pub(crate) const RULES: &str = "\
Every loss gets the same search: settings of its own drawn evenly from the declared ranges, tried at a quarter of the length on \
held-out images; the best four at full length; the best of these with several seeds on the test images. No setting comes from \
anywhere else. Batches have 48 images. All losses are judged by the same rules, in Euclidean distance between the embeddings that \
they make (of length 1 where the loss wants it) and in cosine; held-out images choose between the two, too; frozen features are ranked by cosine. \
*Ahead*, *level* and *behind* are what a paired bootstrap over seeds and test images (over classes where classes are unseen) says \
after Holm's correction for the number of losses, and nothing else. These intervals hold seeds and images and not the luck of the \
search, which the spread of a loss's best four settings tells: where the second best is far behind the best, another draw of points \
could change the order.\n";

/// Everything about a set.
pub(crate) fn of(set: Set) -> Result<String> {
    let ledger = Ledger::of(set)?;
    let outcomes = Outcomes::of(set)?;
    let mut text = format!("## {}\n", set.name());
    text += &sizes(set, &ledger);
    for &task in set.tasks() {
        let tested =
            |row: &Row| (row.label.task == task.name(), row.label.stage) == (true, Stage::Test);
        if !ledger.rows.iter().any(tested) {
            continue;
        }
        text += "\n";
        text += &match task {
            Task::Closed | Task::Unseen => compared(&ledger, &outcomes, task),
            Task::AllLayers => compared(&ledger, &outcomes, task),
            Task::Cause => format!("### {}\n\n{}", title(task), factors::page(&ledger)),
            Task::Hierarchy => hierarchy(&ledger),
        };
    }
    text += &left(set, &ledger)?;
    Ok(text)
}

/// Which size of photographs softmax chose.
fn sizes(set: Set, ledger: &Ledger) -> String {
    let count = set.image_sizes().len();
    let Some(ranked) = ledger.ranked(Task::Closed, Loss::Softmax, Stage::ImageSize, count) else {
        return String::new();
    };
    let words = ranked.iter().filter_map(|row| {
        let error = 100.0 * row.outcome.held_out?;
        Some(format!("{} {error:.1} %", row.label.setting))
    });
    format!(
        "\nThe size of photographs is what softmax alone chose on held-out ones, by the error of the nearest class mean: {}.\n",
        words.collect::<Vec<_>>().join(", ")
    )
}

fn title(task: Task) -> &'static str {
    match task {
        Task::Closed => "Classes that were trained on",
        Task::Unseen => "Classes never seen",
        Task::Cause => "Magnet: size, temperature, own mean, optimiser",
        Task::Hierarchy => "Fine classes below merged ones",
        Task::AllLayers => "All layers trained",
    }
}

/// A comparison of losses: numbers, words, settings.
fn compared(ledger: &Ledger, outcomes: &Outcomes, task: Task) -> String {
    let rules = Rule::of(task);
    let all: Vec<Vec<Standing>> = rules
        .iter()
        .map(|&rule| standings(ledger, outcomes, task, rule))
        .collect();
    let mut text = format!("### {}\n\n", title(task));
    let headings: Vec<&str> = rules.iter().map(|rule| rule.title()).collect();
    let _ = writeln!(
        text,
        "| loss | distance | {} | own rule, error % | paper, error % | beside softmax | beside the best | seeds |",
        headings.join(" | ")
    );
    let _ = writeln!(
        text,
        "|---|---|{}---:|---:|---|---|---:|",
        "---:|".repeat(rules.len())
    );
    for standing in &all[0] {
        let loss = standing.loss;
        let of_loss = |place: usize| all[place].iter().find(|one| one.loss == loss);
        let rows = reported(ledger, task, loss);
        let distance = rows[0].outcome.distance.unwrap_or(JudgedIn::Own);
        let values = (0..rules.len()).map(|place| {
            of_loss(place).map_or("–".into(), |one| match rules[place].measure().1 {
                true => spread(
                    &one.seeds
                        .iter()
                        .map(|right| 1.0 - right)
                        .collect::<Vec<_>>(),
                ),
                false => spread(&one.seeds),
            })
        });
        let values: Vec<String> = values.collect();
        let words = |pick: &dyn Fn(&Standing) -> Option<Beside>| {
            let words = (0..rules.len()).map(|place| {
                let beside = of_loss(place).and_then(pick);
                beside.map_or("–", |beside| beside.word.in_words())
            });
            words.collect::<Vec<_>>().join(", ")
        };
        let own: Vec<f64> = rows
            .iter()
            .filter_map(|row| own_rule(row, loss, task))
            .collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            loss.name(),
            distance.in_words(),
            values.join(" | "),
            if own.is_empty() {
                "–".into()
            } else {
                spread(&own)
            },
            paper(loss, ledger.set, task),
            words(&|one| one.softmax),
            words(&|one| one.best),
            rows.len(),
        );
    }
    text += "\nWords stand for the rules in the order of their columns.\n";
    text += &differences(&all, rules);
    text += &both_distances(ledger, task);
    text += &settings(ledger, task);
    text
}

fn paper(loss: Loss, set: Set, task: Task) -> String {
    let known = loss.of_paper(set.name()).filter(|_| task != Task::Unseen);
    known.map_or("–".into(), |error| format!("{error:.1}"))
}

fn own_rule(row: &Row, loss: Loss, task: Task) -> Option<f64> {
    let key = format!("{}_error_at_1", loss.own_rule());
    let found = (task != Task::Unseen).then(|| row.outcome.measures.get(&key))?;
    found.copied()
}

/// Paired differences with their intervals.
fn differences(all: &[Vec<Standing>], rules: &[Rule]) -> String {
    let mut text = String::from(
        "\n<details><summary>Paired differences, points of right answers or of MAP@R</summary>\n\n\
         | loss | rule | minus softmax | 95 % interval | word | minus the best | 95 % interval | word |\n\
         |---|---|---:|---:|---|---:|---:|---|\n",
    );
    for (standings, rule) in all.iter().zip(rules) {
        for one in standings {
            let cells = |beside: Option<Beside>| match beside {
                None => "– | – | –".to_owned(),
                Some(Beside { difference, word }) => format!(
                    "{:+.2} | {:+.2} to {:+.2} | {}",
                    100.0 * difference.mean,
                    100.0 * difference.interval.0,
                    100.0 * difference.interval.1,
                    word.in_words()
                ),
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                one.loss.name(),
                rule.measure()
                    .0
                    .replace("_error_at_1", "")
                    .replace('_', " "),
                cells(one.softmax),
                cells(one.best)
            );
        }
    }
    text + "\n</details>\n"
}

/// Every rule in both distances.
fn both_distances(ledger: &Ledger, task: Task) -> String {
    let mut heading = String::from("| loss |");
    for rule in Rule::of(task) {
        for distance in JudgedIn::ALL {
            let _ = write!(
                heading,
                " {}, {} |",
                rule.measure().0.replace('_', " "),
                distance.in_words()
            );
        }
    }
    let mut text = format!(
        "\n<details><summary>Both distances, %</summary>\n\n{heading}\n|---|{}\n",
        "---:|".repeat(2 * Rule::of(task).len())
    );
    for loss in ledger.set.losses(task) {
        let rows = reported(ledger, task, loss);
        if rows.is_empty() {
            continue;
        }
        let _ = write!(text, "| {} |", loss.name());
        for rule in Rule::of(task) {
            for distance in JudgedIn::ALL {
                let key = distance.key(rule.measure().0);
                let key = if task == Task::Unseen {
                    format!("unseen.{key}")
                } else {
                    key
                };
                let values = rows
                    .iter()
                    .filter_map(|row| row.outcome.measures.get(&key).copied());
                let values: Vec<f64> = values.collect();
                let shown = if values.is_empty() {
                    "–".into()
                } else {
                    spread(&values)
                };
                let _ = write!(text, " {shown} |");
            }
        }
        text += "\n";
    }
    text + "\n</details>\n"
}

/// The winners' settings, the spread of the best four, and what they cost.
fn settings(ledger: &Ledger, task: Task) -> String {
    let searched = task.searched();
    let plan = Plan {
        set: ledger.set,
        ledger,
    };
    let columns = [
        ("trunk rate", "optimizer.trunk_rate"),
        ("head rate", "optimizer.head_rate"),
        ("weight decay", "optimizer.weight_decay"),
        ("start", "model.head.initialise"),
        ("size", "model.head.embedding_size"),
        ("dropout", "model.head.dropout"),
        ("smallest crop", "data.augmentation.random_crop.scale"),
    ];
    let names = columns.map(|(name, _)| name).join(" | ");
    let mut text = format!(
        "\n<details><summary>The winners' settings, of {POINTS} points each</summary>\n\n\
         | loss | held-out % of the best {KEPT} | optimiser | {names} | of its own | seconds | peak MB | commit |\n\
         |---|---|---|{}---|---:|---:|---|\n",
        "---|".repeat(columns.len())
    );
    for loss in ledger.set.losses(task) {
        let Some(winner) = plan.winner(searched, loss) else {
            continue;
        };
        let four = ledger
            .ranked(searched, loss, Stage::Full, 1)
            .unwrap_or_default();
        let four = four.iter().filter_map(|row| row.outcome.held_out);
        let four: Vec<String> = four.map(|value| format!("{:.1}", 100.0 * value)).collect();
        let adam = winner
            .setting("optimizer.rule")
            .is_some_and(|rule| rule.contains("adam"));
        let values = columns.map(|(_, key)| winner.setting(key).unwrap_or("–").to_owned());
        let own = winner.sets.iter().filter(|set| {
            let own = ["loss.", "sampler=", "sampler.", "index."];
            own.iter().any(|start| set.starts_with(start))
        });
        let own: Vec<&str> = own.map(String::as_str).collect();
        let rows = reported(ledger, task, loss);
        let seconds: Vec<f64> = rows.iter().filter_map(|row| row.outcome.seconds).collect();
        let memory = rows
            .iter()
            .filter_map(|row| row.outcome.peak_memory_bytes)
            .max();
        let commits: std::collections::BTreeSet<&str> =
            rows.iter().map(|row| row.commit.as_str()).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | `{}` | {} | {} | {} |",
            loss.name(),
            four.join(", "),
            if adam { "AdamW" } else { "SGD" },
            values.join(" | "),
            own.join(" "),
            if seconds.is_empty() {
                "–".into()
            } else {
                format!("{:.0}", mean(&seconds))
            },
            memory.map_or("–".into(), |bytes| format!("{:.0}", bytes as f64 / 1e6)),
            commits.into_iter().collect::<Vec<_>>().join(", "),
        );
    }
    text += "\nSeconds are those of a tested run that had the machine to itself; – where none had.\n\nRanges:\n\n";
    let scale = ledger.set.scale();
    let _ = writeln!(text, "- all: {}", shared_ranges(scale).join("; "));
    for loss in ledger.set.losses(task) {
        let own = own_ranges(loss, scale);
        if !own.is_empty() {
            let _ = writeln!(text, "- {}: {}", loss.name(), own.join("; "));
        }
    }
    text + "\n</details>\n"
}

/// Fine classes by the soft vote of training images, as the paper judges them.
fn hierarchy(ledger: &Ledger) -> String {
    let mut text = format!(
        "### {}\n\nSettings of the closed comparison, chosen without the fine labels. Error of fine classes by soft kNN, %.\n\n\
         | loss | merged classes | fine error % | seeds |\n|---|---|---:|---:|\n",
        title(Task::Hierarchy)
    );
    for loss in ledger.set.losses(Task::Hierarchy) {
        let rows = ledger.at(Task::Hierarchy, loss, Stage::Test);
        let settings: std::collections::BTreeSet<&str> =
            rows.iter().map(|row| row.label.setting.as_str()).collect();
        for setting in settings {
            let of_setting = rows.iter().filter(|row| row.label.setting == setting);
            let key = "hierarchy_soft_knn_error_at_1";
            let values: Vec<f64> = of_setting
                .filter_map(|row| row.outcome.measures.get(key).copied())
                .collect();
            if !values.is_empty() {
                let _ = writeln!(
                    text,
                    "| {} | {setting} | {} | {} |",
                    loss.name(),
                    spread(&values),
                    values.len()
                );
            }
        }
    }
    text
}

/// What has not been run, with its command.
fn left(set: Set, ledger: &Ledger) -> Result<String> {
    let plan = Plan { set, ledger };
    let mut text = String::new();
    for &task in set.tasks() {
        let mut waiting = Vec::new();
        for loss in set.losses(task) {
            let known = plan.cells(task, &[loss])?;
            let done = known
                .iter()
                .filter(|cell| ledger.row(&cell.label).is_some())
                .count();
            if done < plan.count(task, &[loss])?.max(1) {
                waiting.push(loss.name());
            }
        }
        if !waiting.is_empty() {
            let photographs = match set {
                Set::FashionMini => "",
                _ => " --data FOLDER --weights FILE",
            };
            let names = quoted(&waiting.join(","));
            let _ = writeln!(
                text,
                "\nNot run yet: `cargo xtask reproduce {} {} --campaign{photographs} --losses {names}`",
                set.name(),
                task.name(),
            );
        }
    }
    Ok(text)
}

/// The table of losses by sets, and a sentence for each, for the README.
pub(crate) fn summary() -> Result<String> {
    let mut columns = Vec::new();
    let mut sentences = String::new();
    for set in Set::ALL {
        let (ledger, outcomes) = (Ledger::of(set)?, Outcomes::of(set)?);
        for (task, rule) in [
            (Task::Closed, Rule::NearestClassMean),
            (Task::Closed, Rule::MapAtR),
            (Task::Unseen, Rule::MapAtR),
        ] {
            let standings = standings(&ledger, &outcomes, task, rule);
            if standings.len() < 2 {
                continue;
            }
            let name = match (task, rule) {
                (Task::Unseen, _) => format!("{}, unseen classes: MAP@R %", set.name()),
                (_, Rule::MapAtR) => format!("{}: MAP@R %", set.name()),
                _ => format!("{}: error %", set.name()),
            };
            if rule != Rule::MapAtR || task == Task::Unseen {
                sentences += &sentence(set, task, &standings);
            }
            columns.push((name, rule, standings));
        }
    }
    if columns.is_empty() {
        return Ok("No comparison has been run yet: `cargo xtask reproduce --campaign`.\n".into());
    }
    let names: Vec<&str> = columns.iter().map(|(name, ..)| name.as_str()).collect();
    let mut text = format!(
        "| loss | {} |\n|---|{}\n",
        names.join(" | "),
        "---:|".repeat(names.len())
    );
    for loss in [Loss::Frozen].into_iter().chain(Loss::ALL) {
        let cells = columns.iter().map(|(_, rule, standings)| {
            let one = standings.iter().find(|one| one.loss == loss)?;
            let right = 100.0 * mean(&one.seeds);
            Some(format!(
                "{:.1}",
                if rule.measure().1 {
                    100.0 - right
                } else {
                    right
                }
            ))
        });
        let cells: Vec<Option<String>> = cells.collect();
        if cells.iter().any(Option::is_some) {
            let shown: Vec<String> = cells
                .into_iter()
                .map(|cell| cell.unwrap_or("–".into()))
                .collect();
            let _ = writeln!(text, "| {} | {} |", loss.name(), shown.join(" | "));
        }
    }
    Ok(format!("{text}\n{sentences}"))
}

/// Who is ahead of softmax, level and behind, by the first rule.
fn sentence(set: Set, task: Task, standings: &[Standing]) -> String {
    let of = |word: Word| {
        let names = standings
            .iter()
            .filter(|one| one.softmax.is_some_and(|beside| beside.word == word));
        let names: Vec<&str> = names.map(|one| one.loss.name()).collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    };
    let rule = match task {
        Task::Unseen => "MAP@R among classes never seen",
        _ => "nearest class mean",
    };
    format!(
        "On {} by {rule}: ahead of softmax {}; level {}; behind {}.\n",
        set.name(),
        of(Word::Ahead),
        of(Word::Level),
        of(Word::Behind)
    )
}
