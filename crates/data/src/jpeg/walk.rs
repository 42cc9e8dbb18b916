//! The order in which a scan brings its blocks, and the restart marks between them.

use super::area::Area;
use super::bits::{Bits, Damage};
use super::header::Scan;

/// What a scan knows of the blocks before; forgotten at a restart mark.
#[derive(Default)]
pub(super) struct Memory {
    /// The first coefficient of the last block, for each component of the scan.
    pub(super) firsts: [i32; 4],
    /// Blocks to come of which a progressive scan brings nothing new.
    pub(super) empty_blocks: usize,
}

/// Takes up the blocks of a scan.
pub(super) trait Blocks {
    /// Reads the next block, which is of this component of the scan and stands in this column and row of blocks.
    fn read(
        &mut self,
        bits: &mut Bits<'_>,
        memory: &mut Memory,
        part: usize,
        at: (usize, usize),
    ) -> Result<(), Damage>;
}

/// Reads the blocks of a scan in order, down to a row of units.
///
/// Several components come in units of the picture, padded at its edges. Alone, a component comes block by block in lines
/// over the whole picture, without padding. T.81, A.2.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn walk(
    scan: &Scan<'_>,
    area: &Area,
    rows: usize,
    blocks: &mut impl Blocks,
) -> Result<(), Damage> {
    let layout = |part: usize| &area.layouts[scan.parts[part].component];
    let alone = scan.parts.len() == 1;
    let (units, rows) = if alone {
        let (inside, unit) = (layout(0).inside, layout(0).blocks);
        (inside.0, inside.1.min(rows * unit.1))
    } else {
        (area.units.0, rows)
    };
    let mut bits = Bits::new(scan.data);
    let mut memory = Memory::default();
    let (mut restarts, mut until_restart) = (0, scan.restart_interval);
    for row in 0..rows {
        for column in 0..units {
            if scan.restart_interval > 0 {
                if until_restart == 0 {
                    let lost = "a restart mark is missing, or there is another one";
                    bits = bits.after_restart(restarts).ok_or(lost)?;
                    memory = Memory::default();
                    restarts += 1;
                    until_restart = scan.restart_interval;
                }
                until_restart -= 1;
            }
            for part in 0..scan.parts.len() {
                let (across, down) = if alone { (1, 1) } else { layout(part).blocks };
                for y in 0..down {
                    for x in 0..across {
                        let at = (column * across + x, row * down + y);
                        blocks.read(&mut bits, &mut memory, part, at)?;
                    }
                }
            }
        }
        if bits.overran() {
            return Err("the coded data end before the picture");
        }
    }
    Ok(())
}
