//! One convolution with its gradient, by the fast operators and by burn's own, and how far they are apart.
//!
//! ```text
//! cargo run --release --package lodestone-kernels --features cpu --example convolution
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Tensor};
use lodestone_kernels::{Activation, conv2d, with_burn_operators};

fn main() {
    let device = Device::flex().autodiff();
    device.seed(1);
    let images = Tensor::<4>::random([2, 16, 32, 32], Distribution::Default, &device);
    let weights = Tensor::<4>::random([24, 16, 3, 3], Distribution::Default, &device);
    let run = || {
        let weights = weights.clone().require_grad();
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let maps = conv2d(
            images.clone(),
            weights.clone(),
            None,
            options,
            Activation::Relu,
        );
        let gradients = maps.clone().sum().backward();
        (maps.inner(), weights.grad(&gradients))
    };
    let ((fast, fast_slope), (plain, plain_slope)) = (run(), with_burn_operators(run));
    println!("maps of {:?}", fast.dims());
    println!("largest difference: {}", (fast - plain).abs().max());
    if let (Some(fast), Some(plain)) = (fast_slope, plain_slope) {
        println!("of the gradient: {}", (fast - plain).abs().max());
    }
}
