//! The transforms of Winograd's convolution, on vectors of channels.
//!
//! `F(2×2, 3×3)`: 2 × 2 outputs of a 3 × 3 kernel are 16 products instead of 36 (Lavin and Gray, *Fast algorithms for
//! convolutional neural networks*, arXiv 1509.09308). Along one axis, with inputs `d`, kernel `g` and outputs `y`:
//!
//! ```text
//! y = Aᵀ [(G g) ⊙ (Bᵀ d)]
//! Bᵀ d = (d0 - d2, d1 + d2, d2 - d1, d1 - d3)
//! G g  = (g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2)
//! Aᵀ m = (m0 + m1 + m2, m1 - m2 - m3)
//! ```
//!
//! Plane `4 i + j` holds what index `i` along the height and `j` along the width meet.
#![expect(
    unsafe_code,
    reason = "checks the operands and calls the transform of the level"
)]

use super::lanes::Lanes;
use super::panel::{LINE, Panel};
use super::{Level, for_lanes, reach};

/// Products of a tile.
pub(crate) const PLANES: usize = 16;

/// Tiles of 2 × 2 outputs: `rows × columns` of them in each image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiles {
    pub(crate) images: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Tiles {
    /// [`usize::MAX`] if there are more.
    pub(crate) fn count(self) -> usize {
        let image = self.rows.saturating_mul(self.columns);
        self.images.saturating_mul(image)
    }
}

/// Channels-last images that tiles are cut from or written to. Pixels at and beyond `height` or `width` do not exist.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixels {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
}

impl Pixels {
    /// Floats of an image; [`usize::MAX`] if there are more.
    fn image(self) -> usize {
        let row = self.width.saturating_mul(self.channels);
        self.height.saturating_mul(row)
    }
}

/// `Bᵀ d B` of the 4 × 4 inputs of each tile: plane `p`, tile `t`, channel `c` at `p * plane + t * channels + c`.
///
/// # Panics
/// If the tiles reach beyond the images, or a slice is too short.
pub(crate) fn transform_input(
    level: Level,
    tiles: Tiles,
    pixels: Pixels,
    from: &[f32],
    to: &mut [f32],
    plane: usize,
) {
    if tiles.count() == 0 {
        return;
    }
    let (rows, columns) = (
        reach([(2, tiles.rows), (2, 1)]),
        reach([(2, tiles.columns), (2, 1)]),
    );
    assert!(
        rows <= pixels.height && columns <= pixels.width,
        "tiles reach beyond the images"
    );
    let floats = reach([(tiles.images, pixels.image())]);
    assert!(floats <= from.len(), "input is too short");
    let floats = reach([(tiles.count(), pixels.channels)]);
    assert!(floats <= plane, "planes overlap");
    assert!(
        reach([(PLANES - 1, plane), (1, floats)]) <= to.len(),
        "output is too short"
    );
    let (from, to) = (from.as_ptr(), to.as_mut_ptr());
    // SAFETY: all tiles lie in the images and all planes in `to`, checked above.
    for_lanes!(level, input(tiles: Tiles, pixels: Pixels, from: *const f32, to: *mut f32, plane: usize));
}

/// # Safety
/// The instructions of `S` are there, and what [`transform_input`] checks holds.
#[inline(always)]
unsafe fn input<S: Lanes>(
    tiles: Tiles,
    pixels: Pixels,
    from: *const f32,
    to: *mut f32,
    plane: usize,
) {
    let Pixels {
        width, channels, ..
    } = pixels;
    let row = width * channels;
    for tile in 0..tiles.count() {
        let (x, line) = (tile % tiles.columns, tile / tiles.columns);
        let (y, image) = (line % tiles.rows, line / tiles.rows);
        let start = image * pixels.image() + 2 * (y * row + x * channels);
        let mut channel = 0;
        while channel < channels {
            let lanes = channels - channel;
            // SAFETY: the caller's.
            unsafe {
                let from = from.add(start + channel);
                let to = to.add(tile * channels + channel);
                let mut half = [[S::splat(0.0); 4]; 4];
                for x in 0..4 {
                    let from = from.add(x * channels);
                    let d: [S::Vector; 4] = [
                        S::load_up_to(from, lanes),
                        S::load_up_to(from.add(row), lanes),
                        S::load_up_to(from.add(2 * row), lanes),
                        S::load_up_to(from.add(3 * row), lanes),
                    ];
                    let t = differences::<S>(d);
                    for i in 0..4 {
                        half[i][x] = t[i];
                    }
                }
                for i in 0..4 {
                    let t = differences::<S>(half[i]);
                    for j in 0..4 {
                        S::store_up_to(to.add((4 * i + j) * plane), t[j], lanes);
                    }
                }
            }
            channel += S::WIDTH;
        }
    }
}

/// `Bᵀ d`
#[inline(always)]
unsafe fn differences<S: Lanes>([a, b, c, d]: [S::Vector; 4]) -> [S::Vector; 4] {
    // SAFETY: the caller's.
    unsafe {
        [
            S::subtract(a, c),
            S::add(b, c),
            S::subtract(c, b),
            S::subtract(b, d),
        ]
    }
}

/// `Aᵀ m A`, then bias and a cut at zero: plane `p`, tile `t`, channel `c` is read at `p * plane + t * row + c`.
///
/// # Panics
/// If a slice is too short.
pub(crate) fn transform_output(
    level: Level,
    tiles: Tiles,
    from: &[f32],
    plane: usize,
    row: usize,
    bias: Option<&[f32]>,
    relu: bool,
    pixels: Pixels,
    to: &mut [f32],
) {
    if tiles.count() == 0 {
        return;
    }
    let floats = reach([(tiles.count(), row)]);
    assert!(
        pixels.channels <= row && floats <= plane,
        "rows or planes overlap"
    );
    assert!(
        reach([(PLANES - 1, plane), (1, floats)]) <= from.len(),
        "input is too short"
    );
    assert!(
        reach([(tiles.images, pixels.image())]) <= to.len(),
        "output is too short"
    );
    assert!(
        bias.is_none_or(|bias| pixels.channels <= bias.len()),
        "bias is too short"
    );
    let (from, to) = (from.as_ptr(), to.as_mut_ptr());
    let bias = bias.map(<[f32]>::as_ptr);
    // SAFETY: all planes lie in `from`, all images in `to`, and the bias is long enough, checked above.
    for_lanes!(level, output(tiles: Tiles, from: *const f32, plane: usize, row: usize, bias: Option<*const f32>, relu: bool, pixels: Pixels, to: *mut f32));
}

/// # Safety
/// The instructions of `S` are there, and what [`transform_output`] checks holds.
#[inline(always)]
unsafe fn output<S: Lanes>(
    tiles: Tiles,
    from: *const f32,
    plane: usize,
    row: usize,
    bias: Option<*const f32>,
    relu: bool,
    pixels: Pixels,
    to: *mut f32,
) {
    let Pixels {
        height,
        width,
        channels,
    } = pixels;
    for tile in 0..tiles.count() {
        let (x, line) = (tile % tiles.columns, tile / tiles.columns);
        let (y, image) = (line % tiles.rows, line / tiles.rows);
        let (rows, columns) = (height - (2 * y).min(height), width - (2 * x).min(width));
        let start = image * pixels.image() + 2 * (y * width + x) * channels;
        let mut channel = 0;
        while channel < channels {
            let lanes = channels - channel;
            // SAFETY: the caller's.
            unsafe {
                let from = from.add(tile * row + channel);
                let mut half = [[S::splat(0.0); 4]; 2];
                for j in 0..4 {
                    let m: [S::Vector; 4] = [
                        S::load_up_to(from.add(j * plane), lanes),
                        S::load_up_to(from.add((4 + j) * plane), lanes),
                        S::load_up_to(from.add((8 + j) * plane), lanes),
                        S::load_up_to(from.add((12 + j) * plane), lanes),
                    ];
                    let t = sums::<S>(m);
                    half[0][j] = t[0];
                    half[1][j] = t[1];
                }
                let offset = bias.map(|bias| S::load_up_to(bias.add(channel), lanes));
                for dy in 0..2 {
                    let t = sums::<S>(half[dy]);
                    for dx in 0..2 {
                        if dy >= rows || dx >= columns {
                            continue;
                        }
                        let mut value = t[dx];
                        if let Some(offset) = offset {
                            value = S::add(value, offset);
                        }
                        if relu {
                            value = S::max(S::splat(0.0), value);
                        }
                        let to = to.add(start + (dy * width + dx) * channels + channel);
                        S::store_up_to(to, value, lanes);
                    }
                }
            }
            channel += S::WIDTH;
        }
    }
}

/// `Aᵀ m`
#[inline(always)]
unsafe fn sums<S: Lanes>([a, b, c, d]: [S::Vector; 4]) -> [S::Vector; 2] {
    // SAFETY: the caller's.
    unsafe { [S::add(S::add(a, b), c), S::subtract(S::subtract(b, c), d)] }
}

/// `A g Aᵀ` of the 2 × 2 output gradients of each tile, in panels of the channels from `first`: plane `p`, panel `q`, tile
/// `t`, channel `first + c` at `p * plane + q.start * tiles + t * q.width + c - q.start`. Outputs that do not exist, and channels that fill up a
/// panel, are zero.
///
/// # Panics
/// If a slice is too short, a panel reaches beyond the channels, or its width is no multiple of 16: vectors are written whole.
pub(crate) fn transform_gradient(
    level: Level,
    tiles: Tiles,
    pixels: Pixels,
    from: &[f32],
    first: usize,
    panels: &[Panel],
    to: &mut [f32],
    plane: usize,
) {
    if tiles.count() == 0 {
        return;
    }
    let floats = reach([(tiles.images, pixels.image())]);
    assert!(floats <= from.len(), "input is too short");
    for panel in panels {
        let columns = reach([(1, first), (1, panel.start), (1, panel.columns)]);
        assert!(
            columns <= pixels.channels,
            "{panel:?} reaches beyond the channels"
        );
        assert!(
            panel.columns <= panel.width && panel.width.is_multiple_of(LINE),
            "{panel:?} is no multiple of {LINE} wide"
        );
        let floats = reach([(panel.start, tiles.count()), (panel.width, tiles.count())]);
        assert!(floats <= plane, "planes overlap");
        assert!(
            reach([(PLANES - 1, plane), (1, floats)]) <= to.len(),
            "output is too short"
        );
        let (from, to) = (from.as_ptr(), to.as_mut_ptr());
        let panel = *panel;
        // SAFETY: all images lie in `from`, and the panel in every plane of `to`, checked above.
        for_lanes!(level, gradient(tiles: Tiles, pixels: Pixels, from: *const f32, first: usize, panel: Panel, to: *mut f32, plane: usize));
    }
}

/// # Safety
/// The instructions of `S` are there, and what [`transform_gradient`] checks holds.
#[inline(always)]
unsafe fn gradient<S: Lanes>(
    tiles: Tiles,
    pixels: Pixels,
    from: *const f32,
    first: usize,
    panel: Panel,
    to: *mut f32,
    plane: usize,
) {
    let Pixels {
        height,
        width,
        channels,
    } = pixels;
    for tile in 0..tiles.count() {
        let (x, line) = (tile % tiles.columns, tile / tiles.columns);
        let (y, image) = (line % tiles.rows, line / tiles.rows);
        let (rows, columns) = (height - (2 * y).min(height), width - (2 * x).min(width));
        let start = image * pixels.image() + 2 * (y * width + x) * channels + first + panel.start;
        let target = panel.start * tiles.count() + tile * panel.width;
        let mut channel = 0;
        while channel < panel.width {
            let lanes = panel.columns.saturating_sub(channel);
            // SAFETY: the caller's; channels beyond the panel's columns are not read.
            unsafe {
                let mut half = [[S::splat(0.0); 2]; 4];
                for dx in 0..2 {
                    let mut g = [S::splat(0.0); 2];
                    for dy in 0..2 {
                        if dy < rows && dx < columns {
                            let at = start + (dy * width + dx) * channels + channel;
                            g[dy] = S::load_up_to(from.wrapping_add(at), lanes);
                        }
                    }
                    let t = expanded::<S>(g);
                    for i in 0..4 {
                        half[i][dx] = t[i];
                    }
                }
                for i in 0..4 {
                    let t = expanded::<S>(half[i]);
                    for j in 0..4 {
                        S::store(to.add((4 * i + j) * plane + target + channel), t[j]);
                    }
                }
            }
            channel += S::WIDTH;
        }
    }
}

/// `A g`
#[inline(always)]
unsafe fn expanded<S: Lanes>([a, b]: [S::Vector; 2]) -> [S::Vector; 4] {
    // SAFETY: the caller's.
    unsafe {
        [
            a,
            S::add(a, b),
            S::subtract(a, b),
            S::subtract(S::splat(0.0), b),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient_of(panel: Panel, to: &mut [f32]) {
        let tiles = Tiles {
            images: 1,
            rows: 1,
            columns: 1,
        };
        let pixels = Pixels {
            height: 2,
            width: 2,
            channels: 20,
        };
        let plane = to.len() / PLANES;
        let from = [1.0; 80];
        transform_gradient(
            Level::Portable,
            tiles,
            pixels,
            &from,
            0,
            &[panel],
            to,
            plane,
        );
    }

    #[test]
    fn a_panel_fills_whole_vectors() {
        let whole = Panel {
            start: 0,
            columns: 20,
            width: 32,
        };
        let mut to = [f32::NAN; 32 * PLANES];
        gradient_of(whole, &mut to);
        assert!(to.iter().all(|value| value.is_finite()));
    }

    #[test]
    #[should_panic(expected = "is no multiple of 16 wide")]
    fn a_panel_that_would_be_written_beyond_its_end_is_refused() {
        let narrow = Panel {
            start: 0,
            columns: 20,
            width: 20,
        };
        gradient_of(narrow, &mut [0.0; 20 * PLANES]);
    }

    #[test]
    #[should_panic(expected = "input is too short")]
    fn sizes_that_wrap_around_are_refused() {
        let tiles = Tiles {
            images: 1 << 60,
            rows: 1,
            columns: 1,
        };
        let pixels = Pixels {
            height: 4,
            width: 4,
            channels: 1,
        };
        // 2^60 images of 16 floats are 2^64.
        transform_input(Level::Portable, tiles, pixels, &[], &mut [], 0);
    }
}
