//! The few numbers that a run is about, wherever one line has to do.

use lodestone_eval::{Mode, Report};

/// The name and the value of each: the rule of the loss for classes that were trained on; recall@1 and MAP@R for others, and for
/// either part where the held-out photographs have both.
pub(crate) fn headlines(report: &Report) -> Vec<(String, String)> {
    let of_parts = report.parts.iter().flat_map(|(part, report)| {
        keys(report)
            .into_iter()
            .map(move |key| format!("{part}.{key}"))
    });
    let keys = keys(report).into_iter().chain(of_parts);
    keys.map(|key| {
        let value = report.measure(&key).and_then(|measure| measure.value);
        let absent = || match report.reason(&key) {
            Some(why) => format!("absent ({why})"),
            None => "absent".to_owned(),
        };
        let value = value.map_or_else(absent, |value| format!("{:.2} %", 100.0 * value));
        (key, value)
    })
    .collect()
}

fn keys(report: &Report) -> Vec<String> {
    let rule = report.notes.get("rule");
    match (report.setting.mode, rule) {
        (Mode::TrainGallery, Some(rule)) => vec![rule.clone()],
        _ => vec!["recall_at_1".to_owned(), "map_at_r".to_owned()],
    }
}
