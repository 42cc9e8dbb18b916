//! What can be wrong with a weight file.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A weight file could not be used; the network is as it was.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file could not be read at all.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The file is not in a format that holds weights, or is damaged.
    #[error("{} is not a usable weight file: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor holds something that cannot be a weight.
    #[error("{}: tensor `{key}` {reason}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The tensors are not those of the network.
    #[error("{} does not fit {network}: {mismatch}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The network that was to take the weights.
        network: String,
        /// Every difference.
        mismatch: Mismatch,
    },
    /// The tensors are of no network that is known by their names.
    #[error(
        "{} holds {tensors} tensors, the first of which is `{first}`, of none of the networks GoogLeNet (bvlc, torchvision), \
         Inception V3, ResNet-18, ResNet-34 and ResNet-50",
        path.display()
    )]
    UnknownNetwork {
        /// The file.
        path: PathBuf,
        /// Number of its tensors.
        tensors: usize,
        /// Name of the first one; empty if there is none.
        first: String,
    },
    /// The description of the model in the file is not whole.
    #[error("{} has no usable description of its model: {reason}", path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] lodestone_files::WriteError),
}

/// Differences between the tensors of a file and those of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Tensors that the network has and the file lacks.
    pub missing: Vec<String>,
    /// Tensors that the file has and the network lacks.
    pub unexpected: Vec<String>,
    /// Tensors of both with different shapes.
    pub misshaped: Vec<Misshaped>,
}

/// A tensor whose shape differs between a file and a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misshaped {
    /// Name of the tensor.
    pub key: String,
    /// Shape in the file.
    pub in_file: Vec<usize>,
    /// Shape in the network.
    pub in_network: Vec<usize>,
}

impl Mismatch {
    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshaped.is_empty()
    }
}

impl Mismatch {
    /// What stands in the file before every name that the network misses.
    fn prefix(&self) -> Option<&str> {
        let first = self.missing.first()?;
        let prefixed = |prefix: &str, name: &str| {
            let known = |key: &String| key.strip_prefix(prefix) == Some(name);
            self.unexpected.iter().any(known)
        };
        let mut prefixes = self
            .unexpected
            .iter()
            .filter_map(|key| key.strip_suffix(first));
        prefixes.find(|prefix| self.missing.iter().all(|name| prefixed(prefix, name)))
    }
}

/// Names to print of each kind; a file for another network differs in hundreds.
const PRINTED: usize = 3;

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(prefix) = self.prefix() {
            write!(f, "`{prefix}` stands before the network's names; ")?;
        }
        let kinds = [
            ("missing", self.missing.clone()),
            ("unexpected", self.unexpected.clone()),
            (
                "of another shape",
                self.misshaped.iter().map(ToString::to_string).collect(),
            ),
        ];
        let mut separator = "";
        for (kind, names) in kinds.into_iter().filter(|(_, names)| !names.is_empty()) {
            write!(f, "{separator}{} {kind}: ", names.len())?;
            write!(f, "{}", names[..names.len().min(PRINTED)].join(", "))?;
            if names.len() > PRINTED {
                write!(f, " and {} more", names.len() - PRINTED)?;
            }
            separator = "; ";
        }
        Ok(())
    }
}

impl fmt::Display for Misshaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            in_file,
            in_network,
        } = self;
        write!(
            f,
            "{key} is {in_file:?} in the file and {in_network:?} in the network"
        )
    }
}
