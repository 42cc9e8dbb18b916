//! Seconds and peak memory of training steps on the processor.
//!
//! ```text
//! cargo run --release -p lodestone-models --features cpu --example training_step -- inception_v3 32 segmented
//! ```
//!
//! Arguments: network (`convnet`, `bvlc`, `googlenet`, `inception_v3`, `resnet50`), images in a batch, and what is kept for the
//! backward pass: `whole` for everything, `segmented` for the maps where they have shrunk, `burn` for what burn's own gradient
//! checkpointing keeps. A step is a forward pass over random images, the backward pass of the mean square of the embeddings,
//! and SGD. One process measures one case, since a process's peak never falls.

#![allow(clippy::print_stdout, reason = "a program that measures prints")]

use std::time::Instant;

use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Distribution, Tensor};
use lodestone_models::{
    AuxiliaryClassifiers, ConvNetConfig, EmbedderConfig, GoogLeNetConfig, GoogLeNetForm,
    HeadConfig, InceptionV3Config, NetworkConfig, ResNetConfig,
};

const STEPS: usize = 2;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let network: NetworkConfig = match arguments.first().map(String::as_str) {
        Some("convnet") => ConvNetConfig::default().into(),
        Some("bvlc") => GoogLeNetConfig::new(GoogLeNetForm::Bvlc).into(),
        Some("googlenet") => GoogLeNetConfig::new(GoogLeNetForm::Torchvision).into(),
        Some("inception_v3") => InceptionV3Config::default().into(),
        Some("resnet50") => NetworkConfig::ResNet50(ResNetConfig {}),
        other => panic!("{other:?} is none of convnet, bvlc, googlenet, inception_v3, resnet50"),
    };
    let images = arguments
        .get(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(32);
    let kept = arguments.get(2).map_or("whole", String::as_str);
    let device = match kept {
        "whole" | "segmented" => Device::flex().autodiff(),
        "burn" => Device::flex().autodiff().gradient_checkpointing(),
        other => panic!("{other} is none of whole, segmented, burn"),
    };
    let (channels, side) = (network.image_channels(), network.usual_size());
    println!(
        "{}, {images} images of {channels}x{side}x{side}, {kept}",
        network.name()
    );

    let head = HeadConfig::new(64);
    let mut embedder = EmbedderConfig { network, head }.init(0, &device);
    let mut trunk_optimiser = SgdConfig::new().init();
    let mut head_optimiser = SgdConfig::new().init();
    for step in 0..STEPS {
        let start = Instant::now();
        let batch = Tensor::random(
            [images, channels, side, side],
            Distribution::Default,
            &device,
        );
        let (loss, gradients) = if kept == "segmented" {
            let auxiliary = AuxiliaryClassifiers::none();
            let pass = embedder.forward_segmented(batch, &auxiliary);
            let loss = pass.embeddings.clone().square().mean();
            let gradients = pass.backward(&embedder, &auxiliary, loss.backward());
            (loss, [gradients.trunk, gradients.head])
        } else {
            let loss = embedder.forward(batch).square().mean();
            let mut gradients = loss.backward();
            let trunk = GradientsParams::from_module(&mut gradients, &embedder.trunk);
            let head = GradientsParams::from_module(&mut gradients, &embedder.head);
            (loss, [trunk, head])
        };
        let loss: f32 = loss.into_scalar();
        let [trunk, head] = gradients;
        embedder.trunk = trunk_optimiser.step(1e-3, embedder.trunk, trunk);
        embedder.head = head_optimiser.step(1e-3, embedder.head, head);
        let seconds = start.elapsed().as_secs_f64();
        println!("step {step}: loss {loss:.4}, {seconds:.2} s");
    }
    println!(
        "peak memory {}",
        peak_memory().unwrap_or("unknown".to_owned())
    );
}

/// Largest resident size so far, as Linux states it.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(format!("{:.2} GB", kilobytes / 1e6))
}
