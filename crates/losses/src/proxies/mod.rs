//! Losses that compare embeddings with learned representatives of the classes instead of with each other.

mod anchor;
mod nca;
mod prototypes;
mod rep_met;
mod soft_triple;
#[cfg(test)]
mod tests;

pub(crate) use prototypes::Prototypes;

pub use anchor::{ProxyAnchorLoss, ProxyAnchorLossConfig};
pub use nca::{ProxyNcaForm, ProxyNcaLoss, ProxyNcaLossConfig};
pub use rep_met::{RepMetLoss, RepMetLossConfig};
pub use soft_triple::{SoftTripleLoss, SoftTripleLossConfig};
