//! Sizes of a convolution and its cut into pieces that fit in a core's cache.

use std::ops::Range;

/// Sizes of a convolution of channels-last images. Pairs are height, width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) batch: usize,
    pub(crate) input: [usize; 2],
    pub(crate) in_channels: usize,
    pub(crate) output: [usize; 2],
    pub(crate) out_channels: usize,
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    /// Zeros above and left of the image; those below and right follow from `output`. Negative cuts the image.
    pub(crate) padding: [isize; 2],
}

/// Images `images` of the batch, output rows `rows` of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Strip {
    pub(crate) images: Range<usize>,
    pub(crate) rows: Range<usize>,
}

/// Floats of the left operand of a strip: half of a 1 MiB second-level cache is left to the weights.
const STRIP_FLOATS: usize = 64 * 1024;

impl Geometry {
    /// The output's height and width for a padding that is the same on both sides; none if the kernel does not fit.
    pub(crate) fn output_size(
        input: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
    ) -> Option<[usize; 2]> {
        let size = |axis: usize| {
            let room = (input[axis] + 2 * padding[axis]).checked_sub(kernel[axis])?;
            Some(room / stride[axis] + 1)
        };
        Some([size(0)?, size(1)?])
    }

    /// Whether every output pixel reads exactly the input pixel of the same number, which makes images, rows and columns
    /// one long row.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1]
            && self.stride == [1, 1]
            && self.padding == [0, 0]
            && self.input == self.output
    }

    /// The same product with all pixels in one row of one image. Only for pointwise convolutions.
    pub(crate) fn flattened(&self) -> Self {
        let pixels = self.batch * self.output[0] * self.output[1];
        // Rows of so many pixels that they divide evenly among tiles; the last row is shorter, see `strips`.
        Self {
            batch: 1,
            input: [pixels, 1],
            output: [pixels, 1],
            ..*self
        }
    }

    /// Floats of one output image.
    pub(crate) fn output_image(&self) -> usize {
        self.output[0] * self.output[1] * self.out_channels
    }

    /// Floats of one input image.
    pub(crate) fn input_image(&self) -> usize {
        self.input[0] * self.input[1] * self.in_channels
    }

    /// Length of the adjacent values under one row of the kernel.
    pub(crate) fn run(&self) -> usize {
        self.kernel[1] * self.in_channels
    }

    /// Columns of the input, border included, that an output row reads.
    pub(crate) fn bordered_width(&self) -> usize {
        (self.output[1] - 1) * self.stride[1] + self.kernel[1]
    }

    /// Rows of the input, border included, that `rows` output rows read.
    pub(crate) fn bordered_height(&self, rows: usize) -> usize {
        (rows - 1) * self.stride[0] + self.kernel[0]
    }

    /// All of the output in pieces of about `pixels` or more, in the order of memory. They depend on the sizes only, never
    /// on the threads.
    pub(crate) fn strips(&self, pixels: usize) -> Vec<Strip> {
        let [height, width] = self.output;
        if self.batch * height * width == 0 {
            return Vec::new();
        }
        let row = self.bordered_width() * self.in_channels * self.stride[0];
        let rows = (STRIP_FLOATS / row.max(1))
            .max(pixels.div_ceil(width))
            .clamp(1, height);
        if rows == height {
            let images = pixels.div_ceil(height * width).clamp(1, self.batch);
            let starts = (0..self.batch).step_by(images);
            return starts
                .map(|start| Strip {
                    images: start..(start + images).min(self.batch),
                    rows: 0..height,
                })
                .collect();
        }
        // Pieces of equal height, in whole tiles of 8 where the rows are single pixels (the pointwise case).
        let even = height.div_ceil(height.div_ceil(rows));
        let rows = if width == 1 {
            even.next_multiple_of(8)
        } else {
            even
        };
        let mut strips = Vec::new();
        for image in 0..self.batch {
            for start in (0..height).step_by(rows) {
                strips.push(Strip {
                    images: image..image + 1,
                    rows: start..(start + rows).min(height),
                });
            }
        }
        strips
    }

    /// Output pixels of a strip.
    pub(crate) fn pixels(&self, strip: &Strip) -> usize {
        strip.images.len() * strip.rows.len() * self.output[1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(batch: usize, size: usize, channels: usize, kernel: usize) -> Geometry {
        Geometry {
            batch,
            input: [size; 2],
            in_channels: channels,
            output: [size; 2],
            out_channels: 32,
            kernel: [kernel; 2],
            stride: [1; 2],
            padding: [(kernel / 2) as isize; 2],
        }
    }

    #[test]
    fn strips_cover_the_output_once_in_order() {
        for geometry in [
            geometry(3, 56, 64, 3),
            geometry(5, 7, 192, 3),
            geometry(2, 9, 512, 1),
            geometry(2, 9, 512, 1).flattened(),
            geometry(1, 1, 4000, 1),
        ] {
            let [height, _] = geometry.output;
            let mut next = 0;
            for strip in geometry.strips(96) {
                assert!(strip.images.len() == 1 || strip.rows == (0..height));
                assert_eq!(
                    strip.images.start * height + strip.rows.start,
                    next,
                    "{strip:?}"
                );
                next = (strip.images.end - 1) * height + strip.rows.end;
            }
            assert_eq!(next, geometry.batch * height);
        }
    }

    #[test]
    fn the_last_window_must_fit() {
        let size = Geometry::output_size;
        assert_eq!(size([224, 224], [7, 7], [2, 2], [3, 3]), Some([112, 112]));
        assert_eq!(size([17, 17], [1, 7], [1, 1], [0, 3]), Some([17, 17]));
        assert_eq!(size([2, 2], [3, 3], [1, 1], [0, 0]), None);
    }
}
