//! Every loss, and the miners on the device.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use lodestone_losses::{Labels, Loss, LossConfig};
use serde_json::json;

use crate::{assert_as_on_the_cpu, clouds, device, tolerance};

const ROWS: usize = 24;
const DIM: usize = 16;
const CLASSES: usize = 6;

/// Every kind with its defaults, magnet with the own mean without the example, and the triplet loss with every miner.
fn configs() -> Vec<LossConfig> {
    let miners = [
        json!({"kind": "all"}),
        json!({"kind": "hard"}),
        json!({"kind": "semi_hard", "margin": 0.5}),
        json!({"kind": "semi_hard_nearest", "margin": 0.5}),
        json!({"kind": "semi_hard_or_farthest"}),
        json!({"kind": "easy_positive", "negatives": "hard"}),
        json!({"kind": "easy_positive", "negatives": "semi_hard"}),
        json!({"kind": "distance_weighted", "nearest": 0.5, "farthest": 1.4, "seed": 3}),
        json!({"kind": "multi_similarity", "epsilon": 0.1}),
    ];
    let plain = LossConfig::KINDS.iter().map(|kind| json!({ "kind": kind }));
    let mined = miners
        .iter()
        .map(|mining| json!({"kind": "triplet", "margin": 0.5, "mining": mining}));
    let left_out = json!({"kind": "magnet", "own_mean": "leave_one_out", "temperature": 0.3});
    plain
        .chain([left_out])
        .chain(mined)
        .map(|value| serde_json::from_value(value).unwrap())
        .collect()
}

/// Mean, loss of each example, and gradient of the mean by the embeddings.
fn evaluate(loss: &Loss, device: &Device) -> [Vec<f32>; 3] {
    let labels: Vec<usize> = (0..ROWS).map(|row| row % CLASSES).collect();
    let values = TensorData::new(clouds(ROWS, DIM, CLASSES), [ROWS, DIM]);
    let rows = Tensor::<2>::from_data(values, device).require_grad();
    let output = loss.forward(rows.clone(), Labels::new(&labels));
    let gradients = output.mean.clone().backward();
    let slope = rows.grad(&gradients).unwrap().into_data();
    let reading = output.read();
    [
        vec![reading.mean],
        reading.per_example,
        slope.try_to_vec().unwrap(),
    ]
}

#[test]
fn every_loss_and_miner_has_the_value_and_gradient_of_the_cpu() {
    let Some(device) = device() else { return };
    let cpu = Device::flex();
    for config in configs() {
        cpu.seed(11);
        // Proxies are drawn once: each device has a generator of its own.
        let loss = config.init(DIM, CLASSES, &cpu.clone().autodiff());
        let expected = evaluate(&loss, &cpu.clone().autodiff());
        let there = device.clone().autodiff();
        let found = evaluate(&loss.to_device(&there), &there);
        for (what, (found, expected)) in ["mean", "per example", "gradient"]
            .iter()
            .zip(found.iter().zip(&expected))
        {
            let tolerance = match *what {
                "gradient" => tolerance(1e-4),
                _ => 1e-4,
            };
            assert_as_on_the_cpu(&format!("{config:?}, {what}"), found, expected, tolerance);
        }
    }
}
