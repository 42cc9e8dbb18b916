//! Memory for images that is used again: operators make and drop buffers of many megabytes, and asking the system for
//! fresh pages each time costs as much as a pass over them.

mod buffer;
mod pages;
mod pool;

pub(crate) use buffer::Buffer;
