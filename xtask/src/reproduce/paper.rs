//! What the paper says in numbers, and how sure we are of its words.

use super::loss::Loss;
use super::set::Set;

/// How sure we are of the paper's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provenance {
    /// Read in the paper: its abstract.
    Paper,
    /// Told by others who read it.
    Secondary,
    /// Remembered, and seen in no text of the paper.
    Recollection,
    /// Remembered, and cited so by another paper's code.
    Corroborated,
}

impl Provenance {
    /// As a table says it.
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Secondary => "told by others",
            Self::Recollection => "recollection",
            Self::Corroborated => "recollection, cited elsewhere",
        }
    }
}

/// Errors of the paper's table in percent: all of them recollection, only magnet's on Dogs and Flowers cited elsewhere.
pub(super) fn error(set: Set, loss: Loss) -> Option<f64> {
    let [softmax, triplet, magnet] = match set {
        Set::StanfordDogs => [26.6, 35.8, 24.9],
        Set::OxfordIiitPet => [11.3, 13.5, 10.6],
        Set::Flowers102 => [9.1, 11.0, 8.6],
        Set::ImagenetAttributes => [14.1, 26.8, 15.9],
        Set::FashionMini | Set::FashionMnist | Set::Imagenet => return None,
    };
    match loss {
        Loss::Softmax => Some(softmax),
        Loss::Triplet => Some(triplet),
        Loss::Magnet => Some(magnet),
        _ => None,
    }
}

/// Where the paper's number of a set and a loss is known from.
pub(super) fn provenance(set: Set, loss: Loss) -> Provenance {
    match (set, loss) {
        (Set::Flowers102 | Set::StanfordDogs, Loss::Magnet) => Provenance::Corroborated,
        _ => Provenance::Recollection,
    }
}
