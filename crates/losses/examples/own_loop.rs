//! A loss of this crate in a burn training loop of your own: points on three rings, pulled apart by class.
//!
//! ```text
//! cargo run --release --package lodestone-losses --example own_loop
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use lodestone_losses::TripletLossConfig;

/// Points of a ring.
const POINTS: usize = 16;

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
            out: LinearConfig::new(32, 4).init(device),
        }
    }

    /// `[n, 2]` → `[n, 4]`.
    fn forward(&self, points: Tensor<2>) -> Tensor<2> {
        self.out.forward(relu(self.hidden.forward(points)))
    }
}

/// Rings of radius 1, 2 and 3: no line tells them apart.
fn rings(device: &Device) -> (Tensor<2>, Vec<usize>) {
    let mut values = Vec::new();
    let mut labels = Vec::new();
    for ring in 0..3 {
        for point in 0..POINTS {
            let angle = std::f32::consts::TAU * point as f32 / POINTS as f32;
            let radius = (ring + 1) as f32;
            values.extend([radius * angle.cos(), radius * angle.sin()]);
            labels.push(ring);
        }
    }
    let data = TensorData::new(values, [labels.len(), 2]);
    (Tensor::from_data(data, device), labels)
}

/// Trains, and returns the loss of the first step and of the last.
fn train(steps: usize) -> [f32; 2] {
    // A loss is differentiated on an autodiff device, like everything else.
    let device = Device::flex().autodiff();
    device.seed(1);
    let (points, labels) = rings(&device);
    let mut network = Network::new(&device);
    let mut optimizer = AdamConfig::new().init();
    let loss = TripletLossConfig::new().with_margin(0.2).init();

    let mut losses = Vec::new();
    for _ in 0..steps {
        let output = loss.forward(network.forward(points.clone()), &labels);
        losses.push(output.read().mean);
        let gradients = GradientsParams::from_grads(output.mean.backward(), &network);
        network = optimizer.step(0.01, network, gradients);
    }
    [losses[0], losses[steps - 1]]
}

fn main() {
    let [first, last] = train(200);
    println!(
        "triplet loss with batch-hard mining: {first:.4} at the first step, {last:.4} at the last"
    );
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_rings_are_told_apart() {
        let [first, last] = super::train(200);
        assert!(last < 0.5 * first, "{first} {last}");
    }
}
