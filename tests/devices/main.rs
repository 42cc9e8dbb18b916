//! The same program on another device: its numbers beside those of the CPU.
//!
//! `LODESTONE_DEVICE` names the device (`wgpu`, `vulkan`, `cuda` or `remote`), which must be built in; without it every test
//! here but those of `remote` says that it was skipped. `cargo xtask check --device NAME` builds and runs them.
//!
//! - `losses`: every loss and miner, value and gradient
//! - `search`: nearest neighbours
//! - `networks`: GoogLeNet and ResNet forward, gradients through residual blocks
//! - `training`: steps of the small network, index refreshes and evaluation by the binary
//! - `remote`: refused and served, with the feature of that name, whatever the device under test
//! - `run_log`: the losses that a run wrote down
//! - `server`: the process that a remote device computes in

#![allow(
    clippy::print_stderr,
    reason = "a skipped test says why, and the others how far off they were"
)]

#[path = "../close.rs"]
mod close;
mod losses;
mod networks;
#[cfg(feature = "remote")]
mod remote;
#[path = "../run_log.rs"]
mod run_log;
mod search;
#[cfg(feature = "remote")]
mod server;
mod training;

use burn::tensor::Device;
use close::assert_close_to_largest;

/// Kind of the device under test, if there is one.
fn kind() -> Option<String> {
    let name = std::env::var("LODESTONE_DEVICE").ok();
    if name.is_none() {
        eprintln!("skipped: LODESTONE_DEVICE names no device to compare with the CPU");
    }
    name
}

/// Name of the device under test, if there is one, as the binary takes it.
fn name() -> Option<String> {
    let kind = kind()?;
    #[cfg(feature = "remote")]
    if kind == "remote" {
        return Some(server::name().to_owned());
    }
    Some(kind)
}

/// The device under test, without gradients.
fn device() -> Option<Device> {
    match kind()?.as_str() {
        #[cfg(feature = "wgpu")]
        "wgpu" => Some(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "vulkan")]
        "vulkan" => Some(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "cuda")]
        "cuda" => Some(Device::cuda(0)),
        #[cfg(feature = "remote")]
        "remote" => Some(server::device()),
        other => panic!("LODESTONE_DEVICE is {other}, which this test program was not built with"),
    }
}

/// How far results may lie from those of the CPU, as a share of the largest: `usual`, and on `cuda` what TF32 makes of it. There
/// burn multiplies f32 matrices on the tensor cores, which keep eleven bits of a factor: each is off by up to 2⁻¹², against
/// 2⁻²⁵ in f32, of its power of two. It is so in the layers of a network and in what flows back through a product; the losses' own
/// values are kept from it (`product.rs` of lodestone-losses). An H100 was off by 8e-4 in the features of GoogLeNet, by 1.1e-3 in
/// magnet loss behind the small network, and by 4e-4 in gradients.
fn tolerance(usual: f32) -> f32 {
    match kind().as_deref() {
        Some("cuda") => 20.0 * usual,
        _ => usual,
    }
}

/// Fails where a value is further from the expected one than `tolerance` times the largest expected one.
/// How far the furthest lies is printed.
fn assert_as_on_the_cpu(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    let largest = expected.iter().fold(1e-30_f32, |most, x| most.max(x.abs()));
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let furthest = differences.fold(0.0_f32, f32::max);
    eprintln!("{:.1e} of the largest: {what}", furthest / largest);
    assert_close_to_largest(what, found, expected, tolerance.into());
}

/// Overlapping clouds of points, one a class: row r belongs to class r mod `classes`.
fn clouds(rows: usize, dim: usize, classes: usize) -> Vec<f32> {
    // Weyl sequences: spread evenly, the same everywhere, no generator needed.
    let wave = |n: usize| ((n as f64 * 0.618_033_988_749_895).fract() - 0.5) as f32;
    (0..rows * dim)
        .map(|at| {
            let (row, column) = (at / dim, at % dim);
            wave(row * dim + column + 1) + 1.5 * wave((row % classes) * 7919 + column * 104_729 + 3)
        })
        .collect()
}
