//! `lodestone devices`: what this binary can compute on, and how fast that is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use anyhow::Result;
use burn::tensor::{Device, Distribution, Tensor};
use lodestone_models::{ConvNetConfig, EmbedderConfig, HeadConfig, NetworkConfig};
use serde_json::json;

use crate::args::DevicesArguments;
use crate::device::{DeviceName, built_in, missing};
use crate::resources::machine;

/// Side of the matrices that are multiplied.
const SIDE: usize = 1024;
/// Images that the small network embeds at once.
const IMAGES: usize = 256;
/// Seconds that each test takes at least.
const LONG: f64 = 0.3;

/// Runs the command.
pub(crate) fn run(arguments: &DevicesArguments) -> Result<()> {
    let tested: Vec<(&str, Result<Speed>)> = built_in()
        .into_iter()
        .map(|name| (name, test(name)))
        .collect();
    if arguments.json {
        let devices: Vec<_> = tested
            .iter()
            .map(|(name, speed)| match speed {
                Ok(speed) => json!({
                    "device": name,
                    "gigaflops": speed.gigaflops,
                    "images_per_second": speed.images_per_second,
                }),
                Err(error) => json!({ "device": name, "error": format!("{error:#}") }),
            })
            .collect();
        let value = json!({ "machine": machine(), "devices": devices, "not_built_in": missing() });
        outln!("{}", serde_json::to_string_pretty(&value)?)?;
        return Ok(());
    }
    outln!("{}", machine())?;
    for (name, speed) in &tested {
        match speed {
            Ok(speed) => outln!(
                "{name:<8} {:>8.1} GFLOP/s in products of {SIDE}×{SIDE} matrices, {:>8.0} images/s of 28×28 through the small network",
                speed.gigaflops,
                speed.images_per_second
            )?,
            Err(error) => outln!("{name:<8} cannot be used: {error:#}")?,
        }
    }
    if !missing().is_empty() {
        outln!(
            "not built in: {} (build with --features)",
            missing().join(", ")
        )?;
    }
    Ok(())
}

/// What a device does in a second.
struct Speed {
    gigaflops: f64,
    images_per_second: f64,
}

fn test(name: &str) -> Result<Speed> {
    let device: DeviceName = name.parse().map_err(anyhow::Error::msg)?;
    let device = device.open()?;
    // A driver that is not there is a panic in the backends.
    catch_unwind(AssertUnwindSafe(|| measure(&device)))
        .map_err(|_| anyhow::anyhow!("the device does not answer; is its driver installed?"))
}

fn measure(device: &Device) -> Speed {
    let matrix = Tensor::<2>::random([SIDE, SIDE], Distribution::Default, device);
    let products = each_second(|| {
        drop(matrix.clone().matmul(matrix.clone()).into_data());
    });
    let config = EmbedderConfig {
        network: NetworkConfig::ConvNet(ConvNetConfig::default()),
        head: HeadConfig::new(64),
    };
    let embedder = config.init(0, device).for_inference();
    let images = Tensor::<4>::random([IMAGES, 1, 28, 28], Distribution::Default, device);
    let batches = each_second(|| drop(embedder.forward(images.clone()).into_data()));
    Speed {
        gigaflops: products * 2.0 * (SIDE as f64).powi(3) / 1e9,
        images_per_second: batches * IMAGES as f64,
    }
}

/// How often `work` is done in a second, after once to warm up.
fn each_second(work: impl Fn()) -> f64 {
    work();
    let start = Instant::now();
    let mut times = 0.0;
    while start.elapsed().as_secs_f64() < LONG {
        work();
        times += 1.0;
    }
    times / start.elapsed().as_secs_f64()
}
