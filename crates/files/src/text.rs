//! Text files that people make: lists, tables, run files.
//!
//! Editors on Windows begin a file with a byte order mark, which is no part of its first word, and may save it as UTF-16.

use std::io;
use std::path::{Path, PathBuf};

/// A file that is to be text and is not.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// It cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// It begins with the byte order mark of UTF-16.
    #[error("{}: the text is UTF-16; save it as UTF-8", path.display())]
    Utf16 {
        /// The file.
        path: PathBuf,
    },
    /// It holds bytes that are no UTF-8.
    #[error("{}: line {line}: not UTF-8 text", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line of the first such byte, from 1.
        line: usize,
    },
}

/// The text of a file, without a byte order mark in front.
///
/// # Errors
/// If the file cannot be read, or is no UTF-8.
///
/// # Example
/// ```
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("list.txt");
/// lodestone_files::write_whole(&path, |file| file.write_all(b"\xef\xbb\xbfpug_1\r\n")).unwrap();
/// assert_eq!(lodestone_files::read_text(&path).unwrap(), "pug_1\r\n");
/// ```
pub fn read_text(path: &Path) -> Result<String, TextError> {
    let bytes = std::fs::read(path).map_err(|source| TextError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    text(path, bytes)
}

/// The text of bytes that are at hand, without a byte order mark in front; `path` only names them in errors.
///
/// # Errors
/// If they are no UTF-8.
pub fn text(path: &Path, mut bytes: Vec<u8>) -> Result<String, TextError> {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    if bytes.starts_with(MARK) {
        bytes.drain(..MARK.len());
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(TextError::Utf16 {
            path: path.to_path_buf(),
        });
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        TextError::NotUtf8 {
            path: path.to_path_buf(),
            line: good.iter().filter(|&&byte| byte == b'\n').count() + 1,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_word() {
        let read = |bytes: &[u8]| {
            text(Path::new("list"), bytes.to_vec()).map_err(|error| error.to_string())
        };
        let wrong = |text: &str| Err(text.to_owned());
        let utf16 = "list: the text is UTF-16; save it as UTF-8";
        let cases: [(&[u8], _); 7] = [
            (b"\xef\xbb\xbfa\nb", Ok("a\nb".to_owned())),
            // Only one mark is one; anywhere else it is a letter.
            (b"a\xef\xbb\xbf", Ok("a\u{feff}".to_owned())),
            (b"", Ok(String::new())),
            (b"\xff\xfea\0", wrong(utf16)),
            (b"\xfe\xff\0a", wrong(utf16)),
            (
                b"\xef\xbb\xbfa\nk\xe4se",
                wrong("list: line 2: not UTF-8 text"),
            ),
            (b"\xe4", wrong("list: line 1: not UTF-8 text")),
        ];
        for (bytes, expected) in cases {
            assert_eq!(read(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let message = crate::told(&read_text(Path::new("/nowhere/list")).unwrap_err());
        assert!(
            message.starts_with("cannot read /nowhere/list: "),
            "{message}"
        );
    }
}
