//! Retrieval strips: the picture that a run drew of a few test images and their nearest training images.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

const FILE: &str = "events.out.tfevents.lodestone";
const TAG: &[u8] = b"neighbours/test";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The last chunk of a PNG file: its name and its checksum, which is always the same.
const PNG_END: &[u8] = b"IEND\xaeB`\x82";

/// The strip of a finished run, as a PNG file; absent if there is none.
///
/// # Errors
/// If the event file is there and cannot be read.
pub(crate) fn of(run: &Path) -> Result<Option<Vec<u8>>> {
    let path = run.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(find(&bytes).map(<[u8]>::to_vec))
}

/// The image behind the last mention of the tag. Events are messages of a known form, but a signature at both ends is as sure
/// and needs no reader of that form.
fn find(events: &[u8]) -> Option<&[u8]> {
    let tagged = &events[events
        .windows(TAG.len())
        .rposition(|window| window == TAG)?..];
    let start = tagged.windows(PNG.len()).position(|window| window == PNG)?;
    let image = &tagged[start..];
    let end = image
        .windows(PNG_END.len())
        .position(|window| window == PNG_END)?;
    Some(&image[..end + PNG_END.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_behind_the_last_tag_is_found_whole() {
        let picture = |body: &[u8]| [PNG, body, PNG_END].concat();
        let (first, second) = (picture(b"one"), picture(b"two"));
        let events = [
            b"head", TAG, b"..", &first, b"more", TAG, b".", &second, b"tail",
        ]
        .concat();
        assert_eq!(find(&events), Some(second.as_slice()));
        assert_eq!(find(&events[..events.len() - 12]), None);
        assert_eq!(find(b"no tag"), None);
    }
}
