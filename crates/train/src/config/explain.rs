//! What the keys of a run file mean, taken from the documentation of the types that read them.
//!
//! The types derive a JSON schema, whose descriptions are their doc comments: there is no second text that could drift.

use serde_json::Value;

use crate::config::run_config::RunConfig;

/// What a key means, once for each place where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The key, such as `train.refresh`.
    pub key: String,
    /// One for each variant that has the key; `loss.margin` belongs to several losses.
    pub meanings: Vec<Meaning>,
}

/// What a key means in one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Meaning {
    /// The variants it belongs to, such as `magnet`; empty if it is always there.
    pub of: Vec<String>,
    /// Its documentation.
    pub text: String,
    /// The value it has when it is left out, as JSON.
    pub default: Option<String>,
    /// What it may be, with the documentation of each.
    pub values: Vec<(String, String)>,
    /// The keys below it.
    pub keys: Vec<String>,
}

/// A key that no run file has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no run file has a key `{key}`{}", meant(likely))]
pub struct UnknownKey {
    key: String,
    /// What may be meant, likeliest first.
    likely: Vec<String>,
}

fn meant(likely: &[String]) -> String {
    let quoted: Vec<String> = likely.iter().map(|known| format!("`{known}`")).collect();
    match quoted.as_slice() {
        [] => "; `lodestone explain` lists all keys".to_owned(),
        [one] => format!("; did you mean {one}?"),
        [rest @ .., last] => format!("; did you mean {} or {last}?", rest.join(", ")),
    }
}

/// Explains a key of a run file, given by its path.
///
/// # Errors
/// If there is no such key; the error names those that may be meant.
///
/// # Example
/// ```
/// let refresh = lodestone_train::explain("train.refresh").unwrap();
/// assert!(refresh.meanings[0].text.starts_with("When the cluster index is built anew."));
/// assert!(refresh.meanings[0].values.iter().any(|(value, _)| value == "drift"));
/// assert!(lodestone_train::explain("train.refesh").unwrap_err().to_string().contains("`train.refresh`"));
/// ```
pub fn explain(key: &str) -> Result<Explanation, UnknownKey> {
    explain_where(key, None)
}

/// What a key means in `config`, the value of a run file: of several variants that have it, those alone that are chosen there.
///
/// # Errors
/// As [`explain`].
pub fn explain_in(config: &toml::Value, key: &str) -> Result<Explanation, UnknownKey> {
    explain_where(key, Some(config))
}

fn explain_where(key: &str, value: Option<&toml::Value>) -> Result<Explanation, UnknownKey> {
    let schema = schema();
    let mut found = vec![Place::root(&schema, value)];
    for name in key.split('.').filter(|name| !name.is_empty()) {
        found = found
            .iter()
            .flat_map(|place| place.below(name, &schema))
            .collect();
    }
    if found.is_empty() {
        return Err(UnknownKey {
            key: key.to_owned(),
            likely: likely(key),
        });
    }
    Ok(Explanation {
        key: key.to_owned(),
        meanings: found.iter().map(|place| place.meaning(&schema)).collect(),
    })
}

/// Known keys that `key` may mean, likeliest first, at most three.
fn likely(key: &str) -> Vec<String> {
    let scored = keys()
        .into_iter()
        .filter_map(|known| Some((unlikeliness(&known, key)?, known)));
    let mut scored: Vec<(usize, String)> = scored.collect();
    scored.sort_unstable();
    let least = scored.first().map_or(0, |(score, _)| *score);
    let near = scored
        .into_iter()
        .take_while(|(score, _)| *score <= least + 1);
    near.take(3).map(|(_, known)| known).collect()
}

/// How unlikely it is that `known` was meant by `key`: by letters that are wrong, or by its last name alone, under whatever table it
/// stands; none if it is out of the question.
fn unlikeliness(known: &str, key: &str) -> Option<usize> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let (own, asked) = (last(known), last(key));
    let letters = |one: &str, other: &str| {
        let wrong = strsim::damerau_levenshtein(one, other);
        (wrong <= other.chars().count() / 4 + 1).then_some(wrong)
    };
    let by_name = match () {
        () if asked.len() < 3 => None,
        () if own == asked => Some(1),
        () if own.split('_').any(|word| word == asked) => Some(2),
        () if own.contains(&asked) => Some(3),
        () => letters(&own, &asked).map(|wrong| wrong + 1),
    };
    [letters(known, key), by_name].into_iter().flatten().min()
}

/// Every key that a run file may have, by its path.
pub fn keys() -> Vec<String> {
    fn collect(place: &Place<'_>, path: &str, root: &Value, keys: &mut Vec<String>) {
        for (name, below) in place.children(root) {
            let key = match path {
                "" => name.to_owned(),
                path => format!("{path}.{name}"),
            };
            if !keys.contains(&key) {
                keys.push(key.clone());
            }
            collect(&below, &key, root, keys);
        }
    }
    let schema = schema();
    let mut keys = Vec::new();
    collect(&Place::root(&schema, None), "", &schema, &mut keys);
    keys
}

/// The keys that hold a number, or a list of them.
#[cfg(test)]
pub(crate) fn numeric_keys() -> Vec<String> {
    let schema = schema();
    let is_number = |node: &Value| {
        let types = [&node["type"], &node["items"]["type"]];
        let named = |name: &Value| matches!(name.as_str(), Some("integer" | "number"));
        types
            .into_iter()
            .any(|kind| named(kind) || kind.as_array().is_some_and(|all| all.iter().any(named)))
    };
    let holds_number = |key: &String| {
        let root = Place::root(&schema, None);
        let places = key.split('.').fold(vec![root], |found, name| {
            found
                .iter()
                .flat_map(|place| place.below(name, &schema))
                .collect()
        });
        let mut layers = places.iter().flat_map(|place| place.layers(&schema));
        layers.any(|layer| is_number(layer.node))
    };
    keys().into_iter().filter(holds_number).collect()
}

fn schema() -> Value {
    schemars::schema_for!(RunConfig).to_value()
}

/// A part of the schema, and the variants that lead to it.
#[derive(Clone)]
struct Place<'a> {
    of: Vec<String>,
    node: &'a Value,
    /// What the variant says whose only key this is: such a key has no text of its own.
    said: &'a str,
    /// What stands there in the run file, if one is given: variants that it does not choose are no part of the place.
    value: Option<&'a toml::Value>,
}

impl<'a> Place<'a> {
    fn root(schema: &'a Value, value: Option<&'a toml::Value>) -> Self {
        Place {
            of: Vec::new(),
            node: schema,
            said: "",
            value,
        }
    }

    /// Whether a variant may be the one that the run file chooses: no tag of it has another value there.
    fn may_be(&self, variant: &Value) -> bool {
        let properties = variant["properties"].as_object().into_iter().flatten();
        let mut tags = properties.filter_map(|(name, node)| Some((name, node["const"].as_str()?)));
        tags.all(|(name, tag)| {
            let chosen = self.value.and_then(|value| value.get(name)?.as_str());
            chosen.is_none_or(|chosen| chosen == tag)
        })
    }

    /// The node itself, what it refers to, and its alternatives with their names.
    fn layers(&self, root: &'a Value) -> Vec<Place<'a>> {
        let mut layers = vec![self.clone()];
        if let Some(target) = self.node["$ref"].as_str() {
            let pointer = target.trim_start_matches('#');
            if let Some(node) = root.pointer(pointer) {
                let place = self.clone();
                layers.extend(Place { node, ..place }.layers(root));
            }
        }
        for list in ["allOf", "oneOf", "anyOf"] {
            let variants = self.node[list].as_array().into_iter().flatten();
            for node in variants.filter(|node| self.may_be(node)) {
                let mut place = self.clone();
                place.of.extend(tag_of(node));
                layers.extend(Place { node, ..place }.layers(root));
            }
        }
        layers
    }

    /// Keys below, with their places; tags that only name a variant count as keys too.
    fn children(&self, root: &'a Value) -> Vec<(&'a str, Place<'a>)> {
        let mut children = Vec::new();
        for layer in self.layers(root) {
            let Some(properties) = layer.node["properties"].as_object() else {
                continue;
            };
            let said = match properties.len() {
                1 => text_of(layer.node),
                _ => "",
            };
            for (name, node) in properties {
                let of = layer.of.clone();
                let value = layer.value.and_then(|value| value.get(name));
                let place = Place {
                    of,
                    node,
                    said,
                    value,
                };
                children.push((name.as_str(), place));
            }
        }
        children
    }

    /// The places of the key `name` below this one, or of the values of a table with free names.
    fn below(&self, name: &str, root: &'a Value) -> Vec<Place<'a>> {
        let named: Vec<Place<'a>> = self
            .children(root)
            .into_iter()
            .filter(|(known, _)| *known == name)
            .map(|(_, place)| place)
            .collect();
        // A tag stands once in each variant and means the same in all: the choice is explained where the variants are.
        if !named.is_empty() {
            let tag = named.iter().all(|place| place.node.get("const").is_some());
            return if tag { vec![self.clone()] } else { named };
        }
        let free = self.layers(root).into_iter().filter_map(|layer| {
            let node = &layer.node["additionalProperties"];
            let value = layer.value.and_then(|value| value.get(name));
            // Without names of its own, a table says what its entries are.
            node.is_object().then_some(Place {
                node,
                said: "",
                value,
                ..layer
            })
        });
        free.map(|place| match text_of(place.node) {
            "" => self.clone(),
            _ => place,
        })
        .collect()
    }

    fn meaning(&self, root: &'a Value) -> Meaning {
        let layers = self.layers(root);
        let mut texts = layers.iter().map(|layer| text_of(layer.node));
        let text = texts.find(|text| !text.is_empty()).unwrap_or(self.said);
        let mut values: Vec<(String, String)> = Vec::new();
        for layer in layers.iter().skip(1) {
            let text = plain(text_of(layer.node));
            match (tag_of(layer.node), layer.node["const"].as_str()) {
                (Some(name), _) => values.push((name, text)),
                (None, Some(name)) => values.push((name.to_owned(), text)),
                (None, None) => {}
            }
            let names = layer.node["enum"].as_array().into_iter().flatten();
            values
                .extend(names.filter_map(|name| Some((name.as_str()?.to_owned(), String::new()))));
        }
        values.dedup();
        let mut keys: Vec<String> = Vec::new();
        for (name, _) in self.children(root) {
            if !keys.iter().any(|known| known == name) {
                keys.push(name.to_owned());
            }
        }
        let default = layers.iter().find_map(|layer| layer.node.get("default"));
        Meaning {
            of: self.of.clone(),
            text: plain(text),
            default: default
                .filter(|value| !value.is_null())
                .map(|value| short(value).to_string()),
            values,
            keys,
        }
    }
}

/// The value with numbers that came from single precision in as few digits as a run file has them: 0.9, not 0.8999999761581421.
fn short(value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            let wide = number.as_f64().filter(|_| number.is_f64());
            let narrow = wide.filter(|&wide| f64::from(wide as f32) == wide);
            let digits = narrow.and_then(|wide| (wide as f32).to_string().parse::<f64>().ok());
            digits.map_or_else(|| value.clone(), Value::from)
        }
        Value::Array(values) => values.iter().map(short).collect(),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), short(value)));
            Value::Object(fields.collect())
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

/// Name of a variant: the one property that can have one value only.
fn tag_of(node: &Value) -> Option<String> {
    let properties = node["properties"].as_object()?;
    let mut tags = properties
        .values()
        .filter_map(|node| node["const"].as_str());
    tags.next().map(str::to_owned)
}

fn text_of(node: &Value) -> &str {
    node["description"].as_str().unwrap_or("")
}

/// A doc comment without the marks of its links: `[`MagnetLoss`](crate::MagnetLoss)` is `MagnetLoss`, and `[`Miner::All`]` is `all`.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(open) = rest.find("[`") {
        let Some(close) = rest[open..].find("`]").map(|close| open + close) else {
            break;
        };
        plain += &rest[..open];
        plain += &format!("`{}`", as_in_files(&rest[open + 2..close]));
        rest = &rest[close + 2..];
        // A path in brackets says where the link goes.
        if rest.starts_with('(')
            && let Some(end) = rest.find(')')
        {
            rest = &rest[end + 1..];
        }
    }
    unwrapped(&(plain + rest))
}

/// A variant by the name that a run file has for it: `Distance::UnitEuclidean` is `unit_euclidean` there.
fn as_in_files(name: &str) -> String {
    let variant = name.rsplit_once("::").map(|(_, variant)| variant);
    let Some(variant) = variant.filter(|name| name.starts_with(char::is_uppercase)) else {
        return name.to_owned();
    };
    let mut written = String::new();
    for letter in variant.chars() {
        if letter.is_uppercase() && !written.is_empty() {
            written.push('_');
        }
        written.extend(letter.to_lowercase());
    }
    written
}

/// Paragraphs on one line each; lists and formulas keep their lines.
fn unwrapped(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let set = paragraph.starts_with(['-', '|', '`']) || paragraph.contains("\n-");
        if set {
            paragraph.to_owned()
        } else {
            paragraph.replace('\n', " ")
        }
    });
    paragraphs.collect::<Vec<String>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::small_config;

    fn leaves(value: &toml::Value, path: &str, keys: &mut Vec<String>) {
        if let toml::Value::Table(table) = value {
            for (name, below) in table {
                let key = match path {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                keys.push(key.clone());
                leaves(below, &key, keys);
            }
        }
    }

    #[test]
    fn every_key_of_a_run_file_is_explained() {
        let settings: [&[&str]; 3] = [
            &[],
            &[
                "loss={kind=\"magnet\"}",
                "sampler={kind=\"neighbourhood\"}",
                "train.refresh={when=\"drift\",threshold=0.5,check_every=10,probe_rows=64}",
                "data.augmentation.random_crop={scale=[0.5,1.0],ratio=[0.75,1.33]}",
                "data.augmentation.erasing={probability=0.5,scale=[0.1,0.2],ratio=[0.75,1.33]}",
                "data.coarse={kind=\"random\",groups=5}",
                "index.per_class={Coat=4}",
            ],
            &[
                "loss={kind=\"soft_triple\"}",
                "optimizer.rule={kind=\"sgd\"}",
            ],
        ];
        for settings in settings {
            let config = toml::Value::try_from(small_config(settings)).unwrap();
            let mut keys = Vec::new();
            leaves(&config, "", &mut keys);
            assert!(keys.len() > 60, "{keys:?}");
            for key in keys {
                let explanation = explain(&key).unwrap();
                for meaning in explanation.meanings {
                    assert!(!meaning.text.is_empty(), "{key} has no text");
                    assert!(!meaning.text.contains("[`"), "{key}: {}", meaning.text);
                }
            }
        }
    }

    #[test]
    fn every_key_that_is_known_is_explained() {
        let keys = keys();
        assert!(keys.len() > 100, "{}", keys.len());
        for key in keys {
            let meanings = explain(&key).unwrap().meanings;
            let silent = meanings.iter().any(|meaning| meaning.text.is_empty());
            assert!(!silent, "{key}: {meanings:?}");
        }
    }

    #[test]
    fn a_key_of_several_variants_says_whose_it_is() {
        let margin = explain("loss.margin").unwrap();
        let of: Vec<&[String]> = margin
            .meanings
            .iter()
            .map(|one| one.of.as_slice())
            .collect();
        assert!(of.contains(&["triplet".to_owned()].as_slice()), "{of:?}");
        assert!(of.len() > 2, "{of:?}");
        let kind = explain("loss.kind").unwrap();
        assert!(
            kind.meanings[0]
                .values
                .iter()
                .any(|(name, _)| name == "magnet")
        );
    }

    #[test]
    fn an_unknown_key_is_answered_with_those_that_may_be_meant() {
        let said = |key: &str| explain(key).unwrap_err().to_string();
        let nearest = said("nearest");
        for known in [
            "`loss.mining.nearest`",
            "`evaluation.nearest_clusters`",
            "`evaluation.nearest_neighbours`",
        ] {
            assert!(nearest.contains(known), "{nearest}");
        }
        for (key, known) in [
            ("train.refesh", "did you mean `train.refresh`?"),
            ("embedding_size", "`model.head.embedding_size`"),
            ("train.threads", "`data.threads`"),
            ("freze_until", "`model.freeze_until`"),
            ("zzzzzzzz", "`lodestone explain` lists all keys"),
        ] {
            assert!(said(key).contains(known), "{}", said(key));
        }
    }

    #[test]
    fn marks_of_links_are_taken_off() {
        assert_eq!(
            plain("See [`A`](crate::A) and [`B`], not [c]."),
            "See `A` and `B`, not [c]."
        );
        assert_eq!(
            plain(
                "Default [`Distance::UnitEuclidean`](crate::Distance::UnitEuclidean), see [`A::b`]."
            ),
            "Default `unit_euclidean`, see `A::b`."
        );
    }

    #[test]
    fn defaults_have_the_digits_of_a_run_file() {
        let meaning = &explain("optimizer.rule").unwrap().meanings[0];
        assert_eq!(
            meaning.default.as_deref(),
            Some(r#"{"beta_1":0.9,"beta_2":0.999,"epsilon":0.00001,"kind":"adam"}"#)
        );
    }
}
