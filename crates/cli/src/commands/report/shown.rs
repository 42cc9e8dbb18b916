//! The photographs of a page, read as they are asked for, with a bar.

use std::collections::BTreeSet;
use std::sync::Mutex;

use image::RgbImage;
use kdam::{Bar, BarExt};
use lodestone_report::{Pictures, Place};

use super::Gathered;
use crate::commands::photographs::square;
use crate::progress::Progress;

/// Lends the photographs of what was gathered.
pub(super) struct Shown<'a> {
    gathered: &'a Gathered,
    bar: Mutex<Option<Bar>>,
    /// Those that could not be read; a page asks for some at two sizes.
    missing: Mutex<BTreeSet<Place>>,
}

impl<'a> Shown<'a> {
    pub(super) fn new(gathered: &'a Gathered, progress: &Progress) -> Self {
        Self {
            gathered,
            bar: Mutex::new(progress.bar(0, "photographs", " img")),
            missing: Mutex::default(),
        }
    }

    /// Says how many photographs could not be shown.
    pub(super) fn tell(&self, progress: &Progress) {
        let missing = self.missing.lock().map_or(0, |missing| missing.len());
        if missing > 0 {
            let root = &self.gathered.table.root;
            let start = match root.as_os_str().is_empty() {
                true => "the current folder".to_owned(),
                false => root.display().to_string(),
            };
            progress.note(&format!(
                "{missing} photographs could not be read and are grey on the page; paths start from {start}"
            ));
        }
    }
}

impl Pictures for Shown<'_> {
    fn square(&self, place: Place, side: u32) -> Option<RgbImage> {
        let row = match place {
            Place::Query(row) => self.gathered.queries.rows[row],
            Place::Gallery(row) => self.gathered.found().rows[row],
        };
        // If the terminal is gone there is nobody to tell.
        if let Ok(mut bar) = self.bar.lock()
            && let Some(bar) = &mut *bar
        {
            drop(bar.update(1));
        }
        let square = square(&self.gathered.table, row, side).ok();
        if square.is_none()
            && let Ok(mut missing) = self.missing.lock()
        {
            missing.insert(place);
        }
        square
    }
}
