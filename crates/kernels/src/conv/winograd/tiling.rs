//! The cut of an output into strips of tiles.

use std::ops::Range;

use super::super::geometry::{Geometry, Strip};
use crate::simd::{PLANES, Pixels, Tiles};

/// Tiles of a strip.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Floats of a strip's planes, both operands together.
    pub(super) floats: usize,
    /// Tiles that a strip has at least, if there are so many.
    pub(super) fewest: usize,
    /// Tiles that a strip has at most.
    pub(super) most: usize,
}

/// Strips of a convolution's output in the order of memory. They depend on the sizes only.
#[derive(Clone, Debug)]
pub(super) struct Tiling {
    /// The convolution with an even number of output rows and columns, of which those beyond the true ones are not kept.
    pub(super) even: Geometry,
    /// Rows of the true output.
    height: usize,
    /// Columns of the true output.
    width: usize,
    strips: Vec<Range<usize>>,
}

impl Tiling {
    pub(super) fn new(geometry: &Geometry, sizes: Sizes) -> Self {
        let [height, width] = geometry.output;
        let even = Geometry {
            output: geometry.output.map(|len| len.next_multiple_of(2)),
            ..*geometry
        };
        let [rows, columns] = even.output.map(|len| len / 2);
        let floats = PLANES * (geometry.in_channels + geometry.out_channels);
        let tiles = (sizes.floats / floats).clamp(sizes.fewest, sizes.most);
        let image = rows * columns;
        let lines = geometry.batch * rows;
        let strips = if geometry.batch * image == 0 {
            Vec::new()
        } else if 2 * image <= 3 * tiles {
            // Whole images, as many as come nearest.
            let images = (tiles + image / 2) / image;
            let images = images.clamp(1, geometry.batch);
            cut(0..lines, rows * images)
        } else {
            // Lines of tiles of one image, the same number in each strip but the last.
            let most = (tiles / columns).max(1);
            let share = rows.div_ceil(rows.div_ceil(most));
            let images = (0..geometry.batch).map(|image| image * rows..(image + 1) * rows);
            images.flat_map(|lines| cut(lines, share)).collect()
        };
        Self {
            even,
            height,
            width,
            strips,
        }
    }

    /// Number of strips.
    pub(super) fn len(&self) -> usize {
        self.strips.len()
    }

    pub(super) fn strip(&self, index: usize) -> TiledStrip {
        let lines = self.strips[index].clone();
        let rows = self.even.output[0] / 2;
        let first = lines.start / rows;
        let whole = lines.len() >= rows;
        let (images, count) = if whole {
            (first..lines.end / rows, rows)
        } else {
            (first..first + 1, lines.len())
        };
        let start = 2 * (lines.start % rows);
        TiledStrip {
            tiles: Tiles {
                images: images.len(),
                rows: count,
                columns: self.even.output[1] / 2,
            },
            strip: Strip {
                images,
                rows: start..start + 2 * count,
            },
            height: (2 * count).min(self.height - start),
            width: self.width,
        }
    }
}

fn cut(lines: Range<usize>, share: usize) -> Vec<Range<usize>> {
    let end = lines.end;
    lines
        .step_by(share)
        .map(|start| start..(start + share).min(end))
        .collect()
}

/// Some tiles whose outputs are adjacent in memory.
#[derive(Clone, Debug)]
pub(super) struct TiledStrip {
    pub(super) tiles: Tiles,
    /// Its images and even rows.
    pub(super) strip: Strip,
    /// Rows of the true output in each image.
    height: usize,
    width: usize,
}

impl TiledStrip {
    /// The outputs of the strip, or their gradients.
    pub(super) fn outputs(&self, channels: usize) -> Pixels {
        Pixels {
            height: self.height,
            width: self.width,
            channels,
        }
    }

    /// The inputs under the strip with their border.
    pub(super) fn inputs(&self, channels: usize) -> Pixels {
        Pixels {
            height: 2 * self.tiles.rows + 2,
            width: 2 * self.tiles.columns + 2,
            channels,
        }
    }

    /// True output pixels.
    pub(super) fn pixels(&self) -> usize {
        self.tiles.images * self.height * self.width
    }
}

/// Distance of planes of so many floats. A cache line more than needed: at a multiple of a page, all 16 planes would
/// compete for the same few lines of the cache.
pub(super) fn plane(floats: usize) -> usize {
    floats.next_multiple_of(16) + 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_cover_the_output_once_in_order() {
        for (batch, size, channels) in [
            (3, 56, 64),
            (5, 7, 192),
            (2, 35, 96),
            (1, 1, 16),
            (9, 8, 400),
        ] {
            let geometry = Geometry {
                batch,
                input: [size; 2],
                in_channels: channels,
                output: [size; 2],
                out_channels: channels,
                kernel: [3; 2],
                stride: [1; 2],
                padding: [1; 2],
            };
            let sizes = Sizes {
                floats: 160 * 1024,
                fewest: 24,
                most: 128,
            };
            let tiling = Tiling::new(&geometry, sizes);
            let mut next = 0;
            for index in 0..tiling.len() {
                let strip = tiling.strip(index);
                let start = strip.strip.images.start * size + strip.strip.rows.start;
                assert_eq!(start * size, next, "{strip:?}");
                next += strip.pixels();
            }
            assert_eq!(next, batch * size * size);
        }
    }
}
