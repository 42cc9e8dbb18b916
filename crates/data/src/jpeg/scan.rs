//! The coded data: all blocks are read in order, those of the wished area become pixels, and reading stops below it.

use std::num::Wrapping;

use super::Shrink;
use super::bits::Bits;
use super::header::{Component, Header, place};
use super::idct::{Block, flat, full, reduced};
use crate::resize::Window;

/// What is decoded: whole units of the scan, and the pixels of them that are handed out.
pub(super) struct Area {
    /// Pixels that are handed out, among the decoded ones.
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) right: usize,
    pub(super) bottom: usize,
    /// Units of the scan: first, one past the last, and all of a row.
    columns: (usize, usize),
    rows: (usize, usize),
    units: usize,
    /// Pixels a side of a block of the first component, and of the others.
    sides: [usize; 2],
    /// How often the others are to be doubled along a row and along a column.
    pub(super) doubled: (bool, bool),
    /// Decoded size of the whole photograph.
    pub(super) size: (usize, usize),
    pub(super) shrink: Shrink,
}

impl Area {
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn new(header: &Header, window: Window, shrink: Shrink) -> Self {
        let factor = shrink.factor();
        let (across, down) = header.blocks;
        let side = 8 / factor;
        // Colour at a quarter of the resolution needs no doubling when brightness is halved anyway.
        let native = header.blocks == (2, 2) && shrink != Shrink::Full;
        let other = if native { 2 * side } else { side };
        let size = (
            header.width.div_ceil(factor),
            header.height.div_ceil(factor),
        );
        let (left, top) = (window.left / factor, window.top / factor);
        let right = (window.left + window.width).div_ceil(factor);
        let bottom = (window.top + window.height).div_ceil(factor);
        let units = header.width.div_ceil(8 * across);
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
            columns: span(left, right, side * across, units),
            rows: span(top, bottom, side * down, header.height.div_ceil(8 * down)),
            units,
            sides: [side, other],
            doubled: (across == 2 && !native, down == 2 && !native),
            size,
            shrink,
        }
    }

    /// First decoded column and row of a component in its plane.
    pub(super) fn origin(&self, header: &Header, component: usize) -> (usize, usize) {
        let (across, down, side) = self.blocks(header, component);
        (self.columns.0 * across * side, self.rows.0 * down * side)
    }

    /// Blocks of a component in a unit, along a row and a column, and pixels along a side of them.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn blocks(&self, header: &Header, component: usize) -> (usize, usize, usize) {
        if component == 0 {
            (header.blocks.0, header.blocks.1, self.sides[0])
        } else {
            (1, 1, self.sides[1])
        }
    }
}

/// The decoded units of a component.
pub(super) struct Plane {
    pub(super) pixels: Vec<u8>,
    pub(super) stride: usize,
}

/// Reads the scan; `None` if it is damaged before the end of the area.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn decode(header: &Header, scan: &[u8], area: &Area) -> Option<Vec<Plane>> {
    let mut planes: Vec<Plane> = (0..header.components.len())
        .map(|component| {
            let (across, down, side) = area.blocks(header, component);
            let stride = (area.columns.1 - area.columns.0) * across * side;
            let lines = (area.rows.1 - area.rows.0) * down * side;
            Plane {
                pixels: vec![0; stride * lines],
                stride,
            }
        })
        .collect();
    let mut bits = Bits::new(scan);
    let mut firsts = [0i32; 3];
    let mut until_restart = header.restart_interval;
    let mut block: Block = [Wrapping(0); 64];
    for row in 0..area.rows.1 {
        for column in 0..area.units {
            if header.restart_interval > 0 {
                if until_restart == 0 {
                    bits = bits.after_restart()?;
                    firsts = [0; 3];
                    until_restart = header.restart_interval;
                }
                until_restart -= 1;
            }
            let wished = row >= area.rows.0 && (area.columns.0..area.columns.1).contains(&column);
            for (number, component) in header.components.iter().enumerate() {
                let (across, down, side) = area.blocks(header, number);
                for y in 0..down {
                    for x in 0..across {
                        if !wished {
                            pass_over(component, &mut bits, &mut firsts[number])?;
                            continue;
                        }
                        let plane = &mut planes[number];
                        let left = ((column - area.columns.0) * across + x) * side;
                        let top = ((row - area.rows.0) * down + y) * side;
                        let pixels = &mut plane.pixels[top * plane.stride + left..];
                        let last = read(component, &mut bits, &mut firsts[number], &mut block)?;
                        transform(&block, last, side, pixels, plane.stride);
                        if last > 0 {
                            block = [Wrapping(0); 64];
                        }
                    }
                }
            }
        }
        if bits.overran() {
            return None;
        }
    }
    Some(planes)
}

/// The first coefficient, which is coded as the difference to the one of the block before.
#[cfg_attr(not(debug_assertions), inline(always))]
fn first(component: &Component, bits: &mut Bits<'_>, before: &mut i32) -> Option<i32> {
    bits.refill();
    let size = u32::from(component.first.symbol(bits)?);
    if size > 15 {
        return None;
    }
    *before = before.wrapping_add(bits.signed(size));
    Some(*before)
}

/// Reads a block into `block`, which is zero before, multiplied by the quantisers; returns its last position.
#[cfg_attr(not(debug_assertions), inline(always))]
fn read(
    component: &Component,
    bits: &mut Bits<'_>,
    before: &mut i32,
    block: &mut Block,
) -> Option<usize> {
    let quantisers = &component.quantisers;
    block[0] = Wrapping(first(component, bits, before)?) * Wrapping(quantisers[0]);
    let mut last = 0;
    let mut position = 1;
    while position < 64 {
        let step = component.others.step(bits)?;
        position += usize::from(step.run);
        if step.value != 0 {
            // Damage may lead beyond the end, and then changes some coefficient or other.
            let quantiser = Wrapping(quantisers[position & 63]);
            block[place(position)] = Wrapping(i32::from(step.value)) * quantiser;
            last = position;
            position += 1;
        }
    }
    Some(last)
}

/// Reads a block that nobody looks at.
#[cfg_attr(not(debug_assertions), inline(always))]
fn pass_over(component: &Component, bits: &mut Bits<'_>, before: &mut i32) -> Option<()> {
    first(component, bits, before)?;
    let mut position = 1;
    while position < 64 {
        let step = component.others.step(bits)?;
        position += usize::from(step.run) + usize::from(step.value != 0);
    }
    Some(())
}

#[cfg_attr(not(debug_assertions), inline(always))]
fn transform(block: &Block, last: usize, side: usize, pixels: &mut [u8], stride: usize) {
    match side {
        8 if last == 0 => {
            let value = flat(block[0]);
            for line in pixels.chunks_mut(stride).take(8) {
                line[..8].fill(value);
            }
        }
        8 => full(block, pixels, stride),
        4 => reduced::<4>(block, pixels, stride),
        2 => reduced::<2>(block, pixels, stride),
        _ => reduced::<1>(block, pixels, stride),
    }
}
