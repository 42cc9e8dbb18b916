//! What of a picture is decoded, and where it lies in the planes of the components.

use std::ops::Range;

use super::Shrink;
use super::header::{Component, Frame};
use crate::window::Window;

/// Whole units of the picture, and the pixels of them that are handed out. A unit holds as many blocks of each component as
/// its sampling factors say.
pub(super) struct Area {
    /// Pixels that are handed out, among the decoded ones.
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) right: usize,
    pub(super) bottom: usize,
    /// Units of the area: first, and one past the last.
    columns: (usize, usize),
    pub(super) rows: (usize, usize),
    /// Units of the whole picture, across and down.
    pub(super) units: (usize, usize),
    /// For each component of the picture.
    pub(super) layouts: Vec<Layout>,
    pub(super) shrink: Shrink,
}

/// How a component covers the picture.
pub(super) struct Layout {
    /// Blocks in a unit, across and down.
    pub(super) blocks: (usize, usize),
    /// Blocks of the whole picture without those that lie beyond its edges.
    pub(super) inside: (usize, usize),
    /// Decoded pixels along a side of a block.
    pub(super) side: usize,
    /// Pixels of the picture to one of the component, along a row and along a column.
    pub(super) spread: (usize, usize),
    /// Decoded size of the whole component: padding beyond it is not looked at.
    pub(super) size: (usize, usize),
}

/// The decoded units of a component.
pub(super) struct Plane {
    pub(super) pixels: Vec<u8>,
    pub(super) stride: usize,
}

impl Area {
    /// The units that show `window`, which is given in stored pixels.
    ///
    /// Only colour that has as many columns as rows left out can be shrunk with the brightness. With half the columns and all
    /// rows (4:2:2) it would lose half of its columns again, so such a picture is decoded as stored whatever is asked for.
    pub(super) fn new(frame: &Frame, window: Window, shrink: Shrink) -> Self {
        let spread = |component: &Component| {
            (
                frame.largest.0 / component.sampling.0,
                frame.largest.1 / component.sampling.1,
            )
        };
        let shrinks = |component| matches!(spread(component), (1, 1) | (2, 2));
        let shrink = match frame.components.iter().all(shrinks) {
            true => shrink,
            false => Shrink::Full,
        };
        let factor = shrink.factor();
        let side = 8 / factor;
        let (left, top) = (window.left / factor, window.top / factor);
        let right = (window.left + window.width).div_ceil(factor);
        let bottom = (window.top + window.height).div_ceil(factor);
        let units = (
            frame.width.div_ceil(8 * frame.largest.0),
            frame.height.div_ceil(8 * frame.largest.1),
        );
        let layouts = frame.components.iter().map(|component| {
            let stored = spread(component);
            // Colour at a quarter of the resolution needs no doubling when brightness is halved anyway.
            let native = shrink != Shrink::Full && stored == (2, 2);
            let spread = if native { (1, 1) } else { stored };
            let size = |stored: usize, spread: usize| stored.div_ceil(factor).div_ceil(spread);
            let inside = |stored: usize, spread: usize| stored.div_ceil(spread).div_ceil(8);
            Layout {
                blocks: component.sampling,
                inside: (
                    inside(frame.width, stored.0),
                    inside(frame.height, stored.1),
                ),
                side: if native { 2 * side } else { side },
                spread,
                size: (size(frame.width, spread.0), size(frame.height, spread.1)),
            }
        });
        // The filter for colour looks at the neighbours of a pixel, two columns away at most.
        let span = |first: usize, end: usize, unit: usize, all: usize| {
            (
                first.saturating_sub(2) / unit,
                (end + 2).div_ceil(unit).min(all),
            )
        };
        Area {
            left,
            top,
            right,
            bottom,
            columns: span(left, right, side * frame.largest.0, units.0),
            rows: span(top, bottom, side * frame.largest.1, units.1),
            units,
            layouts: layouts.collect(),
            shrink,
        }
    }

    /// Planes for the units of the area.
    pub(super) fn planes(&self) -> Vec<Plane> {
        let planes = self.layouts.iter().map(|layout| {
            let stride = (self.columns.1 - self.columns.0) * layout.blocks.0 * layout.side;
            let lines = (self.rows.1 - self.rows.0) * layout.blocks.1 * layout.side;
            Plane {
                pixels: vec![0; stride * lines],
                stride,
            }
        });
        planes.collect()
    }

    /// Blocks of a component that lie in the area: columns and rows of them.
    pub(super) fn blocks(&self, component: usize) -> [Range<usize>; 2] {
        let (across, down) = self.layouts[component].blocks;
        [
            self.columns.0 * across..self.columns.1 * across,
            self.rows.0 * down..self.rows.1 * down,
        ]
    }

    /// First decoded column and row of a component in its plane.
    pub(super) fn origin(&self, component: usize) -> (usize, usize) {
        let [columns, rows] = self.blocks(component);
        let side = self.layouts[component].side;
        (columns.start * side, rows.start * side)
    }

    /// Blocks of a component with the padding to whole units, across and down.
    pub(super) fn padded(&self, component: usize) -> (usize, usize) {
        let blocks = self.layouts[component].blocks;
        (self.units.0 * blocks.0, self.units.1 * blocks.1)
    }
}
