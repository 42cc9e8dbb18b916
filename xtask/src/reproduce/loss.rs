//! The losses that are compared, how each is trained, and what its search may change beside the levers that all share.

use super::draw::Draw;

/// What is trained, which decides the ranges of rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// A small network from random weights, on small grey images.
    Small,
    /// The upper blocks of a pretrained trunk, on photographs.
    Photographs,
}

/// A loss of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Loss {
    /// No training: the features of the published weights. Not searched.
    Frozen,
    Softmax,
    Triplet,
    Magnet,
    /// Magnet with a temperature: a variant of ours, under its own name.
    TemperedMagnet,
    ProxyAnchor,
    MultiSimilarity,
    SupCon,
    /// Magnet with several neighbourhoods a batch, weighted by importance: a variant of ours too.
    ImportanceMagnet,
    SoftTriple,
    RepMet,
    Pairwise,
}

impl Loss {
    /// All that are trained, in the order in which they are run.
    pub(crate) const ALL: [Self; 11] = [
        Self::Softmax,
        Self::Triplet,
        Self::Magnet,
        Self::TemperedMagnet,
        Self::ProxyAnchor,
        Self::MultiSimilarity,
        Self::SupCon,
        Self::ImportanceMagnet,
        Self::SoftTriple,
        Self::RepMet,
        Self::Pairwise,
    ];

    /// Those that are asked about classes never seen.
    pub(crate) const UNSEEN: [Self; 8] = [
        Self::Frozen,
        Self::Softmax,
        Self::Triplet,
        Self::Magnet,
        Self::TemperedMagnet,
        Self::ProxyAnchor,
        Self::MultiSimilarity,
        Self::SupCon,
    ];

    /// Those of the paper's questions, and the variant of magnet.
    pub(crate) const FOUR: [Self; 4] = [
        Self::Softmax,
        Self::Triplet,
        Self::Magnet,
        Self::TemperedMagnet,
    ];

    /// Name on the command line, in the ledger and in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::Softmax => "softmax",
            Self::Triplet => "triplet",
            Self::Magnet => "magnet",
            Self::TemperedMagnet => "tempered-magnet",
            Self::ProxyAnchor => "proxy-anchor",
            Self::MultiSimilarity => "multi-similarity",
            Self::SupCon => "sup-con",
            Self::ImportanceMagnet => "importance-magnet",
            Self::SoftTriple => "soft-triple",
            Self::RepMet => "rep-met",
            Self::Pairwise => "pairwise",
        }
    }

    /// The loss of a name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let mut all = [Self::Frozen].into_iter().chain(Self::ALL);
        all.find(|loss| loss.name() == name)
    }

    /// The rule of classification that goes with the loss, as reports spell it.
    pub(crate) fn own_rule(self) -> &'static str {
        match self {
            Self::Softmax | Self::SoftTriple | Self::ProxyAnchor | Self::RepMet => "argmax",
            Self::Magnet | Self::TemperedMagnet | Self::ImportanceMagnet => "knc",
            Self::Triplet | Self::Pairwise | Self::MultiSimilarity | Self::SupCon => "soft_knn",
            Self::Frozen => "soft_knn",
        }
    }

    /// Error % of the paper on a set, of networks and weights of its own.
    pub(crate) fn of_paper(self, set: &str) -> Option<f64> {
        let row = match self {
            Self::Softmax => [11.3, 26.6, 9.1],
            Self::Triplet => [13.5, 35.8, 11.0],
            Self::Magnet => [10.6, 24.9, 8.6],
            _ => return None,
        };
        let sets = ["oxford-iiit-pet", "stanford-dogs", "flowers-102"];
        Some(row[sets.iter().position(|&one| one == set)?])
    }

    /// The settings that make a run this loss, its own levers drawn. Every batch has 48 images.
    pub(crate) fn settings(self, scale: Scale, draw: &mut Draw) {
        match self {
            Self::Frozen => {}
            Self::Softmax => draw.set(&["loss={kind=\"softmax\"}"]),
            Self::Triplet => {
                draw.set(&["loss={kind=\"triplet\",distance=\"unit_euclidean\"}", UNIT]);
                let margin = draw.log("margin", "loss.margin", 0.05, 0.8);
                let mining = draw.pick("mining", &["hard", "semi_hard", "all"]);
                // Semi-hard negatives are those within the margin of the loss.
                let within = match mining {
                    "semi_hard" => format!(",margin={margin:.2e}"),
                    _ => String::new(),
                };
                draw.set(&[&format!("loss.mining={{kind=\"{mining}\"{within}}}")]);
                classes_per_batch(scale, draw);
            }
            Self::Pairwise => {
                draw.set(&["loss={kind=\"kl_pairwise\"}"]);
                draw.log("margin", "loss.margin", 0.5, 4.0);
                classes_per_batch(scale, draw);
            }
            Self::Magnet => {
                draw.set(&["loss={kind=\"magnet\"}"]);
                draw.log("gap", "loss.gap", 0.3, 5.0);
                neighbourhood(draw);
            }
            Self::TemperedMagnet => {
                draw.set(&["loss={kind=\"magnet\"}"]);
                let temperature = draw.log("temperature", "loss.temperature", 0.05, 0.5);
                // The lead that an example's own mean gives away is shared by 1/t, and the gap with it.
                let scaled = draw.value("gap times temperature", 0.3, 5.0);
                draw.set(&[&format!("loss.gap={:.3}", scaled / temperature)]);
                let own = draw.pick("own mean", &["plain", "leave_one_out"]);
                draw.set(&[&format!("loss.own_mean=\"{own}\"")]);
                neighbourhood(draw);
            }
            Self::ImportanceMagnet => {
                draw.set(&["loss={kind=\"magnet\"}"]);
                draw.log("gap", "loss.gap", 0.3, 5.0);
                let shape = draw.pick("S x M x D", &["2x6x4", "2x4x6", "4x4x3", "4x3x4"]);
                let [count, clusters, examples] = numbers(shape);
                let sampler = format!(
                    "sampler={{kind=\"importance\",neighbourhoods_per_batch={count},\
                     clusters_per_neighbourhood={clusters},examples_per_cluster={examples}}}"
                );
                draw.set(&[&sampler]);
                clusters_per_class(draw);
            }
            Self::SoftTriple => {
                draw.set(&["loss={kind=\"soft_triple\"}", UNIT]);
                draw.log("scale", "loss.scale", 5.0, 40.0);
                let centres = draw.pick("centres per class", &["1", "2", "10"]);
                draw.set(&[&format!("loss.centers_per_class={centres}")]);
                rate_of_proxies(draw);
            }
            Self::ProxyAnchor => {
                draw.set(&["loss={kind=\"proxy_anchor\"}", UNIT]);
                draw.log("alpha", "loss.alpha", 8.0, 64.0);
                draw.log("margin", "loss.margin", 0.05, 0.4);
                rate_of_proxies(draw);
            }
            Self::MultiSimilarity => {
                draw.set(&["loss={kind=\"multi_similarity\"}", UNIT]);
                draw.log("base", "loss.base", 0.3, 0.9);
                classes_per_batch(scale, draw);
            }
            Self::SupCon => {
                draw.set(&["loss={kind=\"sup_con\"}", UNIT]);
                draw.log("temperature", "loss.temperature", 0.03, 0.5);
                classes_per_batch(scale, draw);
            }
            Self::RepMet => {
                draw.set(&["loss={kind=\"rep_met\"}", UNIT]);
                draw.log("variance", "loss.variance", 0.05, 1.0);
                let modes = draw.pick("modes per class", &["1", "2", "3"]);
                draw.set(&[&format!("loss.modes_per_class={modes}")]);
                rate_of_proxies(draw);
            }
        }
    }
}

const UNIT: &str = "model.head.normalise=true";

/// P classes with K images each. Fine-grained sets have few photographs of a class.
fn classes_per_batch(scale: Scale, draw: &mut Draw) {
    let shapes = match scale {
        Scale::Small => ["4x12", "6x8", "8x6"],
        Scale::Photographs => ["6x8", "12x4", "24x2"],
    };
    let [classes, images] = numbers(draw.pick("classes x images", &shapes));
    let sampler = format!(
        "sampler={{kind=\"per-class\",classes_per_batch={classes},images_per_class={images}}}"
    );
    draw.set(&[&sampler]);
}

/// M clusters with D examples each, and clusters of a class.
fn neighbourhood(draw: &mut Draw) {
    let [clusters, examples] = numbers(draw.pick("M x D", &["4x12", "6x8", "12x4"]));
    let sampler = format!(
        "sampler={{kind=\"neighbourhood\",clusters_per_batch={clusters},examples_per_cluster={examples}}}"
    );
    draw.set(&[&sampler]);
    clusters_per_class(draw);
}

fn clusters_per_class(draw: &mut Draw) {
    let clusters = draw.pick("clusters per class", &["1", "2", "4"]);
    draw.set(&[&format!("index.clusters_per_class={clusters}")]);
}

fn rate_of_proxies(draw: &mut Draw) {
    draw.log("rate of proxies", "loss.learning_rate_factor", 1.0, 100.0);
}

/// The numbers of `6x8`.
fn numbers<const N: usize>(shape: &str) -> [usize; N] {
    let mut parts = shape.split('x').map(|part| part.parse().unwrap_or(1));
    std::array::from_fn(|_| parts.next().unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_is_found_by_its_name_and_has_batches_of_48() {
        for loss in Loss::ALL {
            assert_eq!(Loss::of(loss.name()), Some(loss));
            for scale in [Scale::Small, Scale::Photographs] {
                for place in [0.01, 0.4, 0.6, 0.99] {
                    let mut draw = Draw::new(vec![place; 12]);
                    loss.settings(scale, &mut draw);
                    let sampler = draw.sets.iter().find(|set| set.starts_with("sampler="));
                    let Some(sampler) = sampler else { continue };
                    let digits = sampler.split(|c: char| !c.is_ascii_digit());
                    let product: usize = digits.filter_map(|n| n.parse::<usize>().ok()).product();
                    assert_eq!(product, 48, "{sampler}");
                }
            }
        }
        assert_eq!(Loss::of("hinge"), None);
    }

    #[test]
    fn the_gap_of_a_tempered_magnet_is_searched_as_a_multiple_of_its_temperature() {
        let mut draw = Draw::new(vec![0.0; 12]);
        Loss::TemperedMagnet.settings(Scale::Small, &mut draw);
        assert!(draw.sets.contains(&"loss.temperature=5.00e-2".into()));
        assert!(
            draw.sets.contains(&"loss.gap=6.000".into()),
            "{:?}",
            draw.sets
        );
    }
}
