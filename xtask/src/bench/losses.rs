//! `cargo xtask bench losses`: one step of each loss on 4096 embeddings of 512 numbers, beside pytorch-metric-learning.
//!
//! Forward and backward, in seconds, and the peak memory of the process. Value and largest slope are printed too: where
//! both sides show the same ones, they did the same work. A process has one loss, so that its peak is its own.

use std::process::Command;

use anyhow::Result;

use super::{Comparison, Options, example, peer};

/// Every loss that both sides have, the two with a bound first. NT-Xent is missing: the peer compares each positive pair with
/// each negative pair, 480 GB at this size.
const LOSSES: [&str; 12] = [
    "triplet_hard",
    "multi_similarity",
    "multi_similarity_mined",
    "contrastive",
    "sup_con",
    "proxy_anchor",
    "proxy_nca",
    "soft_triple",
    "normalized_softmax",
    "cos_face",
    "arc_face",
    "sub_center_arc_face",
];

/// Times the losses named on the command line, or all.
pub(crate) fn losses(options: &Options) -> Result<()> {
    let program = example("bench_losses")?;
    let mut comparison = Comparison::default();
    let named = options.rest.iter().map(String::as_str).collect::<Vec<_>>();
    let losses = if named.is_empty() {
        LOSSES.to_vec()
    } else {
        named
    };
    for loss in losses {
        let ours = || {
            let mut command = Command::new(&program);
            command.arg(loss);
            command
        };
        let theirs = options.peer.as_deref().map(|python| {
            move || {
                let mut command = peer(python, "peer_losses.py");
                command.arg(loss);
                command
            }
        });
        let theirs = theirs.as_ref().map(|start| start as &dyn Fn() -> Command);
        if let Err(error) = comparison.alternate(options.rounds, &ours, theirs) {
            // Minutes of measurements are not thrown away for the loss that failed.
            outln!("{}", comparison.to_markdown("pytorch-metric-learning"))?;
            return Err(error);
        }
    }
    outln!("{}", comparison.to_markdown("pytorch-metric-learning"))
}
