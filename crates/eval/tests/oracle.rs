//! The search and its scores against plain loops, on grids full of ties: whatever the tile size, the engine, the order of the
//! work and what queries may see.

use burn::tensor::Device;
use lodestone_eval::{
    Bytes, Convention, Depth, Engine, EvalError, RankingMetric, Retrieval, RetrievalConfig, Rows,
    Search, Visibility,
};
use proptest::prelude::*;

/// Two sets of rows on a grid of whole numbers, so that distances are exact and many are equal.
#[derive(Debug, Clone)]
struct Case {
    dim: usize,
    queries: Vec<f32>,
    query_labels: Vec<usize>,
    gallery: Vec<f32>,
    gallery_labels: Vec<usize>,
    own: Vec<Option<usize>>,
    query_sequences: Vec<usize>,
    gallery_sequences: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Hidden {
    Nothing,
    /// Queries are the gallery.
    SameRow,
    SameRowAndSequence,
    Given,
    Sequence,
}

const HIDDEN: [Hidden; 5] = [
    Hidden::Nothing,
    Hidden::SameRow,
    Hidden::SameRowAndSequence,
    Hidden::Given,
    Hidden::Sequence,
];

fn cases() -> impl Strategy<Value = Case> {
    (1_usize..4, 1_usize..24, 1_usize..40, 1_usize..4).prop_flat_map(
        |(dim, queries, gallery, levels)| {
            let grid =
                move |n: usize| prop::collection::vec((0..levels).prop_map(|x| x as f32), n * dim);
            let labels = |n: usize| prop::collection::vec(0_usize..4, n);
            let own = prop::collection::vec(prop::option::of(0..gallery), queries);
            (
                (
                    grid(queries),
                    labels(queries),
                    grid(gallery),
                    labels(gallery),
                ),
                (own, labels(queries), labels(gallery)),
            )
                .prop_map(move |((q, ql, g, gl), (own, qs, gs))| Case {
                    dim,
                    queries: q,
                    query_labels: ql,
                    gallery: g,
                    gallery_labels: gl,
                    own,
                    query_sequences: qs,
                    gallery_sequences: gs,
                })
        },
    )
}

impl Case {
    /// The same rows on both sides where `hidden` asks for that.
    fn arranged(mut self, hidden: Hidden) -> Self {
        if matches!(hidden, Hidden::SameRow | Hidden::SameRowAndSequence) {
            self.queries = self.gallery.clone();
            self.query_labels = self.gallery_labels.clone();
            self.query_sequences = self.gallery_sequences.clone();
        }
        self
    }

    fn search(&self, hidden: Hidden) -> Search<'_> {
        let gallery = Rows::new(&self.gallery, self.dim).unwrap();
        let queries = Rows::new(&self.queries, self.dim).unwrap();
        let sequences = &self.gallery_sequences[..];
        match hidden {
            Hidden::Nothing => Search::between(queries, gallery),
            Hidden::SameRow => Search::leave_one_out(gallery),
            Hidden::SameRowAndSequence => Search::leave_one_out(gallery).and_then(|s| {
                s.with_visibility(
                    Visibility::leave_one_out().without_own_sequence(sequences, sequences),
                )
            }),
            Hidden::Given => Search::between(queries, gallery)
                .and_then(|s| s.with_visibility(Visibility::own_rows(&self.own))),
            Hidden::Sequence => Search::between(queries, gallery).and_then(|s| {
                let all = Visibility::everything();
                s.with_visibility(all.without_own_sequence(&self.query_sequences, sequences))
            }),
        }
        .unwrap()
    }

    fn hides(&self, hidden: Hidden, q: usize, g: usize) -> bool {
        let sequence = self.query_sequences[q] == self.gallery_sequences[g];
        match hidden {
            Hidden::Nothing => false,
            Hidden::SameRow => q == g,
            Hidden::SameRowAndSequence => q == g || sequence,
            Hidden::Given => self.own[q] == Some(g),
            Hidden::Sequence => sequence,
        }
    }

    /// Distance, row and relevance of all that `q` may see, in rank order.
    fn ranking(&self, hidden: Hidden, q: usize) -> Vec<(f64, usize, bool)> {
        let dim = self.dim;
        let mut ranking = Vec::new();
        for g in 0..self.gallery_labels.len() {
            if !self.hides(hidden, q, g) {
                let mut distance = 0.0;
                for c in 0..dim {
                    let difference = self.queries[q * dim + c] - self.gallery[g * dim + c];
                    distance += f64::from(difference * difference);
                }
                ranking.push((distance, g, self.gallery_labels[g] == self.query_labels[q]));
            }
        }
        ranking.sort_by(|a, b| a.partial_cmp(b).unwrap());
        ranking
    }
}

/// The contract's formulas as loops over a ranking.
fn value(
    ranking: &[(f64, usize, bool)],
    metric: RankingMetric,
    convention: Convention,
) -> Option<f64> {
    use RankingMetric::*;
    let relevant = ranking.iter().filter(|r| r.2).count();
    let hits = |k: usize| ranking.iter().take(k).filter(|r| r.2).count() as f64;
    let sum = |k: usize| {
        let mut sum = 0.0;
        for i in 1..=k.min(ranking.len()) {
            if ranking[i - 1].2 {
                sum += hits(i) / i as f64;
            }
        }
        sum
    };
    if relevant == 0 {
        let kept = matches!(metric, RecallAt(_) | MapAt(_) | MeanAveragePrecision);
        return (convention == Convention::Oml && kept).then_some(0.0);
    }
    let r = relevant as f64;
    Some(match (metric, convention) {
        (PrecisionAt1, _) => hits(1),
        (RecallAt(k), _) => f64::from(hits(k) > 0.0),
        (RecallIrAt(k), _) => hits(k) / r,
        (PrecisionAt(k), Convention::Oml) | (PrecisionAtCapped(k), _) => {
            hits(k) / k.min(relevant) as f64
        }
        (PrecisionAt(k), _) => hits(k) / k as f64,
        (RPrecision, _) => hits(relevant) / r,
        (MapAtR, _) => sum(relevant) / r,
        (MapAt(k), Convention::Pml) => sum(k) / r,
        (MapAt(k), Convention::Oml) if hits(k) == 0.0 => 0.0,
        (MapAt(k), Convention::Oml) => sum(k) / hits(k),
        (MapAt(k), _) => sum(k) / k.min(relevant) as f64,
        (MeanAveragePrecision, Convention::Sklearn) => {
            // scikit-learn: Σ (recall gained at a threshold) x (precision at it), one threshold for each distance.
            let mut area = 0.0;
            let mut recalled = 0.0;
            for (i, row) in ranking.iter().enumerate() {
                if ranking.get(i + 1).is_none_or(|next| next.0 > row.0) {
                    area += (hits(i + 1) - recalled) / r * hits(i + 1) / (i + 1) as f64;
                    recalled = hits(i + 1);
                }
            }
            area
        }
        (MeanAveragePrecision, _) => sum(ranking.len()) / r,
        (MeanReciprocalRank, _) => 1.0 / (ranking.iter().position(|x| x.2).unwrap() + 1) as f64,
    })
}

fn metrics() -> Vec<RankingMetric> {
    use RankingMetric::*;
    let mut all = vec![
        PrecisionAt1,
        RPrecision,
        MapAtR,
        MeanAveragePrecision,
        MeanReciprocalRank,
    ];
    for k in [1, 3, 100] {
        all.extend([
            RecallAt(k),
            RecallIrAt(k),
            PrecisionAt(k),
            PrecisionAtCapped(k),
            MapAt(k),
        ]);
    }
    all
}

const CONVENTIONS: [Convention; 4] = [
    Convention::Lodestone,
    Convention::Pml,
    Convention::Oml,
    Convention::Sklearn,
];

fn config(depth: Depth) -> RetrievalConfig {
    RetrievalConfig {
        cuts: vec![1, 3, 100],
        depth,
    }
}

fn check_scores(case: &Case, hidden: Hidden, retrieval: &Retrieval, depth: Depth) {
    for q in 0..case.query_labels.len() {
        let ranking = case.ranking(hidden, q);
        let scores = &retrieval.queries()[q];
        let wrong = ranking.iter().find(|r| !r.2).map(|r| (r.0, r.1));
        assert_eq!(
            scores.nearest_wrong.map(|n| (n.squared_distance, n.row)),
            wrong,
            "query {q}"
        );
        for metric in metrics() {
            for convention in CONVENTIONS {
                let got = retrieval.of_query(q, metric, convention);
                let expected = value(&ranking, metric, convention);
                let deep = [
                    RankingMetric::MeanAveragePrecision,
                    RankingMetric::MeanReciprocalRank,
                ];
                match (got, expected) {
                    (None, Some(_)) => assert!(
                        depth == Depth::UpToR && deep.contains(&metric),
                        "{metric:?}"
                    ),
                    (Some(got), Some(expected)) => {
                        assert!(
                            (got - expected).abs() < 1e-12,
                            "query {q} {metric:?} {convention:?}: {got} {expected}"
                        );
                    }
                    (got, None) => assert_eq!(got, None, "query {q} {metric:?} {convention:?}"),
                }
            }
        }
    }
}

/// As [`check_scores`], for every way to compute.
fn check_everything(case: &Case, hidden: Hidden, searches: Vec<Search>) {
    for search in searches {
        let k = 5;
        let nearest = search.nearest(k).unwrap();
        for (q, found) in nearest.iter().enumerate() {
            let found: Vec<_> = found.iter().map(|n| (n.squared_distance, n.row)).collect();
            let expected: Vec<_> = case
                .ranking(hidden, q)
                .iter()
                .take(k)
                .map(|r| (r.0, r.1))
                .collect();
            assert_eq!(found, expected, "{hidden:?} query {q}");
        }
        for depth in [Depth::Full, Depth::UpToR] {
            let scored = search
                .retrieval(&case.query_labels, &case.gallery_labels, &config(depth))
                .unwrap();
            check_scores(case, hidden, &scored, depth);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_order_of_the_work_gives_the_loops_ranking(case in cases(), tile_rows in 1_usize..12) {
        for hidden in HIDDEN {
            let case = case.clone().arranged(hidden);
            let plain = case.search(hidden);
            let searches = vec![
                plain.clone(),
                plain.clone().with_tile_rows(tile_rows),
                plain.clone().with_memory(Bytes(20_000)),
            ];
            check_everything(&case, hidden, searches);
        }
    }
}

proptest! {
    // Each case runs many small products, so fewer of them.
    #![proptest_config(ProptestConfig::with_cases(4))]
    #[test]
    fn a_device_gives_the_hosts_ranking(case in cases()) {
        for hidden in [Hidden::Nothing, Hidden::SameRow] {
            let case = case.clone().arranged(hidden);
            let search = case.search(hidden).with_engine(Engine::Device(Device::flex()));
            check_everything(&case, hidden, vec![search.clone(), search.with_tile_rows(7)]);
        }
    }
}

/// Pseudo-random rows far from the origin, where the expansion of the square loses most of its digits.
fn far_rows(n: usize, dim: usize, centre: f32) -> Vec<f32> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32
    };
    (0..n * dim).map(|_| centre + next()).collect()
}

#[test]
fn rankings_stay_exact_where_the_fast_formula_cancels() {
    let (n, dim) = (300, 24);
    let labels: Vec<usize> = (0..n).map(|i| i % 7).collect();
    for centre in [0.0, 30.0, 3000.0] {
        let values = far_rows(n, dim, centre);
        let case = Case {
            dim,
            queries: values.clone(),
            query_labels: labels.clone(),
            gallery: values,
            gallery_labels: labels.clone(),
            own: vec![],
            query_sequences: labels.clone(),
            gallery_sequences: labels.clone(),
        };
        let search = case.search(Hidden::SameRow);
        let nearest = search.nearest(9).unwrap();
        for (q, found) in nearest.iter().enumerate() {
            // Plain sums of f64 differences; the order of the sum may differ in the last digit, the order of rows not.
            let mut expected: Vec<(f64, usize)> = (0..n)
                .filter(|&g| g != q)
                .map(|g| {
                    let row = |i: usize| &case.gallery[i * dim..(i + 1) * dim];
                    let pairs = row(q).iter().zip(row(g));
                    (
                        pairs
                            .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2))
                            .sum(),
                        g,
                    )
                })
                .collect();
            expected.sort_by(|a, b| a.partial_cmp(b).unwrap());
            let rows: Vec<usize> = found.iter().map(|n| n.row).collect();
            let expected: Vec<usize> = expected.iter().take(9).map(|e| e.1).collect();
            assert_eq!(rows, expected, "centre {centre} query {q}");
        }
        let full = search
            .retrieval(&labels, &labels, &config(Depth::Full))
            .unwrap();
        let short = search
            .retrieval(&labels, &labels, &config(Depth::UpToR))
            .unwrap();
        for metric in [RankingMetric::MapAtR, RankingMetric::RecallAt(3)] {
            let mean = |r: &Retrieval| r.mean(metric, Convention::Lodestone);
            assert_eq!(mean(&full), mean(&short), "centre {centre}");
        }
    }
}

#[test]
fn identical_rows_are_ranked_by_row_number() {
    let values = vec![0.1; 3 * 200];
    let search = Search::leave_one_out(Rows::new(&values, 3).unwrap()).unwrap();
    for search in [search.clone(), search.with_tile_rows(16)] {
        let nearest = search.nearest(3).unwrap();
        let rows = |q: usize| nearest[q].iter().map(|n| n.row).collect::<Vec<_>>();
        assert_eq!(
            (rows(0), rows(1), rows(199)),
            (vec![1, 2, 3], vec![0, 2, 3], vec![0, 1, 2])
        );
        assert!(nearest.iter().flatten().all(|n| n.squared_distance == 0.0));
    }
}

#[test]
fn the_laws_between_the_metrics_hold() {
    let values = far_rows(200, 4, 0.0);
    let labels: Vec<usize> = (0..200).map(|i| (i * i) % 11).collect();
    let search = Search::leave_one_out(Rows::new(&values, 4).unwrap()).unwrap();
    let config = RetrievalConfig {
        cuts: (1..12).collect(),
        depth: Depth::Full,
    };
    let scored = search.retrieval(&labels, &labels, &config).unwrap();
    let of = |q, metric| scored.of_query(q, metric, Convention::Lodestone).unwrap();
    for q in (0..200).filter(|&q| !scored.queries()[q].is_lone()) {
        for k in 1..11 {
            assert!(of(q, RankingMetric::RecallAt(k)) <= of(q, RankingMetric::RecallAt(k + 1)));
        }
        let at_r = of(q, RankingMetric::MapAtR);
        assert!(at_r <= of(q, RankingMetric::RPrecision));
        assert!(at_r <= of(q, RankingMetric::MeanAveragePrecision));
    }
    // A perfect ranking: every class is a point of its own.
    let apart: Vec<f32> = labels.iter().map(|&label| label as f32 * 10.0).collect();
    let search = Search::leave_one_out(Rows::new(&apart, 1).unwrap()).unwrap();
    let scored = search.retrieval(&labels, &labels, &config).unwrap();
    use RankingMetric::*;
    for metric in [
        PrecisionAt1,
        RPrecision,
        MapAtR,
        MeanAveragePrecision,
        MeanReciprocalRank,
    ] {
        assert_eq!(
            scored.mean(metric, Convention::Lodestone).unwrap().value,
            1.0
        );
    }
}

#[test]
fn a_lone_query_changes_nothing_but_its_count() {
    let gallery = far_rows(30, 2, 0.0);
    let gallery_labels: Vec<usize> = (0..30).map(|i| i % 4).collect();
    let queries = far_rows(6, 2, 0.1);
    let labels = [0, 1, 2, 3, 0, 99];
    let scored = |n: usize| {
        let queries = Rows::new(&queries, 2).unwrap().slice(0..n);
        let search = Search::between(queries, Rows::new(&gallery, 2).unwrap()).unwrap();
        search
            .retrieval(&labels[..n], &gallery_labels, &config(Depth::Full))
            .unwrap()
    };
    let (without, with) = (scored(5), scored(6));
    assert_eq!((without.lone(), with.lone()), (0, 1));
    for metric in metrics() {
        let mean = |r: &Retrieval| r.mean(metric, Convention::Lodestone);
        assert_eq!(mean(&without), mean(&with));
    }
    let alone = scored(6);
    assert_eq!(
        alone.of_query(5, RankingMetric::MapAtR, Convention::Lodestone),
        None
    );
}

#[test]
fn all_lone_is_absent_and_never_nan() {
    let rows = [0.0, 1.0, 2.0];
    let search = Search::leave_one_out(Rows::new(&rows, 1).unwrap()).unwrap();
    let scored = search
        .retrieval(&[1, 2, 3], &[1, 2, 3], &config(Depth::Full))
        .unwrap();
    for metric in metrics() {
        assert_eq!(scored.mean(metric, Convention::Lodestone), None);
        assert_eq!(
            scored.mean_over_classes(metric, Convention::Lodestone),
            None
        );
    }
}

#[test]
fn memory_limits_are_kept_or_refused_with_the_numbers() {
    let values = far_rows(400, 8, 0.0);
    let search = Search::leave_one_out(Rows::new(&values, 8).unwrap()).unwrap();
    let embeddings = 400 * 8 * 4;
    let mut last = None;
    for limit in [100_000_000, 1_000_000, 200_000, 80_000] {
        let limited = search.clone().with_memory(Bytes(limit));
        let forecast = limited.forecast_nearest(3).unwrap();
        assert!(forecast.total() <= Bytes(limit), "{forecast:?}");
        assert_eq!(forecast.embeddings, Bytes(embeddings));
        let nearest = limited.nearest(3).unwrap();
        assert!(
            last.replace(nearest.clone())
                .is_none_or(|before| before == nearest)
        );
    }
    let refused = search
        .with_memory(Bytes(embeddings + 10))
        .nearest(3)
        .unwrap_err();
    assert!(matches!(refused, EvalError::Memory { .. }), "{refused}");
    assert!(
        refused.to_string().contains("the limit is 12.8 kB"),
        "{refused}"
    );
}

#[test]
fn inputs_without_meaning_are_refused_by_name() {
    let good = [0.0, 1.0, 2.0, 3.0];
    let bad = [0.0, 1.0, f32::NAN, 3.0];
    let huge = [0.0, 1.0, 2.0, f32::INFINITY];
    let rows = |values: &'static [f32]| Rows::new(values, 2).unwrap();
    let good: &'static [f32] = Vec::leak(good.to_vec());
    let bad: &'static [f32] = Vec::leak(bad.to_vec());
    let huge: &'static [f32] = Vec::leak(huge.to_vec());
    let empty: &'static [f32] = &[];
    let search = || Search::leave_one_out(rows(good)).unwrap();
    let config = RetrievalConfig::default();
    for (error, says) in [
        (
            Search::between(rows(bad), rows(good)).err(),
            "query row 1 has NaN in column 0",
        ),
        (
            Search::between(rows(good), rows(huge)).err(),
            "gallery row 1 has inf in column 1",
        ),
        (
            Search::leave_one_out(rows(bad)).err(),
            "row 1 has NaN in column 0",
        ),
        (
            Search::between(rows(good), Rows::new(good, 4).unwrap()).err(),
            "queries have 2 dimensions, the gallery has 4",
        ),
        (Search::between(rows(empty), rows(good)).err(), "no queries"),
        (
            Search::between(rows(good), rows(empty)).err(),
            "no gallery rows",
        ),
        (
            search().retrieval(&[1], &[1, 2], &config).err(),
            "1 query labels for 2 rows",
        ),
        (
            search().retrieval(&[1, 2], &[1, 2, 3], &config).err(),
            "3 gallery labels for 2 rows",
        ),
        (search().nearest(0).err(), "k is 0, must be at least 1"),
        (
            search()
                .with_visibility(Visibility::own_rows(&[None]))
                .err(),
            "1 own rows for 2 rows",
        ),
        (
            search()
                .with_visibility(Visibility::own_rows(&[None, Some(7)]))
                .err(),
            "query 1: row 7 in the ranked list is not in the gallery",
        ),
    ] {
        let error = error.expect(says).to_string();
        assert!(error.starts_with(says), "{error}");
    }
    // More neighbours than there are rows means all of them.
    assert_eq!(
        search()
            .nearest(50)
            .unwrap()
            .iter()
            .map(Vec::len)
            .collect::<Vec<_>>(),
        [1, 1]
    );
}
