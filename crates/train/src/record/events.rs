//! Event files that TensorBoard reads: scalars, histograms and images by step.
//!
//! A file is a row of records (length, checksum, bytes, checksum) that each hold one `Event` message of
//! `tensorflow/core/util/event.proto`. Five messages of a format that has not changed since 2015 are written here by
//! hand: the one crate for it, `tensorboard-rs` 0.5.9, brings protobuf 2 and a second, older `image` into the tree.

use std::path::Path;
use std::time::Duration;

use crate::record::append_log::{AppendLog, LogError};

/// TensorBoard looks for `tfevents` in the name.
pub(crate) const FILE: &str = "events.out.tfevents.lodestone";
/// What the first record of every file says.
const VERSION: &str = "brain.Event:2";
/// Bars of a histogram.
const BARS: usize = 40;

/// One value of a step, under its tag.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Scalar(f32),
    Histogram(Vec<f32>),
    /// A PNG file with its width and height.
    Png {
        bytes: Vec<u8>,
        width: u32,
        height: u32,
    },
}

/// An event file that grows at its end.
#[derive(Debug)]
pub(crate) struct Events {
    file: AppendLog,
}

impl Events {
    /// A fresh file.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn create(folder: &Path, now: Duration) -> Result<Self, LogError> {
        let mut events = Self::open(&folder.join(FILE), 0)?;
        let mut version = head(now, 0);
        bytes_field(&mut version, 3, VERSION.as_bytes());
        events.append(&version)?;
        Ok(events)
    }

    /// The file of an interrupted run, without what came after `step`.
    ///
    /// # Errors
    /// If it cannot be read or cut.
    pub(crate) fn resume(folder: &Path, step: usize, now: Duration) -> Result<Self, LogError> {
        let path = folder.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => Self::open(&path, kept(&bytes, step as u64) as u64),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::create(folder, now),
            Err(source) => Err(LogError::new(&path, source)),
        }
    }

    fn open(path: &Path, bytes: u64) -> Result<Self, LogError> {
        let file = AppendLog::cut_to(path, bytes)?;
        Ok(Self { file })
    }

    /// Appends the values of a step as one event.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn write(
        &mut self,
        step: usize,
        now: Duration,
        values: &[(String, Value)],
    ) -> Result<(), LogError> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            let mut message = Vec::new();
            bytes_field(&mut message, 1, tag.as_bytes());
            match value {
                Value::Scalar(number) => {
                    key(&mut message, 2, 5);
                    message.extend(number.to_le_bytes());
                }
                Value::Histogram(numbers) => bytes_field(&mut message, 5, &histogram(numbers)),
                Value::Png {
                    bytes,
                    width,
                    height,
                } => {
                    let mut image = Vec::new();
                    for (field, number) in [(1, *height), (2, *width), (3, 3)] {
                        key(&mut image, field, 0);
                        varint(&mut image, u64::from(number));
                    }
                    bytes_field(&mut image, 4, bytes);
                    bytes_field(&mut message, 4, &image);
                }
            }
            bytes_field(&mut summary, 1, &message);
        }
        let mut event = head(now, step as u64);
        bytes_field(&mut event, 5, &summary);
        self.append(&event)
    }

    /// Hands everything to the operating system, so that a TensorBoard that watches sees it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn flush(&mut self) -> Result<(), LogError> {
        self.file.flush()
    }

    fn append(&mut self, event: &[u8]) -> Result<(), LogError> {
        let length = (event.len() as u64).to_le_bytes();
        let record = [
            length.as_slice(),
            &masked(&length).to_le_bytes(),
            event,
            &masked(event).to_le_bytes(),
        ]
        .concat();
        self.file.append(&record)
    }
}

/// Checksum of a record: CRC-32C, turned and shifted so that a checksum of data that holds checksums stays sound.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

/// Wall time and step, with which every event begins.
fn head(now: Duration, step: u64) -> Vec<u8> {
    let mut event = Vec::new();
    key(&mut event, 1, 1);
    event.extend(now.as_secs_f64().to_le_bytes());
    key(&mut event, 2, 0);
    varint(&mut event, step);
    event
}

/// Length of the whole records up to and with those of `step`.
fn kept(bytes: &[u8], step: u64) -> usize {
    let mut end = 0;
    while let Some((event, next)) = record(bytes, end) {
        if step_of(event).is_none_or(|found| found > step) {
            break;
        }
        end = next;
    }
    end
}

/// The record that begins at `start`, if it is whole and sound, and where the next one begins.
fn record(bytes: &[u8], start: usize) -> Option<(&[u8], usize)> {
    let length = bytes.get(start..start + 8)?;
    let size = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
    let begin = start + 12;
    let end = begin.checked_add(size)?;
    let event = bytes.get(begin..end)?;
    let sum = bytes.get(end..end + 4)?;
    (sum == masked(event).to_le_bytes()).then_some((event, end + 4))
}

/// The step of an event that [`head`] began.
fn step_of(event: &[u8]) -> Option<u64> {
    let mut step = 0;
    for (place, byte) in event.get(10..)?.iter().enumerate().take(10) {
        step |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(step);
        }
    }
    None
}

fn histogram(numbers: &[f32]) -> Vec<u8> {
    let finite: Vec<f64> = numbers
        .iter()
        .filter(|number| number.is_finite())
        .map(|&number| f64::from(number))
        .collect();
    let least = finite.iter().copied().fold(f64::INFINITY, f64::min);
    let most = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut message = Vec::new();
    if finite.is_empty() {
        return message;
    }
    // Equal numbers still need a bar of some width.
    let width = ((most - least) / BARS as f64).max(1e-12);
    let mut counts = vec![0.0; BARS];
    for number in &finite {
        let bar = ((number - least) / width) as usize;
        counts[bar.min(BARS - 1)] += 1.0;
    }
    let numbers = [
        least,
        most,
        finite.len() as f64,
        finite.iter().sum(),
        finite.iter().map(|x| x * x).sum(),
    ];
    for (field, number) in (1..).zip(numbers) {
        key(&mut message, field, 1);
        message.extend(f64::to_le_bytes(number));
    }
    let limits = (1..=BARS).map(|bar| least + bar as f64 * width);
    for (field, values) in [(6, limits.collect()), (7, counts)] {
        let values: Vec<f64> = values;
        let packed: Vec<u8> = values.into_iter().flat_map(f64::to_le_bytes).collect();
        bytes_field(&mut message, field, &packed);
    }
    message
}

fn key(message: &mut Vec<u8>, field: u64, kind: u64) {
    varint(message, field << 3 | kind);
}

fn bytes_field(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    key(message, field, 2);
    varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

fn varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_bytes_that_the_format_asks_for() {
        // The first record of a file of TensorBoard's own writer at time 0:
        // >>> from tensorboard.compat.proto.event_pb2 import Event
        // >>> Event(file_version="brain.Event:2").SerializeToString().hex()
        // '1a0d627261696e2e4576656e743a32'
        let mut version = Vec::new();
        bytes_field(&mut version, 3, VERSION.as_bytes());
        let text: String = version.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, "1a0d627261696e2e4576656e743a32");
        // CRC-32C of "123456789" is the check value of its definition.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_resumed_file_ends_with_the_step_of_the_checkpoint_whatever_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let value = |number: f32| [("loss".to_owned(), Value::Scalar(number))];
        let write = |events: &mut Events, steps: std::ops::RangeInclusive<usize>| {
            for step in steps {
                events
                    .write(step, Duration::ZERO, &value(step as f32))
                    .unwrap();
            }
            events.flush().unwrap();
        };
        let mut events = Events::create(folder.path(), Duration::ZERO).unwrap();
        write(&mut events, 1..=300);
        let whole = std::fs::read(folder.path().join(FILE)).unwrap();
        for cut in [whole.len(), whole.len() - 1, whole.len() - 30] {
            lodestone_files::write_whole(&folder.path().join(FILE), |file| {
                file.write_all(&whole[..cut])
            })
            .unwrap();
            let mut events = Events::resume(folder.path(), 200, Duration::ZERO).unwrap();
            write(&mut events, 201..=300);
            assert_eq!(std::fs::read(folder.path().join(FILE)).unwrap(), whole);
        }
    }

    #[test]
    fn bars_hold_every_finite_number_once() {
        let message = histogram(&[0.0, 1.0, 1.0, f32::NAN, 3.0]);
        // min, max, num, sum, sum of squares: nine bytes each, the number behind its key.
        let number = |place: usize| {
            f64::from_le_bytes(message[9 * place + 1..9 * place + 9].try_into().unwrap())
        };
        assert_eq!([0, 1, 2, 3, 4].map(number), [0.0, 3.0, 4.0, 5.0, 11.0]);
        assert!(histogram(&[]).is_empty());
    }
}
