//! `report.html`: every table and figure of a suite on one page that needs nothing but itself.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::experiment::{Experiment, Unknown};
use super::figures;
use super::ledger::Ledger;
use super::loss::Loss;
use super::map::{self, Map};
use super::strips;
use super::table;
use super::work::Workshop;
use crate::files::{read_json, write_whole};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Writes the page of a suite beside its run folders, and gives its path.
pub(crate) fn write(workshop: &Workshop<'_>, ledger: &Ledger) -> Result<PathBuf> {
    let name = workshop.suite.name();
    let strips = strips_of(workshop, ledger)?;
    let maps = maps_of(workshop, ledger)?;
    let mut body = format!("<h1>{}</h1>\n", escaped(&name));
    body += &html_of(&table::of(ledger, workshop.suite.set)?);
    for figure in figures::of(ledger)? {
        body += &format!(
            "<figure>{}<figcaption>{}</figcaption></figure>\n",
            figure.svg,
            escaped(&figure.title)
        );
    }
    for (loss, _) in &maps {
        body += &format!(
            "<figure class=map><canvas data-map={loss} width=520 height=520></canvas>\
             <figcaption>{loss}: test images of two merged classes by t-SNE; the frame's colour is the class below that training \
             did not see</figcaption></figure>\n"
        );
    }
    for (loss, picture) in &strips {
        body += &format!(
            "<figure><img alt=\"\" src=\"{picture}\"><figcaption>{loss}: test images on the left, their nearest training images \
             to the right, green where the class is the same</figcaption></figure>\n"
        );
    }
    let data = json!({
        "strips": strips.into_iter().map(|(loss, picture)| (loss.to_owned(), picture.into())).collect::<serde_json::Map<String, Value>>(),
        "maps": maps.into_iter().map(|(loss, map)| (loss.to_owned(), map)).collect::<serde_json::Map<String, Value>>(),
    });
    // A closing tag inside the data would end the script.
    let data = data.to_string().replace("</", "<\\/");
    let text = format!(
        "<!doctype html>\n<html lang=en><meta charset=utf-8><title>{title}</title><link rel=icon href=\"data:,\">\n<style>{STYLE}</style>\n\
         <main>\n{body}</main>\n<div id=hover hidden></div>\n<script type=application/json id=data>{data}</script>\n\
         <script>{SCRIPT}</script>\n</html>\n",
        title = escaped(&name)
    );
    let path = workshop.folder.join("report.html");
    write_whole(&path, text.as_bytes())?;
    Ok(path)
}

/// Strips of the runs that are still there, as pictures that stand in the page.
fn strips_of(workshop: &Workshop<'_>, ledger: &Ledger) -> Result<Vec<(&'static str, String)>> {
    let mut found = Vec::new();
    for (loss, run) in runs(workshop, ledger, Experiment::Classification)? {
        if let Some(picture) = strips::of(&run)? {
            found.push((loss, inline("image/png", &picture)));
        }
    }
    Ok(found)
}

/// Maps with the sheet of their pictures.
fn maps_of(workshop: &Workshop<'_>, ledger: &Ledger) -> Result<Vec<(&'static str, Value)>> {
    let mut found = Vec::new();
    for (loss, run) in runs(workshop, ledger, Experiment::Map)? {
        let (file, sheet) = (run.join(map::FILE), run.join("kept/queries.jpg"));
        if file.exists() && sheet.exists() {
            let map: Map = read_json(&file)?;
            let bytes =
                fs::read(&sheet).with_context(|| format!("cannot read {}", sheet.display()))?;
            let value = json!({ "map": map, "sheet": inline("image/jpeg", &bytes) });
            found.push((loss, value));
        }
    }
    Ok(found)
}

/// Folders of the first seed of each loss.
fn runs(
    workshop: &Workshop<'_>,
    ledger: &Ledger,
    experiment: Experiment,
) -> Result<Vec<(&'static str, PathBuf)>> {
    let cells = experiment
        .cells(workshop.suite, ledger, Unknown::LeftOut)?
        .into_iter();
    cells
        .filter(|cell| cell.label.seed == 0)
        .filter_map(|cell| Some((Loss::of(&cell.label.loss)?.name(), cell)))
        .map(|(loss, cell)| Ok((loss, workshop.run_folder(&cell)?)))
        .collect()
}

fn inline(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", STANDARD.encode(bytes))
}

/// Our own Markdown: paragraphs and tables.
fn html_of(markdown: &str) -> String {
    let mut html = String::new();
    let mut lines = markdown.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.starts_with('|') {
            if !line.is_empty() {
                html += &format!("<p>{}</p>\n", styled(line));
            }
            continue;
        }
        html += "<table><thead><tr>";
        for cell in cells(line) {
            html += &format!("<th>{}</th>", styled(cell));
        }
        html += "</tr></thead><tbody>\n";
        // The line of dashes.
        lines.next();
        while let Some(row) = lines.next_if(|row| row.starts_with('|')) {
            html += "<tr>";
            for cell in cells(row) {
                html += &format!("<td>{}</td>", styled(cell));
            }
            html += "</tr>\n";
        }
        html += "</tbody></table>\n";
    }
    html
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.trim_matches('|').split('|').map(str::trim)
}

/// Escaped, with `code` and **bold**.
fn styled(text: &str) -> String {
    let mut html = String::new();
    for (mark, tag) in [("**", "b"), ("`", "code")] {
        let source = if html.is_empty() {
            escaped(text)
        } else {
            std::mem::take(&mut html)
        };
        let pieces: Vec<&str> = source.split(mark).collect();
        for (number, piece) in pieces.iter().enumerate() {
            let inside = number % 2 == 1 && number + 1 < pieces.len();
            html += &if inside {
                format!("<{tag}>{piece}</{tag}>")
            } else {
                (*piece).to_owned()
            };
        }
    }
    html
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_becomes_a_table_and_nothing_in_it_becomes_a_tag() {
        let html = html_of("a < b\n\n| x | y |\n|---|---:|\n| **no** | `a=\"b\"` |\n");
        assert_eq!(
            html,
            "<p>a &lt; b</p>\n<table><thead><tr><th>x</th><th>y</th></tr></thead><tbody>\n\
             <tr><td><b>no</b></td><td><code>a=&quot;b&quot;</code></td></tr>\n</tbody></table>\n"
        );
    }
}
