//! A data set with what the command line says of it: folders, trunk, losses, seeds.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::loss::Loss;
use super::set::{Scale, Set, UPPER_BLOCKS, UPPER_BLOCKS_V3};
use crate::process::root;

/// Where Debian's package `dataset-fashion-mnist` puts the full set.
const DEBIAN_FASHION: &str = "/usr/share/datasets/fashion-mnist";

/// The trunk that photographs are trained on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Trunk {
    /// GoogLeNet with the weights of the BVLC.
    #[default]
    Googlenet,
    /// Inception V3 with torchvision's weights.
    InceptionV3,
}

/// A set with what the command line says of it.
pub(crate) struct Suite {
    pub(crate) set: Set,
    pub(crate) trunk: Trunk,
    pub(crate) data: Option<PathBuf>,
    pub(crate) weights: Option<PathBuf>,
    pub(crate) trials: usize,
    pub(crate) seeds: u64,
    pub(crate) losses: Vec<Loss>,
    /// Attribute labels of the test images, `.csv`.
    pub(crate) attributes: Option<PathBuf>,
}

impl Suite {
    /// `flowers-102`, or `flowers-102-inception-v3` on the other trunk.
    pub(crate) fn name(&self) -> String {
        match self.trunk {
            Trunk::Googlenet => self.set.name().to_owned(),
            Trunk::InceptionV3 => format!("{}-inception-v3", self.set.name()),
        }
    }

    /// The run file that a loss starts from, relative to the workspace.
    pub(crate) fn run_file(&self, loss: Loss) -> String {
        let file = loss.run_file();
        match self.set.scale() {
            Scale::Small => format!("datasets/fashion-mini/{file}.toml"),
            Scale::Photographs => format!("datasets/flowers-102/finetune-{file}.toml"),
        }
    }

    /// What every run of a loss sets on top of its run file.
    pub(crate) fn changes(&self, loss: Loss) -> Vec<String> {
        let trunk = match self.trunk {
            Trunk::Googlenet => None,
            Trunk::InceptionV3 => {
                Some("model.network={architecture=\"inception_v3\",transform_input=true}")
            }
        };
        let set = self.set.data_set().into_iter().chain(trunk);
        set.chain(loss.changes().iter().copied())
            .map(str::to_owned)
            .collect()
    }

    /// Settings of a protocol, which are written for GoogLeNet, with the stages of this trunk.
    pub(super) fn on_trunk(&self, sets: &[&str]) -> Vec<String> {
        let own = |&set: &&str| match (self.trunk, set) {
            (Trunk::InceptionV3, UPPER_BLOCKS) => UPPER_BLOCKS_V3.to_owned(),
            (_, set) => set.to_owned(),
        };
        sets.iter().map(own).collect()
    }

    /// The ledger, which is committed.
    pub(crate) fn ledger(&self) -> PathBuf {
        let file = match self.trunk {
            Trunk::Googlenet => "results.json",
            Trunk::InceptionV3 => "results-inception-v3.json",
        };
        root().join("datasets").join(self.set.name()).join(file)
    }

    /// Checks that what the set needs is there, and finds the package's copy of Fashion-MNIST.
    pub(crate) fn ready(mut self) -> Result<Self> {
        let name = self.set.name();
        if self.set == Set::FashionMnist && self.data.is_none() {
            self.data = Some(DEBIAN_FASHION.into());
        }
        if self.set != Set::FashionMini {
            let data = self.data.as_deref();
            let data = data.with_context(|| format!("{name} needs --data FOLDER"))?;
            ensure!(data.is_dir(), "--data {} is no folder", data.display());
            self.data = Some(absolute(data)?);
        }
        if self.set.scale() == Scale::Photographs {
            let weights = self.weights.as_deref();
            let weights = weights.with_context(|| format!("{name} needs --weights FILE"))?;
            ensure!(
                weights.is_file(),
                "--weights {} is no file",
                weights.display()
            );
            self.weights = Some(absolute(weights)?);
        }
        if let Some(attributes) = &self.attributes {
            ensure!(
                attributes.is_file(),
                "--attributes {} is no file",
                attributes.display()
            );
            self.attributes = Some(absolute(attributes)?);
        }
        Ok(self)
    }
}

/// Runs start in the workspace's root, wherever the command was typed.
fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("cannot find {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::options::Options;
    use super::super::runs::last;
    use super::*;

    #[test]
    fn each_trunk_freezes_a_stage_that_it_has() {
        for (trunk, stage) in [("googlenet", "inception4d"), ("inception-v3", "Mixed_6e")] {
            let options = Options::read(&["flowers-102", "--trunk", trunk]).unwrap();
            let suite = options.suites().remove(0);
            let sets = last(&suite, Loss::Softmax, Vec::new()).sets;
            let frozen: Vec<&String> = sets
                .iter()
                .filter(|set| set.starts_with("model.freeze_until"))
                .collect();
            assert_eq!(frozen, [&format!("model.freeze_until=\"{stage}\"")]);
        }
    }
}
