//! Photographs that cannot be read, found before training instead of at hour three.

use lodestone_files::Orientation;
use lodestone_files::told;
use rayon::prelude::*;

use crate::decode::read_file;
use crate::look::Encoded;
use crate::pixels::DecodeLimits;
use crate::table::{Source, Table};

/// Reads and decodes every photograph as a loader would; rows that cannot be, ascending, with the reason.
///
/// Runs on the current rayon pool. `progress` is called from its threads, once for each photograph.
pub fn find_broken(
    table: &Table,
    orientation: Orientation,
    limits: DecodeLimits,
    progress: impl Fn() + Sync,
) -> Vec<(usize, String)> {
    let reason = |row: usize| {
        let Source::File(_) = table.rows[row].source else {
            return None;
        };
        let name = table.describe(row);
        let decoded = read_file(&name, limits).and_then(|bytes| {
            let file = Encoded {
                bytes: &bytes,
                name: &name,
                region: table.rows[row].region,
                limits,
                orientation,
            };
            file.whole()
        });
        decoded.err().map(|error| told(&error))
    };
    (0..table.rows.len())
        .into_par_iter()
        .filter_map(|row| {
            let found = reason(row).map(|reason| (row, reason));
            progress();
            found
        })
        .collect()
}

impl Table {
    /// Removes rows and says so in the notices, which stand in every report: how many, and each with its reason. Later rows
    /// move up, so this comes before anything that remembers row numbers.
    ///
    /// # Panics
    /// If the row numbers do not ascend.
    pub fn leave_out(&mut self, broken: &[(usize, String)]) {
        assert!(
            broken.is_sorted_by(|a, b| a.0 < b.0),
            "row numbers must ascend"
        );
        let Some((first, _)) = broken.first() else {
            return;
        };
        let (all, first) = (self.rows.len(), *first);
        let mut next = broken.iter().map(|(row, _)| *row).peekable();
        let mut number = first;
        let kept = self.rows.split_off(first).into_iter().filter(|_| {
            let left_out = next.next_if_eq(&number).is_some();
            number += 1;
            !left_out
        });
        let kept: Vec<_> = kept.collect();
        self.rows.extend(kept);
        let count = broken.len();
        self.notices
            .push(format!("{count} of {all} photographs left out as broken"));
        let reasons = broken
            .iter()
            .map(|(_, reason)| format!("left out: {reason}"));
        self.notices.extend(reasons);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use image::ImageFormat;

    use super::*;
    use crate::decode::tests::{encode, gradient};
    use crate::table::{PixelBox, Row, Split};

    #[test]
    fn broken_photographs_are_found_counted_and_listed() {
        let folder = tempfile::tempdir().unwrap();
        let jpeg = encode(&gradient(40, 30).into(), ImageFormat::Jpeg);
        let files = [
            ("0.jpg", b"text".to_vec()),
            ("1.jpg", jpeg.clone()),
            ("2.jpg", jpeg[..jpeg.len() - 5].to_vec()),
            ("3.jpg", encode(&gradient(40, 30).into(), ImageFormat::Png)),
            ("4.jpg", jpeg),
        ];
        let mut rows = Vec::new();
        for (name, bytes) in &files {
            let path = folder.path().join(name);
            lodestone_files::write_whole(&path, |file| file.write_all(bytes)).unwrap();
            rows.push(Row::file(*name, 0, Split::Train));
        }
        rows[4].region = Some(PixelBox {
            left: 40,
            top: 0,
            right: 50,
            bottom: 9,
        });
        let mut table = Table::of_files("t", folder.path(), vec!["a".into()], rows);
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let broken = find_broken(
            &table,
            Orientation::AsStored,
            DecodeLimits::default(),
            || {
                asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            },
        );
        assert_eq!(asked.into_inner(), 5);
        assert_eq!(
            broken.iter().map(|(row, _)| *row).collect::<Vec<_>>(),
            [0, 2, 4]
        );
        table.leave_out(&broken);
        let left: Vec<_> = table.rows.iter().map(|row| row.source.clone()).collect();
        assert_eq!(
            left,
            ["1.jpg", "3.jpg"].map(|name| Source::File(name.into()))
        );
        assert_eq!(table.notices[0], "3 of 5 photographs left out as broken");
        assert!(
            table.notices[2].contains("2.jpg: truncated"),
            "{}",
            table.notices[2]
        );
        assert_eq!(table.notices.len(), 4);
    }

    #[test]
    fn a_table_without_broken_photographs_stays_as_it_is() {
        let mut table = Table::of_files("t", Path::new(""), Vec::new(), Vec::new());
        table.leave_out(&[]);
        assert!(table.notices.is_empty());
    }
}
