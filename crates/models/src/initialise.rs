//! How parameters start: drawn on the host from a seed and the parameter's name.
//!
//! A device's own generator would give other numbers on other devices, and a shared stream would change every later layer
//! when one is added. Here each parameter has its own stream, so a seed means the same network everywhere.

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Shape, Tensor, TensorData};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The distribution of a parameter's first values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Initialiser {
    /// Every value the same.
    Constant(f64),
    /// Normal with mean 0 and this standard deviation, values beyond ±2 (absolute) drawn again, as torchvision does.
    TruncatedNormal(f64),
    /// Normal with variance `2 / fan_in`, which keeps the variance of activations through ReLU (He et al. 2015).
    KaimingNormal,
    /// Normal with variance `2 / fan_out` of a convolution `[output, input, height, width]`, where `fan_out` is
    /// `output * height * width`: it keeps the variance of gradients (He et al. 2015), and torchvision has it for ResNet.
    KaimingFanOut,
    /// Uniform with variance `1 / fan_in`, Caffe's "xavier" filler.
    Xavier,
    /// Uniform in `±1 / sqrt(fan_in)`, torch's default for linear layers, weight and bias.
    UniformFanIn,
    /// Normal with variance `1 / fan_in`: an input of mean square 1 gives an output of variance 1.
    UnitVariance,
}

impl Initialiser {
    /// A parameter that is drawn when it is first used, so that loading weights over it costs nothing.
    ///
    /// `fan_in` is the number of inputs that one output value sums over.
    pub(crate) fn parameter<const D: usize>(
        self,
        name: &str,
        shape: [usize; D],
        fan_in: usize,
        seed: u64,
        device: &Device,
    ) -> Param<Tensor<D>> {
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ fnv1a(name));
        let fan = match self {
            Self::KaimingFanOut => shape[0] * shape[2..].iter().product::<usize>(),
            _ => fan_in,
        };
        Param::uninitialized(
            ParamId::new(),
            move |device, require_grad| {
                let values = self.draw(shape.iter().product(), fan, &mut random);
                let tensor = Tensor::from_data(TensorData::new(values, shape), device);
                if require_grad {
                    tensor.require_grad()
                } else {
                    tensor
                }
            },
            device.clone(),
            true,
            Shape::from(shape.to_vec()),
        )
    }

    fn draw(self, count: usize, fan: usize, random: &mut ChaCha8Rng) -> Vec<f32> {
        (0..count)
            .map(|_| self.value(fan as f64, random) as f32)
            .collect()
    }

    fn value(self, fan: f64, random: &mut ChaCha8Rng) -> f64 {
        match self {
            Self::Constant(value) => value,
            Self::TruncatedNormal(deviation) => loop {
                let value = deviation * normal(random);
                if value.abs() <= 2.0 {
                    return value;
                }
            },
            Self::KaimingNormal | Self::KaimingFanOut => (2.0 / fan).sqrt() * normal(random),
            Self::Xavier => uniform((3.0 / fan).sqrt(), random),
            Self::UniformFanIn => uniform((1.0 / fan).sqrt(), random),
            Self::UnitVariance => (1.0 / fan).sqrt() * normal(random),
        }
    }
}

fn uniform(limit: f64, random: &mut impl Rng) -> f64 {
    limit * (2.0 * random.random::<f64>() - 1.0)
}

/// One standard normal value by the method of Box and Muller.
fn normal(random: &mut impl Rng) -> f64 {
    // 1 - u lies in (0, 1], so the logarithm is finite.
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}

/// FNV-1a, 64 bit: a stable hash of a name.
pub(crate) fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(initialiser: Initialiser, name: &str, seed: u64) -> Vec<f32> {
        let parameter = initialiser.parameter(name, [100, 100], 50, seed, &Device::flex());
        parameter.val().into_data().iter().collect()
    }

    #[test]
    fn seed_and_name_decide_every_value() {
        let values = draw(Initialiser::KaimingNormal, "a", 1);
        assert_eq!(values, draw(Initialiser::KaimingNormal, "a", 1));
        assert_ne!(values, draw(Initialiser::KaimingNormal, "a", 2));
        assert_ne!(values, draw(Initialiser::KaimingNormal, "b", 1));
    }

    #[test]
    fn distributions_have_their_variance() {
        // Fan-in 50.
        check(Initialiser::Constant(0.2), 0.0);
        check(Initialiser::TruncatedNormal(0.1), 0.01);
        check(Initialiser::KaimingNormal, 2.0 / 50.0);
        // Of 100 outputs.
        check(Initialiser::KaimingFanOut, 2.0 / 100.0);
        check(Initialiser::Xavier, 1.0 / 50.0);
        check(Initialiser::UniformFanIn, 1.0 / 150.0);
        check(Initialiser::UnitVariance, 1.0 / 50.0);
    }

    fn check(initialiser: Initialiser, variance: f32) {
        let values = draw(initialiser, "a", 1);
        let count = values.len() as f32;
        let mean = values.iter().sum::<f32>() / count;
        let got = values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f32>()
            / count;
        // A variance of 10,000 normal values has a relative deviation of 1.4 %.
        let error = (got - variance).abs();
        assert!(
            error <= 0.06 * variance + 1e-9,
            "{initialiser:?}: {got} is not {variance}"
        );
    }
}
