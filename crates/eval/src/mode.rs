//! Who looks for whom: the protocols of the field, and which of them suits the rows at hand.

use serde::{Deserialize, Serialize};

/// Which rows are searched for which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Each row among all the others: the protocol of classes never seen (CUB-200-2011, Cars196, Stanford Online Products).
    #[serde(rename = "self")]
    LeaveOneOut,
    /// Queries among gallery rows of one part, as its table marks them (In-Shop, tables of open-metric-learning).
    Split,
    /// Held-out rows among training rows: the protocol of classes that were trained on.
    TrainGallery,
}

impl Mode {
    /// The name in settings and in the JSON of a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::LeaveOneOut => "self",
            Self::Split => "split",
            Self::TrainGallery => "train-gallery",
        }
    }

    /// What it does, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::LeaveOneOut => "each row among all the others",
            Self::Split => "queries among the gallery rows that the table marks",
            Self::TrainGallery => "held-out rows among training rows",
        }
    }
}

/// How held-out rows are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// All of them in one way.
    All(Mode),
    /// Rows of trained and of other classes stand side by side: all of them each among all the others, and each part for itself,
    /// the trained classes among training rows, the others each among the others.
    SeenAndUnseen,
}

impl Protocol {
    /// What suits held-out rows: the roles that their table gives them, where it does; else training rows as the gallery of
    /// classes that were trained on, and the rows themselves as that of others. `seen` says of each row whether its class has
    /// training rows.
    ///
    /// # Example
    /// ```
    /// use lodestone_eval::{Mode, Protocol};
    ///
    /// assert_eq!(Protocol::suiting(&[true, true], false), Protocol::All(Mode::TrainGallery));
    /// assert_eq!(Protocol::suiting(&[false, false], false), Protocol::All(Mode::LeaveOneOut));
    /// assert_eq!(Protocol::suiting(&[true, false], false), Protocol::SeenAndUnseen);
    /// assert_eq!(Protocol::suiting(&[true, false], true), Protocol::All(Mode::Split));
    /// ```
    pub fn suiting(seen: &[bool], has_roles: bool) -> Self {
        match (has_roles, seen.contains(&true), seen.contains(&false)) {
            (true, _, _) => Self::All(Mode::Split),
            (false, true, true) => Self::SeenAndUnseen,
            (false, false, true) => Self::All(Mode::LeaveOneOut),
            (false, _, false) => Self::All(Mode::TrainGallery),
        }
    }

    /// How all rows together are judged.
    pub fn whole(self) -> Mode {
        match self {
            Self::All(mode) => mode,
            Self::SeenAndUnseen => Mode::LeaveOneOut,
        }
    }
}
