//! The rectangle in a Pascal VOC annotation, as Oxford-IIIT Pet (heads) and Stanford Dogs (bodies) have them.

use std::path::Path;

use lodestone_files::read_text;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::table::PixelBox;

/// Whether photographs are cut to their annotated rectangle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Regions {
    /// The whole photograph.
    #[default]
    Whole,
    /// The first annotated rectangle; the whole photograph where there is none.
    Annotated,
}

/// Reads the first `bndbox` of a file; `None` if the file does not exist.
pub(crate) fn open(path: &Path) -> Result<Option<PixelBox>, DataError> {
    if !path.exists() {
        return Ok(None);
    }
    parse(path, &read_text(path)?).map(Some)
}

/// The first `bndbox` of an annotation. VOC counts pixels from 1 and includes the last one.
pub(crate) fn parse(path: &Path, text: &str) -> Result<PixelBox, DataError> {
    let missing = |tag: &str| DataError::content(path, tag, "no such element");
    let inside = element(text, "bndbox").ok_or_else(|| missing("bndbox"))?;
    let number = |tag: &'static str| -> Result<u32, DataError> {
        let value = element(inside, tag).ok_or_else(|| missing(tag))?.trim();
        value
            .parse()
            .map_err(|_| DataError::content(path, tag, format!("{value:?} is not a whole number")))
    };
    let corners = [
        number("xmin")?,
        number("ymin")?,
        number("xmax")?,
        number("ymax")?,
    ];
    between(corners).ok_or_else(|| {
        let problem = format!("the rectangle {corners:?} is empty");
        DataError::content(path, "bndbox", problem)
    })
}

/// The rectangle whose first and last column and row are these, counted from 1; `None` if that is empty.
pub(crate) fn between([left, top, right, bottom]: [u32; 4]) -> Option<PixelBox> {
    let (left, top) = (left.saturating_sub(1), top.saturating_sub(1));
    (left < right && top < bottom).then_some(PixelBox {
        left,
        top,
        right,
        bottom,
    })
}

fn element<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let (_, after) = text.split_once(&format!("<{tag}>"))?;
    after
        .split_once(&format!("</{tag}>"))
        .map(|(inside, _)| inside)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "<annotation><size><width>9</width></size><object><bndbox>\n<xmin>3</xmin>\
        <ymin> 1 </ymin><xmax>8</xmax><ymax>7</ymax></bndbox></object></annotation>";

    #[test]
    fn the_first_rectangle_is_read_from_zero() {
        let region = parse(Path::new("f"), GOOD).unwrap();
        assert_eq!(
            region,
            PixelBox {
                left: 2,
                top: 0,
                right: 8,
                bottom: 7
            }
        );
    }

    #[test]
    fn what_is_missing_or_empty_is_named() {
        let cases = [
            (GOOD.replace("bndbox", "box"), "f: bndbox: no such element"),
            (GOOD.replace("ymax", "y"), "f: ymax: no such element"),
            (
                GOOD.replace('8', "8.5"),
                "f: xmax: \"8.5\" is not a whole number",
            ),
            (GOOD.replace('8', "2"), "is empty"),
        ];
        for (text, expected) in cases {
            let message = parse(Path::new("f"), &text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(<|>|/|bndbox|xmin|ymin|xmax|ymax|[0-9 ]){0,40}") {
            let _ = parse(Path::new("f"), &text);
        }
    }
}
