//! What the program says: results on standard output, everything else on standard error.
//!
//! `println!` ends a program in a panic where its reader is gone or the disk behind it is full. Here a result that cannot be
//! written is an error like any other, and a remark that nobody can read is lost. The lints against printing hold everywhere else.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

use lodestone_files::told;

/// A result that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(crate) struct OutputError(#[source] io::Error);

impl OutputError {
    pub(crate) fn new(error: io::Error) -> Self {
        Self(error)
    }

    /// Whether nobody reads it any more, which is no fault.
    pub(crate) fn reader_is_gone(&self) -> bool {
        self.0.kind() == ErrorKind::BrokenPipe
    }
}

/// Writes a result at once, so that whoever reads along sees it.
///
/// # Errors
/// What the system says.
pub(crate) fn write(text: Arguments<'_>) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    out.write_fmt(text)
        .and_then(|()| out.flush())
        .map_err(OutputError)
}

/// Writes a line of a command whose work is worth more than what it says: what goes wrong ends nothing. Standard error is told,
/// but for a reader that is gone.
pub(crate) fn write_or_go_on(line: &str) {
    if let Err(error) = write(format_args!("{line}\n"))
        && !error.reader_is_gone()
    {
        remark(format_args!("warning: {}", told(&error)));
    }
}

/// Writes a line on standard error; if that is gone there is nobody to tell.
pub(crate) fn remark(text: Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes a result, as `print!` does, and returns whether that went well.
macro_rules! out {
    ($($text:tt)*) => { $crate::output::write(format_args!($($text)*)) };
}

/// The same with the end of a line, as `println!`.
macro_rules! outln {
    ($($text:tt)*) => { $crate::output::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes a line on standard error, as `eprintln!`, if there is one.
macro_rules! errln {
    ($($text:tt)*) => { $crate::output::remark(format_args!($($text)*)) };
}
