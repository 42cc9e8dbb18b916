//! What can go wrong for a user's reasons: settings, labels, and numbers that a model made.

/// Why a plan, an index or a loss cache refuses its input.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SamplingError {
    /// There is nothing to draw from.
    #[error("there are no rows to draw from")]
    NoRows,
    /// A label does not belong to any class.
    #[error("row {row} has label {label}, but labels run from 0 to {last}")]
    LabelOutOfRange {
        /// The training row.
        row: usize,
        /// Its label.
        label: usize,
        /// The highest label allowed.
        last: usize,
    },
    /// A class without rows: labels must be 0, 1, … without gaps.
    #[error("class {class} ({name}) has no rows; labels must be 0..{classes} without gaps")]
    EmptyClass {
        /// Number of the class.
        class: usize,
        /// Its name.
        name: String,
        /// How many classes there are.
        classes: usize,
    },
    /// A setting cannot be met by this data set.
    #[error("{field} is {value}: {reason}")]
    Setting {
        /// The key in the run file.
        field: &'static str,
        /// What it was set to.
        value: String,
        /// What it would have to be, with the other value.
        reason: String,
    },
    /// Embeddings and labels do not describe the same rows.
    #[error("{embeddings} rows of embeddings for {rows} labelled rows")]
    RowCount {
        /// Rows of embeddings given.
        embeddings: usize,
        /// Rows expected.
        rows: usize,
    },
    /// Embeddings of another length than those the index was built from.
    #[error("embeddings have {given} dimensions, the index has {index}")]
    Dimension {
        /// Length of the rows given.
        given: usize,
        /// Length of the index's centres.
        index: usize,
    },
    /// A model that has diverged would poison the index for good.
    #[error(
        "embedding of row {row} holds {value} at dimension {dimension}; the model has diverged"
    )]
    EmbeddingNotFinite {
        /// The training row.
        row: usize,
        /// Position inside the embedding.
        dimension: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A loss that is not a number cannot weigh a cluster.
    #[error("loss of row {row} is {value}; losses must be finite and not negative")]
    LossNotUsable {
        /// The training row.
        row: usize,
        /// What was to be stored.
        value: f32,
    },
    /// The index or the cache was made from other labels.
    #[error(
        "{part} belongs to another data set: fingerprint {found:016x}, this one has {expected:016x}"
    )]
    OtherDataSet {
        /// "the cluster index", "the plan" …
        part: &'static str,
        /// Fingerprint it carries.
        found: u64,
        /// Fingerprint of the labels at hand.
        expected: u64,
    },
    /// A plan by clusters was asked for a batch before an index was built.
    #[error("a {plan} plan needs a cluster index; none was given")]
    NeedsIndex {
        /// Name of the plan.
        plan: &'static str,
    },
    /// No cluster may open a neighbourhood: all are too small, or one class is alone.
    #[error(
        "no cluster can be drawn: {eligible} of {clusters} have {minimum} members or more, and they are of {classes} class(es); two are needed"
    )]
    NoNeighbourhood {
        /// Clusters with enough members.
        eligible: usize,
        /// All clusters.
        clusters: usize,
        /// Members a cluster must have.
        minimum: usize,
        /// Classes of the eligible clusters.
        classes: usize,
    },
}

pub(crate) fn setting(
    field: &'static str,
    value: impl ToString,
    reason: impl Into<String>,
) -> SamplingError {
    SamplingError::Setting {
        field,
        value: value.to_string(),
        reason: reason.into(),
    }
}

/// Refuses a count below `least`.
pub(crate) fn at_least(
    field: &'static str,
    value: usize,
    least: usize,
) -> Result<(), SamplingError> {
    if value < least {
        return Err(setting(field, value, format!("must be {least} or more")));
    }
    Ok(())
}
