//! The processor's vector instructions: which are there, and the one product kernel written in them.
//!
//! All `unsafe` code of the crate is below this module, in files that do nothing else.

mod avx2;
mod avx512;
mod lanes;
mod level;
mod panel;
mod portable;
mod tile;

pub(crate) use level::{Level, for_level};
pub(crate) use panel::{Finish, Left, Panel, Right, multiply_panel, panels};
