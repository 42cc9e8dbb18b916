//! Every loss in every form that the contract holds for.

use crate::mining::NegativeChoice;
use crate::{
    ContrastiveLossConfig, KlPairwiseLossConfig, LossConfig, MagnetLossConfig, Miner,
    MultiSimilarityLossConfig, NtXentLossConfig, OwnMean, SupConLossConfig, TripletForm,
    TripletLossConfig,
};

/// Each loss in each of its forms, with a name for messages.
pub(super) fn every_loss() -> Vec<(String, LossConfig)> {
    // Triplets follow with every miner.
    let kinds = LossConfig::KINDS.iter().filter(|&&kind| kind != "triplet");
    let read = |kind: &str| serde_json::from_value(serde_json::json!({ "kind": kind })).unwrap();
    let mut all = kinds
        .map(|&kind| (kind.to_owned(), read(kind)))
        .collect::<Vec<_>>();
    all.push((
        "magnet leave_one_out".to_owned(),
        LossConfig::Magnet(MagnetLossConfig {
            own_mean: OwnMean::LeaveOneOut,
            ..Default::default()
        }),
    ));
    for mining in every_miner() {
        for form in [TripletForm::Hinge, TripletForm::Soft] {
            let config = TripletLossConfig {
                mining,
                form,
                margin: 0.5,
                ..Default::default()
            };
            all.push((
                format!("triplet {form:?} {mining:?}"),
                LossConfig::Triplet(config),
            ));
        }
        let pairs = [
            LossConfig::Contrastive(ContrastiveLossConfig {
                mining,
                ..Default::default()
            }),
            LossConfig::KlPairwise(KlPairwiseLossConfig {
                mining,
                ..Default::default()
            }),
            LossConfig::MultiSimilarity(MultiSimilarityLossConfig {
                mining,
                ..Default::default()
            }),
            LossConfig::NtXent(NtXentLossConfig {
                mining,
                ..Default::default()
            }),
            LossConfig::SupCon(SupConLossConfig {
                mining,
                ..Default::default()
            }),
        ];
        all.extend(pairs.map(|config| (format!("pairs {config:?}"), config)));
    }
    all
}

fn every_miner() -> Vec<Miner> {
    vec![
        Miner::All,
        Miner::Hard,
        Miner::SemiHard { margin: 0.5 },
        Miner::SemiHardNearest { margin: 0.5 },
        Miner::SemiHardOrFarthest,
        Miner::EasyPositive {
            negatives: NegativeChoice::Hard,
        },
        Miner::EasyPositive {
            negatives: NegativeChoice::SemiHard,
        },
        Miner::DistanceWeighted {
            nearest: 0.5,
            farthest: 1.4,
            seed: 3,
        },
        Miner::MultiSimilarity { epsilon: 0.1 },
    ]
}
