//! The token that a `serve-device` and those who compute on it share.
//!
//! It comes from a file or from the environment and never from an argument: every user of a machine sees the arguments of all
//! its processes, and `run.json` keeps what was typed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail, ensure};
use lodestone_files::read_text;

/// How a token is made.
const MAKE: &str = "`openssl rand -hex 16 > token` makes one";

/// The token: of `file` if one is named, else of `LODESTONE_TOKEN`, else of the file that `LODESTONE_TOKEN_FILE` names.
///
/// # Errors
/// If there is none, or an empty one, which everybody knows.
pub(crate) fn token(file: Option<&Path>) -> Result<String> {
    let named = std::env::var_os("LODESTONE_TOKEN_FILE").map(PathBuf::from);
    first(file, std::env::var_os("LODESTONE_TOKEN"), named.as_deref())
}

fn first(file: Option<&Path>, value: Option<OsString>, named: Option<&Path>) -> Result<String> {
    let (text, place) = match (file, value, named) {
        (Some(path), _, _) | (None, None, Some(path)) => {
            let text = read_text(path).map_err(|error| anyhow!("token file: {error} ({MAKE})"))?;
            (text, path.display().to_string())
        }
        (None, Some(value), _) => {
            let text = value
                .into_string()
                .map_err(|_| anyhow!("LODESTONE_TOKEN is not UTF-8; {MAKE}"))?;
            (text, "LODESTONE_TOKEN".to_owned())
        }
        (None, None, None) => bail!(
            "a remote device needs a token: set LODESTONE_TOKEN_FILE to a file with one, or LODESTONE_TOKEN to the token itself; \
             serve-device takes --token-file as well; {MAKE}"
        ),
    };
    // Editors and shells end a file with a line break.
    let token = text.trim();
    ensure!(!token.is_empty(), "the token of {place} is empty; {MAKE}");
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_place_gives_the_token() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = folder.path().join(name);
            lodestone_files::write_whole(&path, |file| writeln!(file, "of {name}")).unwrap();
            path
        };
        let (argument, named) = (file("argument"), file("named"));
        let value = || Some(OsString::from("of value "));
        let cases = [
            (Some(&*argument), value(), Some(&*named), "of argument"),
            (None, value(), Some(&*named), "of value"),
            (None, None, Some(&*named), "of named"),
        ];
        for (file, value, named, expected) in cases {
            assert_eq!(first(file, value, named).unwrap(), expected);
        }
    }

    #[test]
    fn no_token_and_an_empty_one_say_how_to_make_one() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        lodestone_files::write_whole(&empty, |file| writeln!(file)).unwrap();
        let absent = folder.path().join("absent");
        let cases = [
            (None, None, "a remote device needs a token"),
            (Some(&*empty), None, "empty is empty"),
            (Some(&*absent), None, "token file: cannot read"),
            (None, Some(OsString::from(" ")), "LODESTONE_TOKEN is empty"),
        ];
        for (file, value, expected) in cases {
            let error = format!("{:#}", first(file, value, None).unwrap_err());
            assert!(error.contains(expected), "{error}");
            assert!(error.contains("openssl rand -hex 16 > token"), "{error}");
        }
    }
}
