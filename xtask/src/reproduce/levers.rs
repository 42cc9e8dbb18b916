//! The levers of tuning, by scale and by loss.

use super::loss::Loss;
use super::set::Scale;
use super::space::Lever;

/// Levers that every loss has.
pub(super) fn shared(scale: Scale) -> Vec<Lever> {
    match scale {
        Scale::Small => vec![
            Lever::log(
                "rate",
                6e-4,
                1.2e-2,
                &[
                    "optimizer.trunk_rate={}",
                    "optimizer.head_rate={}",
                    "optimizer.loss_rate={}",
                ],
            ),
            Lever::one_of(
                "embedding size",
                &[
                    &["model.head.embedding_size=32"],
                    &["model.head.embedding_size=64"],
                    &["model.head.embedding_size=128"],
                ],
            ),
            Lever::log("weight decay", 1e-6, 1e-3, &["optimizer.weight_decay={}"]),
        ],
        Scale::Photographs => vec![
            Lever::log("trunk rate", 5e-4, 1e-2, &["optimizer.trunk_rate={}"]),
            Lever::log(
                "head rate",
                2e-3,
                1e-1,
                &["optimizer.head_rate={}", "optimizer.loss_rate={}"],
            ),
            Lever::log("weight decay", 5e-5, 2e-3, &["optimizer.weight_decay={}"]),
            Lever::one_of("start of the head", HEADS),
            Lever::one_of(
                "smallest crop",
                &[
                    &["data.augmentation.random_crop.scale=[0.2,1.0]"],
                    &["data.augmentation.random_crop.scale=[0.35,1.0]"],
                    &["data.augmentation.random_crop.scale=[0.6,1.0]"],
                ],
            ),
            Lever::one_of(
                "dropout",
                &[
                    &["model.head.dropout=0.0"],
                    &["model.head.dropout=0.2"],
                    &["model.head.dropout=0.4"],
                ],
            ),
        ],
    }
}

/// Where a head on photographs starts, and its size.
const HEADS: &[&[&str]] = &[
    &[
        "model.head.initialise=\"uniform\"",
        "model.calibrate_head=false",
        "model.head.embedding_size=256",
    ],
    &[
        "model.head.initialise=\"uniform\"",
        "model.calibrate_head=false",
        "model.head.embedding_size=1024",
    ],
    &[
        "model.head.initialise=\"whitened\"",
        "model.calibrate_head=true",
        "model.head.embedding_size=256",
    ],
    &[
        "model.head.initialise=\"discriminant\"",
        "model.calibrate_head=true",
        "model.head.embedding_size=128",
    ],
];
/// Images of each class in a batch of 48.
const SHAPES: &[&[&str]] = &[
    &["sampler.classes_per_batch=4", "sampler.images_per_class=12"],
    &["sampler.classes_per_batch=6", "sampler.images_per_class=8"],
    &["sampler.classes_per_batch=8", "sampler.images_per_class=6"],
];
/// Photographs of each class in a batch of 48, of which there are few.
const FINE_SHAPES: &[&[&str]] = &[
    &["sampler.classes_per_batch=6", "sampler.images_per_class=8"],
    &["sampler.classes_per_batch=12", "sampler.images_per_class=4"],
    &["sampler.classes_per_batch=24", "sampler.images_per_class=2"],
];
/// D against M in a batch of 48.
const NEIGHBOURHOODS: &[&[&str]] = &[
    &[
        "sampler.clusters_per_batch=4",
        "sampler.examples_per_cluster=12",
    ],
    &[
        "sampler.clusters_per_batch=6",
        "sampler.examples_per_cluster=8",
    ],
    &[
        "sampler.clusters_per_batch=12",
        "sampler.examples_per_cluster=4",
    ],
];

/// Levers of the loss itself.
pub(super) fn own(loss: Loss, scale: Scale) -> Vec<Lever> {
    let shapes = match scale {
        Scale::Small => SHAPES,
        Scale::Photographs => FINE_SHAPES,
    };
    match loss {
        Loss::Softmax => Vec::new(),
        Loss::Triplet => vec![
            Lever::log("margin", 0.05, 0.8, &["loss.margin={}"]),
            Lever::one_of("batch", shapes),
            vote_variance(),
        ],
        Loss::Pairwise => vec![
            Lever::log("margin", 0.5, 4.0, &["loss.margin={}"]),
            Lever::one_of("batch", shapes),
            vote_variance(),
        ],
        Loss::Magnet => magnet(),
        Loss::TemperedMagnet => {
            let mut levers = magnet();
            levers.push(Lever::log(
                "temperature",
                0.05,
                0.5,
                &["loss.temperature={}"],
            ));
            levers
        }
        Loss::SoftTriple => vec![
            Lever::log("scale", 5.0, 40.0, &["loss.scale={}"]),
            Lever::one_of(
                "centres per class",
                &[
                    &["loss.centers_per_class=1"],
                    &["loss.centers_per_class=2"],
                    &["loss.centers_per_class=10"],
                ],
            ),
            Lever::log(
                "rate of centres",
                1.0,
                100.0,
                &["loss.learning_rate_factor={}"],
            ),
        ],
        Loss::ProxyAnchor => vec![
            Lever::log("alpha", 8.0, 64.0, &["loss.alpha={}"]),
            Lever::log("margin", 0.05, 0.4, &["loss.margin={}"]),
            Lever::log(
                "rate of proxies",
                1.0,
                100.0,
                &["loss.learning_rate_factor={}"],
            ),
        ],
        Loss::MultiSimilarity => vec![
            Lever::log("base", 0.3, 0.9, &["loss.base={}"]),
            Lever::one_of("batch", shapes),
            vote_variance(),
        ],
        Loss::SupCon => vec![
            Lever::log("temperature", 0.03, 0.5, &["loss.temperature={}"]),
            Lever::one_of("batch", shapes),
            vote_variance(),
        ],
        Loss::RepMet => vec![
            Lever::log("variance", 0.05, 1.0, &["loss.variance={}"]),
            Lever::one_of(
                "modes per class",
                &[
                    &["loss.modes_per_class=1"],
                    &["loss.modes_per_class=2"],
                    &["loss.modes_per_class=3"],
                ],
            ),
            Lever::log(
                "rate of modes",
                1.0,
                100.0,
                &["loss.learning_rate_factor={}"],
            ),
        ],
    }
}

/// How far the votes of kNC and soft kNN reach; 1 is the rule as published.
fn vote_variance() -> Lever {
    Lever::log(
        "variance of votes",
        0.02,
        1.0,
        &["evaluation.vote_variance={}"],
    )
}

/// Levers of magnet loss, with and without a temperature.
fn magnet() -> Vec<Lever> {
    vec![
        Lever::log("gap", 0.25, 8.0, &["loss.gap={}"]),
        Lever::one_of("D against M", NEIGHBOURHOODS),
        Lever::one_of(
            "clusters per class",
            &[
                &["index.clusters_per_class=1"],
                &["index.clusters_per_class=2"],
                &["index.clusters_per_class=4"],
            ],
        ),
        Lever::one_of(
            "votes of kNC",
            &[
                &["evaluation.nearest_clusters=1"],
                &["evaluation.nearest_clusters=8"],
                &["evaluation.nearest_clusters=128"],
            ],
        ),
        vote_variance(),
    ]
}
