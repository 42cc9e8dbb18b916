//! What a task says: results on standard output, everything else on standard error.
//!
//! `println!` ends a program in a panic where its reader is gone, as behind `| head -1`. Here that is an error like any other,
//! of which `main` says nothing.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

use anyhow::{Context as _, Result};

/// Writes a result at once, so that whoever reads along sees it.
pub(crate) fn write(text: Arguments<'_>) -> Result<()> {
    write_to(&mut io::stdout().lock(), text)
}

fn write_to(out: &mut impl Write, text: Arguments<'_>) -> Result<()> {
    out.write_fmt(text)
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

/// Whether an error says only that nobody reads the results any more: no task writes to any other pipe.
pub(crate) fn reader_is_gone(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == ErrorKind::BrokenPipe)
}

/// Writes a line on standard error; if that is gone there is nobody to tell.
pub(crate) fn remark(text: Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes a line of a result, as `println!`, and returns whether that went well.
macro_rules! outln {
    ($($text:tt)*) => { $crate::output::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes a line on standard error, as `eprintln!`, if there is one.
macro_rules! errln {
    ($($text:tt)*) => { $crate::output::remark(format_args!($($text)*)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_is_gone_is_told_from_other_faults() {
        let (reader, mut pipe) = io::pipe().unwrap();
        drop(reader);
        let unread = write_to(&mut pipe, format_args!("a line\n")).unwrap_err();
        assert!(reader_is_gone(&unread));
        assert!(reader_is_gone(&unread.context("on the way up")));

        let mut full = &mut [0u8; 3][..];
        let full = write_to(&mut full, format_args!("a line\n")).unwrap_err();
        assert!(!reader_is_gone(&full));
        assert!(format!("{full:#}").starts_with("cannot write to standard output: "));
    }
}
