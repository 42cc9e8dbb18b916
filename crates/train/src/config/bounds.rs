//! Bounds that every number of a run file keeps, whatever it means.
//!
//! What a setting means decides its own range, which its part of [`RunConfig::validate`](crate::RunConfig::validate) knows. Here is
//! what holds for all: a number that is none, or beyond what single precision computes with, ends in a loss that is not a
//! number an hour later, and a count beyond what any machine has in a panic.

use lodestone_data::MOST_THREADS;
use serde::Serialize;
use toml::Value;

/// The largest size of a number, and the smallest of one that is not 0.
const SIZES: [f64; 2] = [1e-12, 1e6];
/// The largest count: larger ones overflow when they are multiplied.
const MOST: u64 = 1_000_000_000_000_000;
/// The largest of counts that each cost a thread, a picture or a parameter. A key stands for those below it as well.
const COSTLY: [(&str, u64); 9] = [
    ("data.threads", MOST_THREADS as u64),
    ("model.image_size", 4096),
    ("model.frozen_views", 1000),
    ("loss.centers_per_class", 1000),
    ("loss.modes_per_class", 1000),
    ("sampler", 65_536),
    ("index.restarts", 10_000),
    ("train.accumulate", 10_000),
    ("evaluation.bs_val", 65_536),
];

/// Refuses the first number of `settings` that no run can use.
///
/// # Errors
/// A sentence that names the key, its value and the bound.
pub(crate) fn check(settings: &impl Serialize) -> Result<(), String> {
    let settings = Value::try_from(settings)
        .map_err(|error| format!("the settings cannot be written: {error}"))?;
    walk("", &settings)
}

fn walk(key: &str, value: &Value) -> Result<(), String> {
    match value {
        Value::Table(fields) => fields.iter().try_for_each(|(name, value)| match key {
            "" => walk(name, value),
            key => walk(&format!("{key}.{name}"), value),
        }),
        Value::Array(values) => values.iter().try_for_each(|value| walk(key, value)),
        Value::Float(number) => float(key, *number),
        Value::Integer(count) => whole(key, *count),
        Value::String(_) | Value::Boolean(_) | Value::Datetime(_) => Ok(()),
    }
}

fn float(key: &str, number: f64) -> Result<(), String> {
    let [smallest, largest] = SIZES;
    let size = number.abs();
    if !number.is_finite() {
        return Err(format!("{key} is {number}, must be a number"));
    }
    if size > largest {
        return Err(format!(
            "{key} is {number:e}, must be at most {largest} in size"
        ));
    }
    if size > 0.0 && size < smallest {
        return Err(format!(
            "{key} is {number:e}, must be 0 or at least {smallest:e} in size"
        ));
    }
    Ok(())
}

fn whole(key: &str, count: i64) -> Result<(), String> {
    // A seed is a name and no count.
    if key.rsplit('.').next() == Some("seed") {
        return Ok(());
    }
    let is_of = |costly: &str| {
        let below = key.strip_prefix(costly);
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let costly = COSTLY.iter().find(|costly| is_of(costly.0));
    let most = costly.map_or(MOST, |&(_, most)| most);
    if u64::try_from(count).is_ok_and(|count| count > most) {
        return Err(format!("{key} is {count}, must be at most {most}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
