//! Joins and parts the channels of channels-last images.

use rayon::prelude::*;

use crate::memory::Buffer;

/// Pixels of a piece of work.
const PIXELS: usize = 256;

/// Joins `[pixels, channels]` parts of so many channels each into one.
pub(crate) fn join(parts: &[(&[f32], usize)]) -> Buffer {
    let total: usize = parts.iter().map(|(_, channels)| channels).sum();
    let len = parts.iter().map(|(values, _)| values.len()).sum();
    let mut joined = Buffer::stale(len);
    joined
        .par_chunks_mut((PIXELS * total).max(1))
        .enumerate()
        .for_each(|(piece, joined)| {
            let mut start = 0;
            for (values, channels) in parts {
                let values = &values[piece * PIXELS * channels..];
                let pixels = joined
                    .chunks_exact_mut(total)
                    .zip(values.chunks_exact(*channels));
                for (to, from) in pixels {
                    to[start..start + channels].copy_from_slice(from);
                }
                start += channels;
            }
        });
    joined
}

/// Channels `start..start + channels` of `[pixels, total]`.
pub(crate) fn part(values: &[f32], total: usize, start: usize, channels: usize) -> Buffer {
    let mut part = Buffer::stale(values.len() / total * channels);
    let pieces = part.par_chunks_mut((PIXELS * channels).max(1));
    pieces
        .zip(values.par_chunks(PIXELS * total))
        .for_each(|(to, from)| {
            for (to, from) in to.chunks_exact_mut(channels).zip(from.chunks_exact(total)) {
                to.copy_from_slice(&from[start..start + channels]);
            }
        });
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parting_undoes_joining() {
        let first: Vec<f32> = (0..600).map(|value| value as f32).collect();
        let second: Vec<f32> = (0..900).map(|value| -(value as f32)).collect();
        let joined = join(&[(&first, 2), (&second, 3)]);
        assert_eq!(joined[..5], [0.0, 1.0, 0.0, -1.0, -2.0]);
        assert_eq!(*part(&joined, 5, 0, 2), first);
        assert_eq!(*part(&joined, 5, 2, 3), second);
    }
}
