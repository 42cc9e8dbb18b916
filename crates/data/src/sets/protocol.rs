//! The two ways in which the photographs of CUB-200-2011 and Cars196 are split.

use serde::{Deserialize, Serialize};

use crate::table::Split;

/// Whether the classes of the test photographs are trained on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ClassProtocol {
    /// Tested on classes never trained on: all photographs of the first half of the classes train, all of the second half
    /// are tested on. What metric learning reports, since Oh Song et al., *Deep metric learning via lifted structured
    /// feature embedding*, CVPR 2016.
    #[default]
    Metric,
    /// Tested on the classes that were trained on: the publisher's list says of each photograph whether it trains. What
    /// classifiers report.
    Closed,
}

impl ClassProtocol {
    /// The name in run files and results.
    pub fn name(self) -> &'static str {
        match self {
            ClassProtocol::Metric => "metric",
            ClassProtocol::Closed => "closed",
        }
    }

    /// Split of a photograph of a class, 0-based, that the publisher's list trains on or not.
    pub(super) fn split(self, label: usize, classes: usize, listed_to_train: bool) -> Split {
        let trains = match self {
            ClassProtocol::Metric => label < classes / 2,
            ClassProtocol::Closed => listed_to_train,
        };
        if trains { Split::Train } else { Split::Test }
    }
}
