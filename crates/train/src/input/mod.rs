//! From photographs to what goes into the network.

pub(crate) mod columns;
pub(crate) mod embedding_cache;
pub(crate) mod frozen;
pub(crate) mod left_out;
pub(crate) mod mend;
pub(crate) mod parts;
pub(crate) mod source;
