//! The processor's vector instructions: which are there, and the product kernel and the transforms written in them.
//!
//! All `unsafe` code of the crate is in this module and in `memory`, in files that do nothing else.

mod avx2;
mod avx512;
mod lanes;
mod level;
mod operands;
mod panel;
mod portable;
mod tile;
mod winograd;

use level::for_lanes;
pub(crate) use level::{Level, for_level};
pub(crate) use operands::{Finish, Left, Right};
pub(crate) use panel::{Panel, multiply_panel, panels};
pub(crate) use winograd::{
    PLANES, Pixels, Tiles, transform_gradient, transform_input, transform_output,
};

/// `Σ count · step`: how far an operand is read or written. A sum beyond all memory is [`usize::MAX`], so that a check against the
/// length of a slice refuses it, as it would not if the sum wrapped around.
fn reach<const N: usize>(terms: [(usize, usize); N]) -> usize {
    terms.into_iter().fold(0, |sum: usize, (count, step)| {
        sum.saturating_add(count.saturating_mul(step))
    })
}
