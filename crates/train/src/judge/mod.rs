//! What the trained embedding is worth.

pub(crate) mod best;
pub(crate) mod evaluate;
pub(crate) mod evaluate_only;
pub(crate) mod judging;
pub(crate) mod outcomes;
pub(crate) mod saved_embeddings;
