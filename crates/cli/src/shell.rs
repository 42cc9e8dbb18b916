//! Words for a shell.

use std::path::Path;

/// A path as a shell takes it.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    match text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_can_be_pasted_into_a_shell() {
        for (path, expected) in [
            ("runs/a.toml", "runs/a.toml"),
            ("my run.toml", "'my run.toml'"),
            ("it's.toml", "'it'\\''s.toml'"),
        ] {
            assert_eq!(quoted(Path::new(path)), expected);
        }
    }
}
