//! What can be wrong with a user's files and settings.
//!
//! Every message names the file, where in it, and the value found, because a data set is usually fixed by hand.

use std::io;
use std::path::{Path, PathBuf};

/// A data set, an image or a setting cannot be used as it stands.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A list, table or folder was read and says something impossible.
    #[error("{}: {place}: {problem}", path.display())]
    Content {
        /// The file or folder.
        path: PathBuf,
        /// Line, field or variable.
        place: String,
        /// What is wrong, with the value found.
        problem: String,
    },
    /// An image file cannot be decoded.
    #[error("cannot decode {}", path.display())]
    Image {
        /// The image file.
        path: PathBuf,
        /// What the decoder found.
        #[source]
        source: Box<DecodeError>,
    },
    /// A file's checksum is not the published one.
    #[error("{}: {kind} is {found}, {expected} was expected", path.display())]
    Sum {
        /// The file.
        path: PathBuf,
        /// `sha256` or `md5`.
        kind: &'static str,
        /// The published sum, in hexadecimal.
        expected: String,
        /// The sum of the file, in hexadecimal.
        found: String,
    },
    /// A setting of the run file is out of its range.
    #[error("{field}: {problem}")]
    Setting {
        /// Name of the setting as it stands in a run file.
        field: &'static str,
        /// The value and the range.
        problem: String,
    },
    /// A list is no text.
    #[error(transparent)]
    Text(#[from] lodestone_files::TextError),
    /// A table cannot be read.
    #[error(transparent)]
    Table(#[from] lodestone_exchange::ExchangeError),
    /// A cache or listing cannot be written.
    #[error(transparent)]
    Write(#[from] lodestone_files::WriteError),
}

/// Why the bytes of one image give no picture.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The content is no known image format, whatever the file is called.
    #[error("not an image ({})", beginning(first_bytes))]
    Unknown {
        /// Up to eight bytes in hexadecimal; none of an empty file.
        first_bytes: String,
    },
    /// A known format, or a kind of it, that no decoder here reads.
    #[error("{kind} is not read: convert it to PNG or to an ordinary JPEG")]
    NotRead {
        /// The format or kind, in words.
        kind: String,
    },
    /// The file ends before the image does, be it only that its end mark is missing.
    #[error("truncated: the end of the image file is missing")]
    Truncated,
    /// Decoding would need more than the [`DecodeLimits`](crate::DecodeLimits) allow.
    #[error("{what} {found}, the limit is {limit}")]
    TooLarge {
        /// `pixels` or `bytes`.
        what: &'static str,
        /// The value declared by the file.
        found: u64,
        /// The value allowed.
        limit: u64,
    },
    /// A JPEG stream is damaged.
    #[error("broken image: {0}")]
    Damaged(&'static str),
    /// The decoder of the format refused the content. Its error tells all of its causes itself.
    #[error("broken image: {0}")]
    Broken(image::ImageError),
    /// The decoder of the format panicked.
    #[error("broken image: its decoder stopped on it")]
    Stopped,
}

/// How the content begins, in words.
fn beginning(first_bytes: &str) -> String {
    match first_bytes {
        "" => "it is empty".to_owned(),
        bytes => format!("first bytes {bytes}"),
    }
}

impl DataError {
    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        DataError::Read {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn content(
        path: &Path,
        place: impl Into<String>,
        problem: impl Into<String>,
    ) -> Self {
        DataError::Content {
            path: path.to_path_buf(),
            place: place.into(),
            problem: problem.into(),
        }
    }

    pub(crate) fn image(path: &Path, source: DecodeError) -> Self {
        DataError::Image {
            path: path.to_path_buf(),
            source: Box::new(source),
        }
    }

    pub(crate) fn setting(field: &'static str, problem: impl Into<String>) -> Self {
        DataError::Setting {
            field,
            problem: problem.into(),
        }
    }
}
