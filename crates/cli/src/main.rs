//! lodestone on the command line.
fn main() {}
