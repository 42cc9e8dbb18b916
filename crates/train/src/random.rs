//! One generator for each purpose and step, so that nothing random has to be saved.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// What numbers are drawn for; equal seeds and steps draw independent numbers for different purposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Which cached view of an image is taken.
    View = 1,
    /// What the device draws: dropout.
    Device = 2,
    /// Starting values of the loss's own parameters.
    Parameters = 3,
    /// Which negatives a random miner takes.
    Miner = 4,
}

/// The generator of a purpose at a step.
pub(crate) fn generator(seed: u64, purpose: Purpose, step: usize) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    key[16..24].copy_from_slice(&(step as u64).to_le_bytes());
    ChaCha8Rng::from_seed(key)
}
