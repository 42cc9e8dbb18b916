//! What the process runs on and has used, for the tables that results stand in.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::DateTime;

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| time.as_secs())
}

/// Seconds since 1970 as a date and a time of day.
pub(crate) fn utc(seconds: u64) -> String {
    let time = DateTime::from_timestamp(seconds.cast_signed(), 0).unwrap_or_default();
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Name of the machine in its network; absent where the system does not say.
pub(crate) fn host() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned())
}

/// Largest memory the process has held, in bytes; absent where the system does not say.
pub(crate) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Processor, cores, memory and operating system, on one line; what the system does not say is left out.
pub(crate) fn machine() -> String {
    let field = |path: &str, name: &str| {
        let text = std::fs::read_to_string(path).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse::<f64>().ok())
        .map(|kib| format!("{:.0} GiB", kib / 1024.0 / 1024.0));
    let parts = [
        field("/proc/cpuinfo", "model name"),
        Some(format!("{cores} cores")),
        memory,
        Some(format!(
            "{} {}",
            std::env::consts::OS,
            std::env::consts::ARCH
        )),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Model of the NVIDIA cards of this machine; absent where there are none, the system does not say, or they differ, for then it
/// is not known which of them a device's number means.
pub(crate) fn nvidia_model() -> Option<String> {
    let cards = std::fs::read_dir("/proc/driver/nvidia/gpus").ok()?;
    let texts = cards.flatten().filter_map(|card| {
        let text = std::fs::read_to_string(card.path().join("information"));
        text.ok()
    });
    common_model(texts)
}

/// The model that all descriptions of cards name.
fn common_model(descriptions: impl Iterator<Item = String>) -> Option<String> {
    let model = |text: String| {
        let line = text.lines().find(|line| line.starts_with("Model:"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let mut models = descriptions.map(model);
    let first = models.next()??;
    models
        .all(|other| other.as_ref() == Some(&first))
        .then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_dates() {
        assert_eq!(utc(1_709_251_199), "2024-02-29 23:59:59 UTC");
    }

    #[test]
    fn cards_are_named_if_all_are_of_one_model() {
        let card = |model: &str| format!("Model: \t\t {model}\nIRQ:   \t\t 16\n");
        let common = |models: &[&str]| common_model(models.iter().map(|model| card(model)));
        assert_eq!(
            common(&["NVIDIA H100", "NVIDIA H100"]).unwrap(),
            "NVIDIA H100"
        );
        assert_eq!(common(&["NVIDIA H100", "NVIDIA T4"]), None);
        assert_eq!(common(&[]), None);
        assert_eq!(common_model(["IRQ: 16".to_owned()].into_iter()), None);
    }
}
