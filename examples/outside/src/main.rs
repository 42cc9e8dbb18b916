//! Magnet Loss in a burn training loop of one's own: the cluster index draws the batches, and an array is evaluated.
//!
//! ```text
//! cargo run --release --manifest-path examples/outside/Cargo.toml
//! ```

use std::error::Error;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use lodestone_eval::{Convention, RankingMetric, RetrievalConfig, Search};
use lodestone_losses::MagnetLossConfig;
use lodestone_sampling::{
    Classes, Clusters, Index, IndexConfig, LossCache, NeighbourhoodConfig, PlanConfig, Rows,
};

const EPOCHS: u64 = 20;
const EMBEDDING: usize = 4;

/// Any burn module will do.
#[derive(Module, Debug)]
struct Network {
    hidden: Linear,
    out: Linear,
}

impl Network {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(2, 32).init(device),
            out: LinearConfig::new(32, EMBEDDING).init(device),
        }
    }

    /// `[n, 2]` → `[n, EMBEDDING]`.
    fn forward(&self, points: Tensor<2>) -> Tensor<2> {
        self.out.forward(relu(self.hidden.forward(points)))
    }
}

/// Two classes of two modes each, in opposite corners: as far apart inside a class as they can be.
fn corners() -> (Vec<[f32; 2]>, Vec<usize>) {
    let corners = [
        ([1.0, 1.0], 0),
        ([-1.0, -1.0], 0),
        ([1.0, -1.0], 1),
        ([-1.0, 1.0], 1),
    ];
    let mut points = Vec::new();
    let mut labels = Vec::new();
    for ([x, y], label) in corners {
        for point in 0..16 {
            let angle = std::f32::consts::TAU * point as f32 / 16.0;
            points.push([x + 0.5 * angle.cos(), y + 0.5 * angle.sin()]);
            labels.push(label);
        }
    }
    (points, labels)
}

fn embed(network: &Network, points: &[[f32; 2]], device: &Device) -> Tensor<2> {
    let data = TensorData::new(points.concat(), [points.len(), 2]);
    network.forward(Tensor::from_data(data, device))
}

fn values(embeddings: Tensor<2>) -> Vec<f32> {
    embeddings.into_data().iter::<f32>().collect()
}

/// Share of rows whose nearest other row is of the same class.
fn precision_at_1(embeddings: &[f32], labels: &[usize]) -> Result<f64, Box<dyn Error>> {
    let search = Search::leave_one_out(lodestone_eval::Rows::new(embeddings, EMBEDDING)?)?;
    let retrieval = search.retrieval(labels, labels, &RetrievalConfig::default())?;
    let mean = retrieval.mean(RankingMetric::PrecisionAt1, Convention::Lodestone);
    Ok(mean.ok_or("no row has another of its class")?.value)
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex().autodiff();
    device.seed(1);
    let (points, labels) = corners();
    let mut network = Network::new(&device);
    let mut optimizer = AdamConfig::new().init();
    let loss = MagnetLossConfig::new().with_gap(1.0).init();

    let classes = Classes::new(&labels)?;
    let plan = PlanConfig::Neighbourhood(NeighbourhoodConfig {
        clusters_per_batch: 4,
        examples_per_cluster: 4,
        ..NeighbourhoodConfig::default()
    })
    .init(&classes, 1)?;
    let modes = IndexConfig {
        clusters_per_class: 2.into(),
        ..IndexConfig::default()
    };
    let embeddings = values(embed(&network, &points, &device));
    let mut index = Index::build(Rows::new(&embeddings, EMBEDDING)?, &classes, &modes, 1)?;
    let mut losses = LossCache::new(&classes);

    let mut step = 0;
    for number in 0..EPOCHS {
        let epoch = plan.epoch(number);
        for place in 0..epoch.steps() {
            let clusters = Clusters {
                index: &index,
                losses: &losses,
            };
            let batch = epoch.batch(place, Some(clusters))?;
            let rows: Vec<[f32; 2]> = batch.rows.iter().map(|&row| points[row]).collect();
            let embedded = embed(&network, &rows, &device);
            let output = loss.forward(embedded, &batch.clusters, &batch.cluster_classes);
            losses.record(&index, &batch.rows, &output.read().per_example, step)?;
            let gradients = GradientsParams::from_grads(output.mean.backward(), &network);
            network = optimizer.step(0.01, network, gradients);
            step += 1;
        }
        let embeddings = values(embed(&network, &points, &device));
        index.refresh(Rows::new(&embeddings, EMBEDDING)?)?;
        if (number + 1) % 5 == 0 {
            let precision = precision_at_1(&embeddings, &labels)?;
            println!("epoch {}: precision@1 {precision:.3}", number + 1);
        }
    }
    Ok(())
}
