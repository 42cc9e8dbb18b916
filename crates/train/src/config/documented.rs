//! A run file with every key, its value and what it means: what `lodestone init` shows.

use std::fmt::Write as _;

use toml::{Table, Value};

use crate::config::explain::explain_in;
use crate::config::run_config::RunConfig;
use crate::config::run_file::short;

/// The run file of a configuration, with all defaults spelled out and the first sentence of each key's documentation above
/// it, and that of its value where it is one of a list. Keys that have no value stand in comments.
///
/// # Example
/// ```
/// use lodestone_train::{RunConfig, documented, run_file};
///
/// let file = "datasets/fashion-mini/magnet.toml";
/// # let file = format!("{}/../../{file}", env!("CARGO_MANIFEST_DIR"));
/// let config: RunConfig = run_file::read(file.as_ref(), &[])?;
/// let text = documented(&config);
/// assert!(text.contains("# When the cluster index is built anew.\n[train.refresh]\n"));
/// assert_eq!(run_file::parse::<RunConfig>(&text, "again".as_ref(), &[])?, config);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn documented(config: &RunConfig) -> String {
    let mut text = String::new();
    // Structs, numbers, text and lists only: there is nothing in a configuration that TOML cannot hold.
    if let Ok(config) = Value::try_from(config).map(short)
        && let Value::Table(table) = &config
    {
        write_table(&mut text, &config, table, "");
    }
    text
}

/// Writes a table of `config`, that at `path`.
fn write_table(text: &mut String, config: &Value, table: &Table, path: &str) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    let (tables, values): (Vec<_>, Vec<_>) = table
        .iter()
        .partition(|(_, value)| matches!(value, Value::Table(_)));
    for (name, value) in values {
        comment(text, config, &below(name), value.as_str());
        let _ = writeln!(text, "{name} = {value}");
    }
    for name in absent(config, table, path) {
        comment(text, config, &below(&name), None);
        let _ = writeln!(text, "# {name} =");
    }
    for (name, value) in tables {
        let Value::Table(inner) = value else { continue };
        let key = below(name);
        text.push('\n');
        comment(text, config, &key, None);
        let _ = writeln!(text, "[{key}]");
        write_table(text, config, inner, &key);
    }
}

/// Keys that a table may have and does not: those without a value, of the variant that the table is.
fn absent(config: &Value, table: &Table, path: &str) -> Vec<String> {
    let Ok(explanation) = explain_in(config, path) else {
        return Vec::new();
    };
    let known = explanation.meanings.into_iter().flat_map(|one| one.keys);
    known.filter(|name| !table.contains_key(name)).collect()
}

/// Says what a key means, and what the value `chosen` of a list does.
fn comment(text: &mut String, config: &Value, key: &str, chosen: Option<&str>) {
    let Ok(explanation) = explain_in(config, key) else {
        return;
    };
    let Some(meaning) = explanation.meanings.first() else {
        return;
    };
    let first = first_sentence(&meaning.text);
    if !first.is_empty() {
        let _ = writeln!(text, "# {first}");
    }
    let values = meaning.values.iter();
    let said = values.filter(|(name, _)| Some(name.as_str()) == chosen);
    if let Some((name, said)) = said.into_iter().find(|(_, said)| !said.is_empty()) {
        let _ = writeln!(text, "# {name}: {}", first_sentence(said));
    }
}

/// Up to the first full stop that ends a sentence, on one line.
fn first_sentence(text: &str) -> &str {
    let paragraph = text.split("\n\n").next().unwrap_or(text);
    match paragraph.find(". ") {
        Some(end) => &paragraph[..=end],
        None => paragraph,
    }
}

#[cfg(test)]
mod tests {
    use lodestone_losses::LossConfig;

    use super::*;
    use crate::config::explain::explain;
    use crate::config::run_file;
    use crate::testing::small_config;

    #[test]
    fn the_text_reads_back_as_the_same_configuration() {
        for settings in [
            &[][..],
            &["loss={kind=\"magnet\"}", "sampler={kind=\"neighbourhood\"}"],
            &[
                "data.coarse={kind=\"random\",groups=3}",
                "index.per_class={Coat=4}",
            ],
            &["data.coarse={kind=\"listed\",merged=[[\"a\",\"b\"],[\"c\"]]}"],
        ] {
            let config = small_config(settings);
            let text = documented(&config);
            let again: RunConfig = run_file::parse(&text, "again".as_ref(), &[]).unwrap();
            assert_eq!(again, config, "{text}");
            assert!(text.contains("# weights =\n"), "{text}");
        }
    }

    #[test]
    fn a_value_of_a_list_is_explained_and_numbers_have_few_digits() {
        let text = documented(&small_config(&["optimizer.rule={kind=\"adam\"}"]));
        assert!(text.contains("beta_1 = 0.9\n"), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        let at = lines.iter().position(|line| *line == "when = \"epochs\"");
        assert_eq!(
            lines[at.unwrap() - 1],
            "# epochs: At the end of every so many epochs."
        );
    }

    #[test]
    fn a_key_of_several_variants_is_explained_as_in_the_one_that_is_chosen() {
        let mut shared = 0;
        for kind in LossConfig::KINDS {
            let sampler = match kind {
                "magnet" => "neighbourhood",
                _ => "balanced",
            };
            let config = small_config(&[
                &format!("loss={{kind=\"{kind}\"}}"),
                &format!("sampler={{kind=\"{sampler}\"}}"),
            ]);
            let text = documented(&config);
            let loss = text.split("\n\n").find(|part| part.contains("\n[loss]\n"));
            let loss: Vec<&str> = loss.unwrap().lines().collect();
            for at in 0..loss.len() {
                let setting = loss[at].split_once(" = ");
                let Some((name, _)) = setting.filter(|_| !loss[at].starts_with('#')) else {
                    continue;
                };
                let meanings = explain(&format!("loss.{name}")).unwrap().meanings;
                let own = meanings.iter().find(|one| one.of == [kind]);
                // The tag itself is explained where the variants are.
                if let Some(own) = own.filter(|_| name != "kind") {
                    let comment = format!("# {}", first_sentence(&own.text));
                    let above = loss[..at].iter().rev();
                    let mut above = above.take_while(|line| line.starts_with("# "));
                    // A value of a list has a line of its own below.
                    assert!(above.any(|line| *line == comment), "{kind}: {name}");
                    shared += usize::from(meanings.len() > 1);
                }
            }
        }
        assert!(shared > 10, "{shared}");
    }
}
