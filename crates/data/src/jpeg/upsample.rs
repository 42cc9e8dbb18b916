//! From planes to RGB: colour is brought to the size of brightness by libjpeg's triangle filter, then converted.

use super::Part;
use super::header::Header;
use super::scan::{Area, Plane};
use crate::pixels::Pixels;

/// Cuts the area out of the planes and converts it.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn to_rgb(header: &Header, area: &Area, planes: &[Plane]) -> Part {
    let (width, height) = (area.right - area.left, area.bottom - area.top);
    let mut bytes = vec![0; 3 * width * height];
    let luma_origin = area.origin(header, 0);
    let mut chroma = [Chroma::new(header, area), Chroma::new(header, area)];
    for (y, line) in (area.top..).zip(bytes.chunks_exact_mut(3 * width)) {
        let plane = &planes[0];
        let start = (y - luma_origin.1) * plane.stride + area.left - luma_origin.0;
        let luma = &plane.pixels[start..start + width];
        if let [_, blue, red] = planes {
            let [of_blue, of_red] = &mut chroma;
            let blue = of_blue.line(blue, y);
            let red = of_red.line(red, y);
            convert(luma, blue, red, line);
        } else {
            for (pixel, &value) in line.as_chunks_mut::<3>().0.iter_mut().zip(luma) {
                *pixel = [value; 3];
            }
        }
    }
    Part {
        pixels: Pixels {
            width,
            height,
            bytes,
        },
        left: area.left,
        top: area.top,
        shrink: area.shrink,
    }
}

/// One of the colour planes, brought to full size line by line.
struct Chroma {
    /// Decoded column range of the area, and where the plane begins.
    left: usize,
    right: usize,
    origin: (usize, usize),
    doubled: (bool, bool),
    /// Size of the whole component: padding beyond it is not looked at.
    size: (usize, usize),
    /// Weighted sums of two lines, with a neighbour at both ends.
    sums: Vec<i16>,
    line: Vec<u8>,
}

impl Chroma {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn new(header: &Header, area: &Area) -> Self {
        let halved = |doubled: bool, size: usize| if doubled { size.div_ceil(2) } else { size };
        let origin = match header.components.len() {
            1 => (0, 0),
            _ => area.origin(header, 1),
        };
        Chroma {
            left: area.left,
            right: area.right,
            origin,
            doubled: area.doubled,
            size: (
                halved(area.doubled.0, area.size.0),
                halved(area.doubled.1, area.size.1),
            ),
            sums: Vec::new(),
            line: Vec::new(),
        }
    }

    /// The colour of a decoded line of the photograph, from the area's first column to its last.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn line<'a>(&'a mut self, plane: &'a Plane, y: usize) -> &'a [u8] {
        let stored = |row: usize| {
            let start = (row - self.origin.1) * plane.stride;
            &plane.pixels[start..start + plane.stride]
        };
        if !self.doubled.0 {
            let line = stored(y);
            return &line[self.left - self.origin.0..self.right - self.origin.0];
        }
        // Columns of the component under the area, with one more on each side; at the edge of the photograph the last
        // column stands for its neighbour.
        let (first, end) = (self.left / 2, self.right.div_ceil(2));
        let before = first.saturating_sub(1) - self.origin.0;
        let after = end.min(self.size.0 - 1) - self.origin.0;
        let inside = first - self.origin.0..end - self.origin.0;
        self.sums.clear();
        if self.doubled.1 {
            let near = y / 2;
            let far = if y.is_multiple_of(2) {
                near.saturating_sub(1)
            } else {
                (near + 1).min(self.size.1 - 1)
            };
            let (near, far) = (stored(near), stored(far));
            let sum = |near: u8, far: u8| 3 * i16::from(near) + i16::from(far);
            self.sums.push(sum(near[before], far[before]));
            let pairs = near[inside.clone()].iter().zip(&far[inside]);
            self.sums.extend(pairs.map(|(&near, &far)| sum(near, far)));
            self.sums.push(sum(near[after], far[after]));
            spread::<4, 8, 7>(&self.sums, &mut self.line);
        } else {
            let line = stored(y);
            self.sums.push(i16::from(line[before]));
            self.sums
                .extend(line[inside].iter().map(|&value| i16::from(value)));
            self.sums.push(i16::from(line[after]));
            spread::<2, 1, 2>(&self.sums, &mut self.line);
        }
        let skipped = self.left % 2;
        &self.line[skipped..skipped + self.right - self.left]
    }
}

/// Two values for each sum but the ones at the ends: three parts of itself and one of the nearer neighbour, shifted down
/// after the roundings of the left and the right one.
#[cfg_attr(not(debug_assertions), inline(always))]
fn spread<const SHIFT: usize, const LEFT: i16, const RIGHT: i16>(sums: &[i16], line: &mut Vec<u8>) {
    let count = sums.len() - 2;
    line.resize(2 * count, 0);
    let (before, here, after) = (&sums[..count], &sums[1..=count], &sums[2..]);
    for (n, pair) in line.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        let middle = 3 * here[n];
        *pair = [
            ((middle + before[n] + LEFT) >> SHIFT) as u8,
            ((middle + after[n] + RIGHT) >> SHIFT) as u8,
        ];
    }
}

/// JFIF's conversion with libjpeg's constants, 16 bits behind the point.
#[cfg_attr(not(debug_assertions), inline(always))]
fn convert(luma: &[u8], blue: &[u8], red: &[u8], line: &mut [u8]) {
    const HALF: i32 = 1 << 15;
    let pixels = line.as_chunks_mut::<3>().0;
    let count = pixels.len();
    let (luma, blue, red) = (&luma[..count], &blue[..count], &red[..count]);
    for n in 0..count {
        let (y, b, r) = (
            i32::from(luma[n]),
            i32::from(blue[n]) - 128,
            i32::from(red[n]) - 128,
        );
        let level = |value: i32| value.clamp(0, 255) as u8;
        pixels[n] = [
            level(y + ((91_881 * r + HALF) >> 16)),
            level(y + ((-22_554 * b - 46_802 * r + HALF) >> 16)),
            level(y + ((116_130 * b + HALF) >> 16)),
        ];
    }
}
