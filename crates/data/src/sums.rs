//! Checksums: of bytes, and the `SHA256SUMS` lists that `sha256sum` writes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::error::DataError;

/// Name of a checksum list beside the files it covers.
pub(crate) const LIST_NAME: &str = "SHA256SUMS";

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// SHA-256 of `bytes` in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&sha256_bytes(bytes))
}

/// SHA-256 of `bytes`.
pub(crate) fn sha256_bytes(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// MD5 of a file in hexadecimal, read piece by piece. Publishers of image sets still use it; it finds damage, not malice.
pub(crate) fn md5_of_file(path: &Path) -> Result<String, DataError> {
    let file = std::fs::File::open(path).map_err(|source| DataError::read(path, source))?;
    md5(path, file)
}

/// MD5 of what a gzip file unpacks to.
pub(crate) fn md5_of_content(path: &Path) -> Result<String, DataError> {
    let file = std::fs::File::open(path).map_err(|source| DataError::read(path, source))?;
    md5(
        path,
        flate2::read::MultiGzDecoder::new(std::io::BufReader::new(file)),
    )
}

fn md5(path: &Path, mut file: impl std::io::Read) -> Result<String, DataError> {
    let unreadable = |source| DataError::read(path, source);
    let mut sum = Md5::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut piece).map_err(unreadable)?;
        if count == 0 {
            return Ok(hexadecimal(&sum.finalize()));
        }
        sum.update(&piece[..count]);
    }
}

/// Sums by file name, from the text that `sha256sum` writes: 64 hexadecimal digits, a space, a space or `*`, the name.
pub(crate) fn parse_list(path: &Path, text: &str) -> Result<BTreeMap<String, String>, DataError> {
    let mut sums = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let place = || format!("line {}", number + 1);
        let (sum, name) = line.split_once(' ').ok_or_else(|| {
            DataError::content(path, place(), format!("no file name in {line:?}"))
        })?;
        if sum.len() != 64 || !sum.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(DataError::content(
                path,
                place(),
                format!("{sum:?} is not 64 hexadecimal digits"),
            ));
        }
        let name = name.strip_prefix([' ', '*']).unwrap_or(name);
        sums.insert(name.to_owned(), sum.to_ascii_lowercase());
    }
    Ok(sums)
}

/// Compares `bytes` with the sum that a list holds for the file's name; a file that is not listed is an error too.
pub(crate) fn check(
    path: &Path,
    bytes: &[u8],
    sums: &BTreeMap<String, String>,
) -> Result<(), DataError> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let expected = sums
        .get(&name)
        .ok_or_else(|| DataError::content(path, LIST_NAME, "the list has no sum for this file"))?;
    let found = sha256(bytes);
    if found == *expected {
        return Ok(());
    }
    Err(DataError::Sum {
        path: path.to_path_buf(),
        kind: "sha256",
        expected: expected.clone(),
        found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn text_and_binary_lines_are_read() {
        let text = format!("{ABC}  a\n\n{} *b c\n", ABC.to_uppercase());
        let sums = parse_list(Path::new("l"), &text).unwrap();
        assert_eq!(sums["a"], ABC);
        check(Path::new("some/b c"), b"abc", &sums).unwrap();
    }

    #[test]
    fn wrong_sums_and_lines_are_named() {
        let sums = parse_list(Path::new("l"), &format!("{ABC}  a\n")).unwrap();
        let message = check(Path::new("a"), b"abd", &sums)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains(ABC) && message.contains(&sha256(b"abd")),
            "{message}"
        );
        let message = check(Path::new("b"), b"abc", &sums)
            .unwrap_err()
            .to_string();
        assert!(message.starts_with("b: SHA256SUMS"), "{message}");
        let message = parse_list(Path::new("l"), "\nabc  a")
            .unwrap_err()
            .to_string();
        assert_eq!(message, "l: line 2: \"abc\" is not 64 hexadecimal digits");
    }
}
