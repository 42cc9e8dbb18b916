//! The clusters of made-up embeddings, and the batches that the neighbourhood sampler draws from them.
//!
//! ```text
//! cargo run --release --package lodestone-sampling --example neighbourhoods
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use lodestone_sampling::{
    Classes, Clusters, Index, IndexConfig, LossCache, NeighbourhoodConfig, PlanConfig, Rows,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Four classes of two modes each: class c lies about 10c and about 10c + 45.
    let mut labels = Vec::new();
    let mut embeddings = Vec::new();
    for class in 0..4_usize {
        for row in 0..24_usize {
            labels.push(class);
            let mode = 45 * (row % 2);
            embeddings.push((10 * class + mode) as f32 + (row % 5) as f32 * 0.3);
        }
    }
    let classes = Classes::new(&labels)?;
    let config = IndexConfig {
        clusters_per_class: 2.into(),
        ..IndexConfig::default()
    };
    let index = Index::build(Rows::new(&embeddings, 1)?, &classes, &config, 1)?;
    let losses = LossCache::new(&classes);
    let plan = PlanConfig::Neighbourhood(NeighbourhoodConfig {
        clusters_per_batch: 3,
        examples_per_cluster: 4,
        ..NeighbourhoodConfig::default()
    })
    .init(&classes, 1)?;
    let epoch = plan.epoch(0);
    for step in 0..epoch.steps().min(5) {
        let clusters = Clusters {
            index: &index,
            losses: &losses,
        };
        let batch = epoch.batch(step, Some(clusters))?;
        println!(
            "step {step}: clusters {:?} of classes {:?}, rows {:?}",
            batch.cluster_ids, batch.cluster_classes, batch.rows
        );
    }
    Ok(())
}
