//! Seconds to open tables of ImageNet's size: a folder tree, first and from its listing, and a CSV table, whole and cut off.
//!
//! ```text
//! cargo run --release -p lodestone-data --example bench_table -- FOLDER
//! ```
//!
//! Makes 1000 class folders with 1281 empty files each below FOLDER/imagenet, unless they are there, and some CSV files.
#![allow(clippy::print_stdout)] // A benchmark reports on the terminal.

use std::error::Error;
use std::fs::{File, create_dir_all};
use std::path::Path;
use std::time::Instant;

use lodestone_data::Dataset;

const CLASSES: usize = 1000;
const FILES: usize = 1281;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: bench_table FOLDER")?;
    let folder = Path::new(&folder);
    let root = folder.join("imagenet");
    make_tree(&root)?;
    let set = Dataset::from_name("imagenet").ok_or("no set named imagenet")?;
    let listings = folder.join("listings");
    for round in ["without a listing", "from its listing", "from its listing"] {
        let start = Instant::now();
        let rows = set.open_listed(Some(&root), Some(&listings))?.rows.len();
        report(&format!("open {rows} files {round}"), start);
    }
    let set = Dataset::Oml {
        table: "table.csv".into(),
    };
    File::create(folder.join("x.jpg"))?;
    for rows in [160_000, 320_000, 640_000, 1_280_000] {
        let mut text = "label,path,split,is_query,is_gallery\n".to_owned();
        for row in 0..rows {
            text += &format!("{},x.jpg,train,,\n", row % CLASSES);
        }
        for cut in [false, true] {
            let kept = if cut { text.len() - 5 } else { text.len() };
            lodestone_files::write_whole(&folder.join("table.csv"), |file| {
                file.write_all(&text.as_bytes()[..kept])
            })?;
            let start = Instant::now();
            let opened = set.open(Some(folder));
            let what = if cut {
                "refuse a cut-off table"
            } else {
                "open a table"
            };
            report(&format!("{what} of {rows} rows"), start);
            if opened.is_err() != cut {
                return Err(format!("{what}: {opened:?}").into());
            }
        }
    }
    Ok(())
}

fn report(name: &str, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    println!("{{\"name\": \"{name}\", \"value\": {seconds:.3}, \"unit\": \"s\"}}");
}

fn make_tree(root: &Path) -> std::io::Result<()> {
    for class in 0..CLASSES {
        let id = format!("n{:08}", 1_440_764 + class);
        let folder = root.join("train").join(&id);
        if folder.exists() {
            continue;
        }
        create_dir_all(&folder)?;
        for number in 0..FILES {
            File::create(folder.join(format!("{id}_{number}.JPEG")))?;
        }
    }
    Ok(())
}
