//! The report as Markdown, for people.

use std::fmt::Write as _;

use crate::{Diagnostics, Distance, Mode, Report, Setting, SoftVote};

impl Report {
    /// The report as a Markdown table, in percent, with the number of rows behind each number.
    ///
    /// # Example
    /// ```
    /// use lodestone_eval::{Distance, Mode, Report, Setting};
    ///
    /// let mut report = Report::new(Setting {
    ///     mode: Mode::LeaveOneOut, distance: Distance::SquaredEuclidean, dim: 64,
    ///     queries: 1000, gallery: 1000, classes: 10, n_lone: 0, forecast: None,
    /// });
    /// report.add("recall_at_1", Some(0.8765), 1000);
    /// assert!(report.to_markdown().contains("| recall_at_1 | 87.65 % | 1000 |"));
    /// ```
    pub fn to_markdown(&self) -> String {
        let s = &self.setting;
        let mode = match s.mode {
            Mode::LeaveOneOut => "each row against all the others",
            Mode::Split => "queries against a separate gallery",
            Mode::TrainGallery => "test rows against training rows",
        };
        let distance = match s.distance {
            Distance::SquaredEuclidean => "squared Euclidean",
            Distance::Cosine => "cosine",
        };
        let mut text = format!(
            "{} queries of {} classes, {} gallery rows, {} dimensions; {mode}; {distance} distance; {} lone queries left out.\n\n",
            s.queries, s.classes, s.gallery, s.dim, s.n_lone
        );
        let any_interval = self.measures.values().any(|m| m.interval.is_some());
        text += match any_interval {
            true => "| measure | value | 95 % interval | rows |\n|---|---:|---:|---:|\n",
            false => "| measure | value | rows |\n|---|---:|---:|\n",
        };
        for (name, measure) in &self.measures {
            let value = measure.value.map_or("absent".to_owned(), percent);
            // Writing to a string cannot fail.
            let _ = write!(text, "| {name}{} | {value} |", vote_note(measure.vote));
            if any_interval {
                let interval = measure.interval.map_or(String::new(), |[low, high]| {
                    format!("{} to {}", percent(low), percent(high))
                });
                let _ = write!(text, " {interval} |");
            }
            let _ = writeln!(text, " {} |", measure.count);
        }
        if let Some(c) = &self.clustering {
            let _ = write!(
                text,
                "\nClusters against classes ({} clusters): NMI {}, AMI {}, purity {}.\n",
                c.clusters,
                percent(c.nmi),
                percent(c.ami),
                percent(c.purity)
            );
        }
        if let Some(c) = &self.concentration {
            text += "\n| neighbours | share with the attribute, pooled | mean over attributes |\n|---:|---:|---:|\n";
            let lines = c
                .sizes
                .iter()
                .zip(c.pooled.shares.iter().zip(&c.over_attributes.shares));
            for (n, (pooled, over)) in lines {
                let _ = writeln!(text, "| {n} | {} | {} |", percent(*pooled), percent(*over));
            }
            let base = (percent(c.pooled.base), percent(c.over_attributes.base));
            let _ = writeln!(text, "| base | {} | {} |", base.0, base.1);
        }
        if let Some(diagnostics) = &self.diagnostics {
            text += &shape(diagnostics);
        }
        if let Some(confusion) = &self.confusion {
            let worst = confusion.worst_pairs(10);
            if !worst.is_empty() {
                text += "\n| true class | taken for | times |\n|---:|---:|---:|\n";
            }
            for (truth, taken_for, times) in worst {
                let _ = writeln!(text, "| {truth} | {taken_for} | {times} |");
            }
        }
        for warning in &self.warnings {
            let _ = write!(text, "\nWarning: {warning}.\n");
        }
        text
    }
}

fn percent(value: f64) -> String {
    format!("{:.2} %", 100.0 * value)
}

fn vote_note(vote: Option<SoftVote>) -> String {
    vote.map_or(String::new(), |v| {
        format!(" (nearest {}, variance {:.4})", v.nearest, v.variance)
    })
}

fn shape(d: &Diagnostics) -> String {
    let or_none = |x: Option<f64>| x.map_or("none".to_owned(), |x| format!("{x:.4}"));
    format!(
        "\nShape: effective rank {:.1}, spectral decay {:.3}, mean squared distance {:.4}, norm {:.4} ± {:.4}, \
         intra/inter {}, alignment {}, uniformity {:.4}.\n",
        d.effective_rank,
        d.spectral_decay,
        d.mean_squared_distance,
        d.norm_mean,
        d.norm_deviation,
        or_none(d.intra_over_inter),
        or_none(d.alignment),
        d.uniformity
    )
}

impl Setting {
    /// One line about memory and work, to be shown before a long search.
    pub fn forecast_line(&self) -> Option<String> {
        self.forecast.as_ref().map(|f| {
            format!(
                "{} queries in {} rows of {} values: {} in all ({} embeddings, {} work), {:.2e} multiply-adds",
                self.queries,
                self.gallery,
                self.dim,
                f.total(),
                f.embeddings,
                f.working,
                f.multiply_adds
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::report::tests::report;
    use crate::{Bytes, Forecast, Labelled, Predictions, clustering_scores, diagnostics};

    #[test]
    fn the_table_says_percent_and_how_many_rows() {
        let mut report = report();
        report.add("map_at_r", Some(0.12345), 3);
        report.add("nmi", None, 0);
        let table = report.to_markdown();
        assert!(table.contains("| map_at_r | 12.35 % | 3 |"), "{table}");
        assert!(table.contains("| nmi | absent | 0 |"), "{table}");
        assert!(table.contains("1 lone queries left out"), "{table}");
    }

    #[test]
    fn sections_appear_where_they_were_asked_for() {
        let mut report = report();
        let plain = report.to_markdown();
        assert!(!plain.contains("NMI") && !plain.contains("Shape"));
        report.clustering = clustering_scores(&[0, 0, 1], &[1, 1, 0]).ok();
        let line: Vec<f32> = (0..12).map(|i| (i / 3) as f32).collect();
        report
            .add_diagnostics(diagnostics(Labelled::new(&line, 3, &[0, 1, 2, 2]).unwrap()).unwrap());
        let predictions = Predictions {
            ranked: vec![vec![1], vec![1]],
        };
        report.confusion = predictions.confusion(&[0, 1]).ok();
        let table = report.to_markdown();
        for part in [
            "NMI 100.00 %",
            "effective rank 1.0",
            "| 0 | 1 | 1 |",
            "Warning: the embeddings have collapsed to a line",
        ] {
            assert!(table.contains(part), "{part} is not in {table}");
        }
    }

    #[test]
    fn the_forecast_names_memory_and_work() {
        let mut setting = report().setting;
        assert_eq!(setting.forecast_line(), None);
        let forecast = Forecast {
            embeddings: Bytes(2_000),
            working: Bytes(500),
            multiply_adds: 288.0,
        };
        setting.forecast = Some(forecast);
        let line = setting.forecast_line().unwrap();
        assert_eq!(
            line,
            "4 queries in 9 rows of 8 values: 2.5 kB in all (2.0 kB embeddings, 500 B work), 2.88e2 multiply-adds"
        );
        assert_eq!(forecast.seconds(144.0), 2.0);
    }
}
