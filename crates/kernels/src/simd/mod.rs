//! The processor's vector instructions: which are there, and the product kernel and the transforms written in them.
//!
//! All `unsafe` code of the crate is in this module and in `memory`, in files that do nothing else.

mod avx2;
mod avx512;
mod lanes;
mod level;
mod panel;
mod portable;
mod tile;
mod winograd;

use level::for_lanes;
pub(crate) use level::{Level, for_level};
pub(crate) use panel::{Finish, Left, Panel, Right, multiply_panel, panels};
pub(crate) use winograd::{
    PLANES, Pixels, Tiles, transform_gradient, transform_input, transform_output,
};
