//! From planes to RGB: every component is brought to the size of the picture as libjpeg does it, line by line.

use super::Cutout;
use super::area::{Area, Layout, Plane};
use super::colour::{Colour, convert};
use crate::pixels::Pixels;

/// Cuts the area out of the planes and converts it.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn to_rgb(colour: Colour, area: &Area, planes: &[Plane]) -> Cutout {
    let (width, height) = (area.right - area.left, area.bottom - area.top);
    let mut bytes = vec![0; 3 * width * height];
    let mut components: Vec<Spread> = planes
        .iter()
        .enumerate()
        .map(|(component, plane)| Spread {
            left: area.left,
            right: area.right,
            layout: &area.layouts[component],
            plane,
            origin: area.origin(component),
            sums: Vec::new(),
            line: Vec::new(),
        })
        .collect();
    for (y, line) in (area.top..).zip(bytes.chunks_exact_mut(3 * width)) {
        let mut lines = [[].as_slice(); 4];
        for (line, component) in lines.iter_mut().zip(&mut components) {
            *line = component.line(y);
        }
        convert(colour, lines, line);
    }
    Cutout {
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

/// A plane, brought to full size line by line.
struct Spread<'a> {
    /// Decoded columns of the area.
    left: usize,
    right: usize,
    layout: &'a Layout,
    plane: &'a Plane,
    /// Where the plane begins in the component.
    origin: (usize, usize),
    /// Weighted sums of two lines, with a neighbour at both ends.
    sums: Vec<i16>,
    line: Vec<u8>,
}

impl Spread<'_> {
    fn stored(&self, row: usize) -> &[u8] {
        let start = (row - self.origin.1) * self.plane.stride;
        &self.plane.pixels[start..start + self.plane.stride]
    }

    /// The component in a decoded line of the photograph, from the area's first column to its last.
    ///
    /// Twice the columns, or the lines, are made by the triangle filter, if there are more than two columns. All else is
    /// repetition.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn line(&mut self, y: usize) -> &[u8] {
        let Layout { spread, size, .. } = *self.layout;
        let row = y / spread.1;
        // The line next to this one on the side of `y`.
        let neighbour = if y.is_multiple_of(2) {
            row.saturating_sub(1)
        } else {
            (row + 1).min(size.1 - 1)
        };
        match spread {
            (1, 1) => {
                let columns = self.left - self.origin.0..self.right - self.origin.0;
                return &self.stored(row)[columns];
            }
            (1, 2) => {
                let columns = self.left - self.origin.0..self.right - self.origin.0;
                let rounding = if y.is_multiple_of(2) { 1 } else { 2 };
                let mut line = std::mem::take(&mut self.line);
                let (near, far) = (self.stored(row), self.stored(neighbour));
                let pairs = near[columns.clone()].iter().zip(&far[columns]);
                line.clear();
                line.extend(pairs.map(|(&near, &far)| {
                    ((3 * u16::from(near) + u16::from(far) + rounding) >> 2) as u8
                }));
                self.line = line;
                return &self.line;
            }
            (2, 1 | 2) if size.0 > 2 => {}
            (across, _) => {
                let mut line = std::mem::take(&mut self.line);
                let stored = self.stored(row);
                line.clear();
                line.extend((self.left..self.right).map(|x| stored[x / across - self.origin.0]));
                self.line = line;
                return &self.line;
            }
        }
        // Columns of the component under the area, with one more on each side; at the edge of the photograph the last
        // column stands for its neighbour.
        let (first, end) = (self.left / 2, self.right.div_ceil(2));
        let before = first.saturating_sub(1) - self.origin.0;
        let after = end.min(size.0 - 1) - self.origin.0;
        let inside = first - self.origin.0..end - self.origin.0;
        let mut sums = std::mem::take(&mut self.sums);
        let near = self.stored(row);
        sums.clear();
        if spread.1 == 2 {
            let far = self.stored(neighbour);
            let sum = |near: u8, far: u8| 3 * i16::from(near) + i16::from(far);
            sums.push(sum(near[before], far[before]));
            let pairs = near[inside.clone()].iter().zip(&far[inside]);
            sums.extend(pairs.map(|(&near, &far)| sum(near, far)));
            sums.push(sum(near[after], far[after]));
            doubled::<4, 8, 7>(&sums, &mut self.line);
        } else {
            sums.push(i16::from(near[before]));
            sums.extend(near[inside].iter().map(|&value| i16::from(value)));
            sums.push(i16::from(near[after]));
            doubled::<2, 1, 2>(&sums, &mut self.line);
        }
        self.sums = sums;
        let skipped = self.left % 2;
        &self.line[skipped..skipped + self.right - self.left]
    }
}

/// Two values for each sum but the ones at the ends: three parts of itself and one of the nearer neighbour, shifted down
/// after the roundings of the left and the right one.
#[cfg_attr(not(debug_assertions), inline(always))]
fn doubled<const SHIFT: usize, const LEFT: i16, const RIGHT: i16>(
    sums: &[i16],
    line: &mut Vec<u8>,
) {
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
