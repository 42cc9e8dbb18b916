//! Photographs that could be read when the run began and cannot be any more, where such are left out.

use std::collections::BTreeMap;

use lodestone_data::Loader;

use crate::record::health::Warning;
use crate::record::observer::{Event, Observer};

/// Those that were told of, by their rows of the table, with the reason.
#[derive(Default)]
pub(crate) struct LeftOut(BTreeMap<usize, String>);

impl LeftOut {
    /// Tells of those that the loader has left out since this was last asked.
    pub(crate) fn tell(&mut self, loader: &Loader, observer: &mut dyn Observer) {
        for (row, reason) in loader.left_out() {
            if self.0.insert(row, reason.clone()).is_none() {
                observer.on(Event::Warning(&Warning::LeftOut { reason }));
            }
        }
    }

    /// How many there are and which, for the report.
    pub(crate) fn notices(&self) -> Vec<String> {
        let count = match self.0.len() {
            0 => return Vec::new(),
            1 => "1 photograph could not be read any more while the run went on and was left out"
                .to_owned(),
            count => format!(
                "{count} photographs could not be read any more while the run went on and were left out"
            ),
        };
        let reasons = self.0.values().map(|reason| format!("left out: {reason}"));
        std::iter::once(count).chain(reasons).collect()
    }
}
