//! Weights, inputs and samples that any program can make from names alone.
//!
//! Element `i` of a tensor is one output of splitmix64 from the state `hash(name) + i`, its upper 24 bits taken as a number
//! in `[0, 1)`; the kind of the tensor, told from its name, sets the range.

use burn::tensor::{Device, Tensor, TensorData};

use crate::initialise::fnv1a;
use crate::weights::Slot;

/// Values in `[0, 1)` of the tensor called `name`.
fn unit(name: &str, count: usize) -> impl Iterator<Item = f64> {
    let seed = fnv1a(name);
    (0..count as u64).map(move |i| {
        let mut z = seed.wrapping_add(i).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 40) as f64 / f64::from(1 << 24)
    })
}

/// A tensor of values in `[-1, 1)`.
pub(super) fn symmetric<const D: usize>(
    name: &str,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    let values = unit(name, shape.iter().product());
    let values: Vec<f32> = values.map(|u| (2.0 * u - 1.0) as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Fills every tensor of a network.
pub(super) fn fill(slots: Vec<Slot<'_>>) {
    let norms: Vec<String> = slots
        .iter()
        .filter_map(|slot| slot.name.strip_suffix("running_mean").map(str::to_owned))
        .collect();
    for slot in slots {
        let shape = slot.shape();
        let fan_in: usize = shape[1..].iter().product();
        let part = slot.name.rsplit('.').next().unwrap_or_default();
        let norm = norms
            .iter()
            .any(|norm| slot.name.strip_suffix(part) == Some(norm));
        let rule = |u: f64| match part {
            "weight" if norm => 0.75 + 0.5 * u,
            "weight" => (2.0 * u - 1.0) * (6.0 / fan_in as f64).sqrt(),
            "running_var" => 0.5 + u,
            "running_mean" => 0.2 * (u - 0.5),
            "bias" if norm => 0.2 * (u - 0.5),
            "bias" => 0.1 * (u - 0.5),
            _ => panic!("no rule for {}", slot.name),
        };
        let values = unit(&slot.name, shape.iter().product());
        let values = values.map(|u| rule(u) as f32).collect();
        slot.set(values);
    }
}

/// The elements of a flat tensor that fixtures keep: at most 64, far apart.
pub(super) fn sample(values: &[f32]) -> Vec<f32> {
    if values.len() <= 64 {
        return values.to_vec();
    }
    (0..64)
        .map(|i| values[i * 1_000_003 % values.len()])
        .collect()
}

#[test]
fn the_fill_gives_its_stated_values() {
    assert_eq!(fnv1a("input"), 0x1ebb_ae8f_5810_b65b);
    let first: Vec<f64> = unit("input", 2).collect();
    assert_eq!(first, [0.097_818_315_029_144_29, 0.147_478_580_474_853_52]);
    assert_eq!(
        unit("conv1.conv.weight", 1).next(),
        Some(0.372_206_866_741_180_4)
    );
}
