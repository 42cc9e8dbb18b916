//! The losses that are compared: how each is trained, and the rule it is judged by.

/// A loss of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Loss {
    Softmax,
    Triplet,
    Pairwise,
    Magnet,
    /// Magnet whose variance counts less than the paper has it: a variant of ours, under its own name.
    TemperedMagnet,
    SoftTriple,
    ProxyAnchor,
    MultiSimilarity,
    SupCon,
    RepMet,
}

impl Loss {
    /// All, those of the paper first.
    pub(crate) const ALL: [Self; 10] = [
        Self::Softmax,
        Self::Triplet,
        Self::Pairwise,
        Self::Magnet,
        Self::TemperedMagnet,
        Self::SoftTriple,
        Self::ProxyAnchor,
        Self::MultiSimilarity,
        Self::SupCon,
        Self::RepMet,
    ];
    /// Those that the paper compares in every experiment.
    pub(crate) const PAPER: [Self; 3] = [Self::Softmax, Self::Triplet, Self::Magnet];

    /// Those of the paper, and the variant of magnet.
    pub(crate) const WITH_TEMPERED: [Self; 4] = [
        Self::Softmax,
        Self::Triplet,
        Self::Magnet,
        Self::TemperedMagnet,
    ];

    /// Name on the command line, in the ledger and in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Triplet => "triplet",
            Self::Pairwise => "pairwise",
            Self::Magnet => "magnet",
            Self::TemperedMagnet => "tempered-magnet",
            Self::SoftTriple => "soft-triple",
            Self::ProxyAnchor => "proxy-anchor",
            Self::MultiSimilarity => "multi-similarity",
            Self::SupCon => "sup-con",
            Self::RepMet => "rep-met",
        }
    }

    /// The loss of a name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|loss| loss.name() == name)
    }

    /// The rule of classification that goes with the loss, as reports spell it.
    pub(crate) fn rule(self) -> &'static str {
        match self {
            Self::Softmax | Self::SoftTriple | Self::ProxyAnchor | Self::RepMet => "argmax",
            Self::Triplet | Self::Pairwise | Self::MultiSimilarity | Self::SupCon => "soft_knn",
            Self::Magnet | Self::TemperedMagnet => "knc",
        }
    }

    /// The rule in words.
    pub(crate) fn rule_in_words(self) -> &'static str {
        match self.rule() {
            "argmax" => "argmax",
            "soft_knn" => "soft kNN",
            _ => "kNC",
        }
    }

    /// The one of the three run files of a set that training starts from. The other losses take softmax's or magnet's, with what
    /// [`changes`](Self::changes) says.
    pub(crate) fn run_file(self) -> &'static str {
        match self {
            Self::Triplet => "triplet",
            Self::Magnet | Self::TemperedMagnet => "magnet",
            _ => "softmax",
        }
    }

    /// What a loss without a run file of its own sets on top of another's: the loss with its authors' settings, embeddings of
    /// length 1 where it wants them, and batches with several images of each class where it compares images.
    pub(crate) fn changes(self) -> &'static [&'static str] {
        match self {
            Self::Softmax | Self::Triplet | Self::Magnet => &[],
            Self::TemperedMagnet => &["loss.temperature=0.1", "loss.gap=7.18"],
            Self::Pairwise => &["loss={kind=\"kl_pairwise\"}", PAIRS],
            Self::SoftTriple => &["loss={kind=\"soft_triple\"}", UNIT],
            Self::ProxyAnchor => &["loss={kind=\"proxy_anchor\"}", UNIT],
            Self::MultiSimilarity => &["loss={kind=\"multi_similarity\"}", UNIT, PAIRS],
            Self::SupCon => &["loss={kind=\"sup_con\"}", UNIT, PAIRS],
            Self::RepMet => &["loss={kind=\"rep_met\"}", UNIT],
        }
    }
}

const UNIT: &str = "model.head.normalise=true";
/// As many images in a batch as all other run files have.
const PAIRS: &str = "sampler={kind=\"per-class\",classes_per_batch=6,images_per_class=8}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_is_found_by_its_name() {
        for loss in Loss::ALL {
            assert_eq!(Loss::of(loss.name()), Some(loss));
        }
        assert_eq!(Loss::of("hinge"), None);
    }
}
