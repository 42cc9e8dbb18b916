//! The file around the data: style, script, and the sheets of photographs.

use super::Page;
use crate::sheets::Sheets;

const STYLE: &str = include_str!("../../page/style.css");
const BODY: &str = include_str!("../../page/body.html");
const SEARCH: &str = include_str!("../../page/search.html");
const SCRIPTS: [&str; 5] = [
    include_str!("../../page/data.js"),
    include_str!("../../page/map.js"),
    include_str!("../../page/sections.js"),
    include_str!("../../page/curves.js"),
    include_str!("../../page/search.js"),
];

/// How every page begins, up to what it may connect to. Whatever a file is called, the page can neither load nor send anything.
pub(super) const BEGINNING: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width\">\n\
    <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src blob: data:; \
    style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src ";

/// Where the page is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// From a file, where nothing answers.
    File,
    /// From a server that looks up photographs.
    Server,
}

/// The whole page.
pub(super) fn write(page: &Page, used: Use) -> String {
    let (connect, search) = match used {
        Use::File => ("'none'", ""),
        Use::Server => ("'self'", SEARCH),
    };
    let size = page.data.len() + [&page.large, &page.small].map(bytes).iter().sum::<usize>();
    let mut html = String::with_capacity(size + 64 * 1024);
    html += BEGINNING;
    html += &format!("{connect}\">\n");
    html += &format!(
        "<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        escaped(&page.title)
    );
    html += &BODY.replace("<!-- search -->", search);
    html += "<script type=\"application/json\" id=\"data\">";
    html += &page.data;
    html += "</script>\n";
    for (name, sheets) in [("large", &page.large), ("small", &page.small)] {
        for (number, sheet) in sheets.sheets.iter().enumerate() {
            let side = sheets.side;
            html += &format!(
                "<script type=\"text/plain\" id=\"{name}-{number}\" data-side=\"{side}\">"
            );
            html += sheet;
            html += "</script>\n";
        }
    }
    html += "<script>\n\"use strict\";\n";
    html += &SCRIPTS.concat();
    html += "</script>\n</body>\n</html>\n";
    html
}

fn bytes(sheets: &Sheets) -> usize {
    sheets.sheets.iter().map(String::len).sum()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
