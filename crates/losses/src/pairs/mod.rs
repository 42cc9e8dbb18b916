//! Losses on the pairs of a batch.

mod contrastive;
mod kl_pairwise;
mod multi_similarity;
mod nt_xent;
mod sup_con;
#[cfg(test)]
mod tests;

pub use contrastive::{ContrastiveLoss, ContrastiveLossConfig};
pub use kl_pairwise::{KlPairwiseLoss, KlPairwiseLossConfig};
pub use multi_similarity::{MultiSimilarityLoss, MultiSimilarityLossConfig};
pub use nt_xent::{NtXentLoss, NtXentLossConfig};
pub use sup_con::{SupConLoss, SupConLossConfig};
