//! The report as Markdown, for people.

use std::fmt::Write as _;

use crate::table_parts::{
    alias, approximate, classes, clusters, concentration, mistakes, percent, shape, verification,
    vote_note,
};
use crate::{RankingDistance, Report};

impl Report {
    /// The report as a Markdown table, in percent, with the number of rows behind each number.
    ///
    /// # Example
    /// ```
    /// use lodestone_eval::{RankingDistance, Mode, Report, Setting};
    ///
    /// let mut report = Report::new(Setting {
    ///     mode: Mode::LeaveOneOut, distance: RankingDistance::SquaredEuclidean, dim: 64,
    ///     queries: 1000, gallery: 1000, classes: 10, n_lone: 0,
    /// });
    /// report.add("recall_at_2", Some(0.8765), 1000);
    /// assert!(report.to_markdown().contains("| recall_at_2 | 87.65 % | 1000 |"));
    /// ```
    pub fn to_markdown(&self) -> String {
        let s = &self.setting;
        let mode = s.mode.words();
        let distance = match s.distance {
            RankingDistance::SquaredEuclidean => "squared Euclidean",
            RankingDistance::Cosine => "cosine",
        };
        let mut text = format!(
            "{} queries of {} classes, {} gallery rows, {} dimensions; {mode}; {distance} distance; {} lone queries left out.\n\n",
            s.queries, s.classes, s.gallery, s.dim, s.n_lone
        );
        let any_interval = self.measures.values().any(|m| m.interval.is_some());
        text += match any_interval {
            true => {
                "| measure | value | 95 % interval over queries | over classes | rows |\n|---|---:|---:|---:|---:|\n"
            }
            false => "| measure | value | rows |\n|---|---:|---:|\n",
        };
        for (name, measure) in &self.measures {
            // One number is printed once: recall@1 stands beside precision@1, whose row names it.
            let Some(name) = alias(name, &self.measures) else {
                continue;
            };
            let value = measure.value.map_or("absent".to_owned(), percent);
            // Writing to a string cannot fail.
            let _ = write!(text, "| {name}{} | {value} |", vote_note(measure.vote));
            if any_interval {
                for interval in [measure.interval, measure.interval_over_classes] {
                    let interval = interval.map_or(String::new(), |[low, high]| {
                        format!("{} to {}", percent(low), percent(high))
                    });
                    let _ = write!(text, " {interval} |");
                }
            }
            let _ = writeln!(text, " {} |", measure.count);
        }
        let parts = [
            self.approximate.as_ref().map(approximate),
            self.clustering.as_ref().map(clusters),
            self.verification.as_ref().map(verification),
            self.concentration.as_ref().map(concentration),
            self.diagnostics.as_ref().map(shape),
            self.per_class.as_ref().map(|of| classes(of, self)),
            self.confusion.as_ref().map(|of| mistakes(of, self)),
        ];
        text.extend(parts.into_iter().flatten());
        for (name, value) in &self.notes {
            let _ = write!(text, "\n{name}: {value}  ");
        }
        if !self.notes.is_empty() {
            text += "\n";
        }
        for warning in &self.warnings {
            let _ = write!(text, "\nWarning: {warning}.\n");
        }
        for (name, part) in &self.parts {
            let what = match name.as_str() {
                Self::SEEN => "Classes that were trained on",
                Self::UNSEEN => "Classes never seen in training",
                other => other,
            };
            let _ = write!(text, "\n## {what}\n\n{}", part.to_markdown());
        }
        text
    }

    /// The name of a class, or its number.
    pub(crate) fn class_name(&self, class: usize) -> String {
        let name = self.class_names.get(&class);
        name.cloned().unwrap_or_else(|| class.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::report::tests::report;
    use crate::{
        ApproximateNote, Clustering, Labelled, Mean, Pairs, Predictions, Verification,
        clustering_scores, diagnostics,
    };

    #[test]
    fn the_table_says_percent_and_how_many_rows() {
        let mut report = report();
        report.add("map_at_r", Some(0.12345), 3);
        report.add("nmi", None, 0);
        report.note("seed", 7);
        let table = report.to_markdown();
        assert!(table.contains("| map_at_r | 12.35 % | 3 |"), "{table}");
        assert!(table.contains("| nmi | absent | 0 |"), "{table}");
        assert!(table.contains("1 lone queries left out"), "{table}");
        assert!(table.contains("\nseed: 7"), "{table}");
    }

    #[test]
    fn the_same_number_stands_once_with_its_other_names() {
        let mut report = report();
        report.add("precision_at_1", Some(0.5), 3);
        report.add("recall_at_1", Some(0.5), 3);
        let table = report.to_markdown();
        let row = "| precision_at_1 = recall_at_1 = CMC@1 = hit@1 | 50.00 % | 3 |";
        assert!(table.contains(row), "{table}");
        assert_eq!(table.matches("50.00 %").count(), 1, "{table}");
        report.measures.remove("precision_at_1");
        assert!(
            report
                .to_markdown()
                .contains("| recall_at_1 | 50.00 % | 3 |")
        );
    }

    #[test]
    fn sections_appear_where_they_were_asked_for() {
        let mut report = report();
        let plain = report.to_markdown();
        assert!(!plain.contains("NMI") && !plain.contains("Shape"));
        let scores = clustering_scores(&[0, 0, 1], &[1, 1, 0]).unwrap();
        report.clustering = Some(Clustering::of_given(scores));
        let line: Vec<f32> = (0..12).map(|i| (i / 3) as f32).collect();
        report
            .add_diagnostics(diagnostics(Labelled::new(&line, 3, &[0, 1, 2, 2]).unwrap()).unwrap());
        let predictions = Predictions {
            ranked: vec![vec![1], vec![1]],
        };
        report.confusion = predictions.confusion(&[0, 1]).ok();
        report.class_names = BTreeMap::from([(0, "cat".into()), (1, "dog".into())]);
        let mean = Mean {
            value: 0.25,
            count: 2,
        };
        report.per_class = Some(BTreeMap::from([(
            1,
            BTreeMap::from([("map_at_r".into(), mean)]),
        )]));
        let pairs = Pairs::new(vec![1.0], vec![2.0]).unwrap();
        report.verification =
            Verification::new("two".into(), &pairs, &[0.1], Some((0.9, &pairs))).ok();
        report.approximate = Some(ApproximateNote {
            index: "a graph".into(),
            neighbours: 9,
            recall: 0.975,
            sampled: 40,
            exact: 0,
        });
        let table = report.to_markdown();
        for part in [
            "NMI 100.00 %",
            "effective rank 1.0",
            "| cat | dog | 1 |",
            "Warning: the embeddings have collapsed to a line",
            "| dog | 25.00 % | 2 |",
            "area under the ROC curve 100.00 %",
            "FNMR 0.00 % at FMR 10.00 %",
            "97.50 % of the true neighbours",
        ] {
            assert!(table.contains(part), "{part} is not in {table}");
        }
    }
}
