//! Putting the tensors of a file into a network, all or none.

use std::collections::BTreeMap;
use std::fmt;

use super::{Mismatch, Misshaped, Slot, WeightFile, WeightsError};

/// What may differ between a file and a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Whether tensors that the file lacks keep the values they have. The report lists them.
    pub partial: bool,
}

/// What was done with the tensors of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Number of tensors that were loaded.
    pub loaded: usize,
    /// Tensors that the file lacks and that kept the values they had.
    pub missing: Vec<String>,
    /// Tensors of the file that this network leaves out: auxiliary classifiers, and the classifier of a head without
    /// layers.
    pub skipped: Vec<String>,
    /// Tensors of the classifier or head that kept the values they had because the file's have another shape.
    pub replaced: Vec<Misshaped>,
}

impl fmt::Display for LoadReport {
    /// One line; what did not happen is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tensors loaded", self.loaded)?;
        let replaced: Vec<String> = self.replaced.iter().map(ToString::to_string).collect();
        for (kind, names) in [
            ("replaced", &replaced),
            ("missing, kept as they were", &self.missing),
            ("skipped", &self.skipped),
        ] {
            if !names.is_empty() {
                write!(f, "; {} {kind}: {}", names.len(), names.join(", "))?;
            }
        }
        Ok(())
    }
}

/// How the tensors of a network are to be treated.
pub(crate) struct LoadRules<'a> {
    /// Name of the network in errors.
    pub(crate) network: &'a str,
    /// Prefixes of tensors that keep their values where the file's have another shape: the last layers.
    pub(crate) resizable: &'a [&'a str],
    /// Prefixes of tensors that keep their values where the file lacks them.
    pub(crate) absent: &'a [&'a str],
    /// Prefixes of tensors that the file may have beside.
    pub(crate) optional: &'a [&'a str],
    pub(crate) options: LoadOptions,
}

/// Loads every slot from `file`, or none.
///
/// # Errors
/// If tensors are missing, unexpected or of another shape beyond what `rules` allow, or hold no finite floats.
pub(crate) fn load(
    slots: Vec<Slot<'_>>,
    file: &WeightFile,
    rules: &LoadRules<'_>,
) -> Result<LoadReport, WeightsError> {
    let mut slots: BTreeMap<String, Slot<'_>> = slots
        .into_iter()
        .map(|slot| (slot.name.clone(), slot))
        .collect();
    let begins = |name: &str, prefixes: &[&str]| {
        prefixes.iter().any(|prefix| {
            name.strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with('.') || prefix.ends_with('/'))
        })
    };

    let mut report = LoadReport::default();
    let mut mismatch = Mismatch::default();
    let mut ready = Vec::new();
    for (name, tensor) in &file.tensors {
        let Some(slot) = slots.remove(name) else {
            // torch counts batches there; nothing of ours depends on the count.
            let counter = name.ends_with(".num_batches_tracked");
            if begins(name, rules.optional) {
                report.skipped.push(name.clone());
            } else if !counter {
                mismatch.unexpected.push(name.clone());
            }
            continue;
        };
        let shape = slot.shape();
        if tensor.shape == shape {
            ready.push((slot, file.values(name)?));
            continue;
        }
        let misshaped = Misshaped {
            key: name.clone(),
            in_file: tensor.shape.clone(),
            in_network: shape,
        };
        if begins(name, rules.resizable) {
            report.replaced.push(misshaped);
        } else {
            mismatch.misshaped.push(misshaped);
        }
    }
    for name in slots.into_keys() {
        if rules.options.partial || begins(&name, rules.absent) {
            report.missing.push(name);
        } else {
            mismatch.missing.push(name);
        }
    }
    if !mismatch.is_empty() {
        let (path, network) = (file.path.clone(), rules.network.to_owned());
        return Err(WeightsError::Mismatch {
            path,
            network,
            mismatch,
        });
    }
    report.loaded = ready.len();
    for (slot, values) in ready {
        slot.set(values);
    }
    Ok(report)
}
