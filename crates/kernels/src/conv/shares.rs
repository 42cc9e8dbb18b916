//! How the sum that a weight gradient is falls into pieces of work.

use std::ops::Range;

use crate::simd::{Panel, panels};

/// Panels that are summed together: enough that preparing the other operand costs little beside the product.
const GROUP: usize = 2;
/// Pieces of work at least, where there are so many pixels, so that threads share them evenly.
const FEWEST: usize = 8;
/// Floats of all partial sums together that are no burden.
const LIGHT: usize = 1024 * 1024;
/// Partial sums of a column at most.
const MOST_PARTS: usize = 16;

/// Output channels in groups, and the strips of the output in parts: each group and part is a partial sum. They depend on
/// the sizes only, so that the sum does not depend on the threads.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    /// Panels of each group, their columns counted from the group's first.
    pub(super) groups: Vec<Group>,
    /// Strips of each part.
    pub(super) parts: Vec<Range<usize>>,
}

#[derive(Clone, Debug)]
pub(super) struct Group {
    /// First output channel.
    pub(super) start: usize,
    pub(super) panels: Vec<Panel>,
    /// Floats of a row of all panels.
    pub(super) width: usize,
}

impl Shares {
    /// For a sum of `rows × channels`, of which a part should have the products of `worth` pixels (or tiles) out of
    /// `pixels` in `strips` strips.
    pub(super) fn new(
        rows: usize,
        channels: usize,
        strips: usize,
        pixels: usize,
        worth: usize,
    ) -> Self {
        let panels = panels(channels);
        let count = panels.len().div_ceil(GROUP);
        let groups: Vec<Group> = (0..count)
            .map(|index| {
                let of = |index: usize| index * panels.len() / count;
                Group::new(&panels[of(index)..of(index + 1)])
            })
            .collect();
        let floats: usize = groups.iter().map(|group| rows * group.width).sum();
        let parts = FEWEST.div_ceil(count.max(1)).max(LIGHT / floats.max(1));
        let parts = parts.min(MOST_PARTS).min(pixels / worth).max(1);
        let parts = parts.min(strips).max(1);
        let of = |index: usize| index * strips / parts;
        let parts = (0..parts).map(|index| of(index)..of(index + 1)).collect();
        Self { groups, parts }
    }

    /// Group and part of each piece of work, the parts of a group in a row.
    pub(super) fn pieces(&self) -> Vec<(&Group, Range<usize>)> {
        let of = |group| self.parts.iter().map(move |part| (group, part.clone()));
        self.groups.iter().flat_map(of).collect()
    }

    /// Of the partial sums of all pieces, those with an output channel, and its column in them.
    pub(super) fn partial<'a, T>(&self, sums: &'a [T], channel: usize) -> (&'a [T], usize, usize) {
        let next = self.groups.partition_point(|group| group.start <= channel);
        let (index, parts) = (next - 1, self.parts.len());
        let group = &self.groups[index];
        let sums = &sums[index * parts..(index + 1) * parts];
        (sums, channel - group.start, group.width)
    }
}

impl Group {
    fn new(panels: &[Panel]) -> Self {
        let start = panels[0].start;
        let rebased = panels.iter().map(|panel| Panel {
            start: panel.start - start,
            ..*panel
        });
        Self {
            start,
            panels: rebased.collect(),
            width: panels.iter().map(|panel| panel.width).sum(),
        }
    }

    #[cfg(test)]
    fn columns(&self) -> usize {
        self.panels.iter().map(|panel| panel.columns).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_and_strip_is_in_one_piece() {
        for (channels, strips, pixels) in [(1, 1, 1), (50, 7, 900), (384, 30, 5000), (100, 0, 0)] {
            let shares = Shares::new(64, channels, strips, pixels, 100);
            let mut next = 0;
            for group in &shares.groups {
                assert_eq!(group.start, next);
                next += group.columns();
            }
            assert_eq!(next, channels);
            let mut next = 0;
            for part in &shares.parts {
                assert_eq!(part.start, next);
                next = part.end;
            }
            assert_eq!(next, strips);
            let sums: Vec<usize> = (0..shares.pieces().len()).collect();
            for channel in 0..channels {
                let (sums, column, width) = shares.partial(&sums, channel);
                assert_eq!(sums.len(), shares.parts.len());
                assert!(column < width);
            }
        }
    }
}
