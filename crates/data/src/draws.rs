//! Where the random draws of a rendering come from.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Which requests for the same row share their random draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draws {
    /// All of an epoch: a row looks the same however often and in whichever batch it comes.
    PerRow,
    /// None: a row that stands in a batch twice, or in two batches, is rendered anew each time. Batches are numbered from
    /// `first_step`, so a resumed epoch continues as the uninterrupted one would have.
    PerPosition {
        /// Number of the first batch of the stream.
        first_step: u64,
    },
}

/// The complete origin of one image's random draws: equal keys draw equal numbers, on any machine and any thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DrawKey {
    /// Seed of the run.
    pub seed: u64,
    /// Pass over the data.
    pub epoch: u64,
    /// Number of the batch; `u64::MAX` for draws per row.
    pub step: u64,
    /// Position in the batch, or the row number for draws per row.
    pub place: u64,
}

impl DrawKey {
    /// The key of a row at a position of the `batch`-th batch of a stream.
    pub fn new(
        seed: u64,
        epoch: u64,
        draws: Draws,
        batch: usize,
        position: usize,
        row: usize,
    ) -> Self {
        let (step, place) = match draws {
            Draws::PerRow => (u64::MAX, row as u64),
            Draws::PerPosition { first_step } => (first_step + batch as u64, position as u64),
        };
        DrawKey {
            seed,
            epoch,
            step,
            place,
        }
    }

    /// The generator: the four numbers are its 256-bit key, so no two keys share a stream.
    pub fn generator(&self) -> ChaCha8Rng {
        let mut key = [0; 32];
        for (bytes, value) in key
            .chunks_exact_mut(8)
            .zip([self.seed, self.epoch, self.step, self.place])
        {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        ChaCha8Rng::from_seed(key)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::Rng;

    use super::*;

    #[test]
    fn keys_separate_what_draws_are_to_separate() {
        let per_row =
            |batch, position, row| DrawKey::new(1, 2, Draws::PerRow, batch, position, row);
        assert_eq!(per_row(0, 0, 7), per_row(3, 5, 7));
        assert_ne!(per_row(0, 0, 7), per_row(0, 0, 8));
        let step = |first_step, batch, position| {
            DrawKey::new(1, 2, Draws::PerPosition { first_step }, batch, position, 7)
        };
        assert_ne!(step(0, 1, 0), step(0, 1, 1));
        assert_ne!(step(0, 1, 0), step(0, 2, 0));
        assert_eq!(step(4, 1, 3), step(5, 0, 3));
        let first = |key: DrawKey| key.generator().next_u64();
        assert_eq!(first(step(4, 1, 3)), first(step(5, 0, 3)));
        assert_ne!(first(step(0, 1, 0)), first(step(0, 0, 1)));
    }
}
