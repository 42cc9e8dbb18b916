//! Copies the part of an image that a strip reads, with its zero border, to where the product kernel finds it.

use super::geometry::{Geometry, Strip};

/// Copies the input rows that `strip` reads into `to` as `[images, rows, columns, channels]`, zero outside the image.
pub(super) fn copy_bordered(geometry: &Geometry, strip: &Strip, from: &[f32], to: &mut [f32]) {
    let channels = geometry.in_channels;
    let [height, width] = geometry.input;
    let columns = geometry.bordered_width();
    let rows = geometry.bordered_height(strip.rows.len());
    let top = (strip.rows.start * geometry.stride[0]) as isize - geometry.padding[0];
    // Columns `first..last` lie inside the image, the first of them `skipped` columns from its left edge.
    let left = -geometry.padding[1];
    let first = (-left).clamp(0, columns as isize) as usize;
    let last = (width as isize - left).clamp(first as isize, columns as isize) as usize;
    let skipped = (first as isize + left).max(0) as usize;
    let to_rows = to.chunks_exact_mut((columns * channels).max(1));
    let indices = strip
        .images
        .clone()
        .flat_map(|image| (0..rows).map(move |row| (image, row)));
    for (to_row, (image, row)) in to_rows.zip(indices) {
        let row = usize::try_from(top + row as isize)
            .ok()
            .filter(|&row| row < height);
        let Some(row) = row.filter(|_| first < last) else {
            to_row.fill(0.0);
            continue;
        };
        let start = image * geometry.input_image() + (row * width + skipped) * channels;
        to_row[..first * channels].fill(0.0);
        to_row[first * channels..last * channels]
            .copy_from_slice(&from[start..start + (last - first) * channels]);
        to_row[last * channels..].fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_is_zero() {
        // One image of 2 × 2 pixels, a 3 × 3 kernel.
        let geometry = Geometry {
            batch: 1,
            input: [2, 2],
            in_channels: 1,
            output: [2, 2],
            out_channels: 1,
            kernel: [3, 3],
            stride: [1, 1],
            padding: [1, 1],
        };
        let from = [1.0, 2.0, 3.0, 4.0];
        let strip = Strip {
            images: 0..1,
            rows: 1..2,
        };
        let mut to = [9.0; 12];
        copy_bordered(&geometry, &strip, &from, &mut to);
        assert_eq!(to, [0., 1., 2., 0., 0., 3., 4., 0., 0., 0., 0., 0.]);

        // A negative padding cuts the image.
        let cut = Geometry {
            output: [1, 1],
            kernel: [1, 1],
            padding: [-1, -1],
            ..geometry
        };
        let mut to = [9.0; 1];
        copy_bordered(
            &cut,
            &Strip {
                images: 0..1,
                rows: 0..1,
            },
            &from,
            &mut to,
        );
        assert_eq!(to, [4.0]);
    }
}
