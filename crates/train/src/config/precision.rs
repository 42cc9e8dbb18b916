//! Half precision in the trunk: maps and their gradients take half the memory, and devices with units for it are faster.
//!
//! Each layer computes in the type of its input, so one cast of the images decides. Weights stay `f32` and are
//! cast where they are used; the gradient of a cast is a cast back, so the optimiser sees `f32` throughout. Statistics of batch
//! normalisation, the pooled features, the head, and the losses are `f32` as well.
//!
//! Micikevicius et al., *Mixed Precision Training*, ICLR 2018.

use burn::tensor::FloatDType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The type in which the trunk computes while it is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Half precision with 5 bits of exponent; the loss is scaled so that small gradients do not vanish.
    F16,
    /// Half precision with the exponent of `f32`.
    Bf16,
}

impl Precision {
    /// burn's name of it.
    pub fn dtype(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::F16 => FloatDType::F16,
            Self::Bf16 => FloatDType::BF16,
        }
    }

    /// The name in a run file.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }
}

/// What the loss is multiplied with before it is differentiated, so that gradients stand where `f16` has digits: a power of two,
/// halved when they overflow and doubled after many steps without.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LossScale {
    value: f32,
    /// Steps since the last change.
    steady: u32,
}

/// The scale of the first step.
const FIRST: f32 = 65_536.0;
/// The largest scale: beyond it gradients that are seen at all overflow, and where there are none it would grow without end.
const LARGEST: f32 = 16_777_216.0;
/// Steps without an overflow after which the scale is doubled.
const STEADY: u32 = 2000;

impl Default for LossScale {
    fn default() -> Self {
        Self {
            value: FIRST,
            steady: 0,
        }
    }
}

impl LossScale {
    /// The factor for a run of this precision.
    pub(crate) fn factor(self, precision: Precision) -> f32 {
        match precision {
            Precision::F16 => self.value,
            Precision::F32 | Precision::Bf16 => 1.0,
        }
    }

    /// After a step whose gradients were numbers, or were not. False if no scale is left to try.
    pub(crate) fn learn(&mut self, finite: bool) -> bool {
        if !finite {
            self.value *= 0.5;
            self.steady = 0;
            return self.value >= 1.0;
        }
        self.steady += 1;
        if self.steady == STEADY {
            self.value = LARGEST.min(self.value * 2.0);
            self.steady = 0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_halved_by_an_overflow_and_doubled_by_patience() {
        let mut scale = LossScale::default();
        assert!(scale.learn(false));
        assert_eq!(scale.factor(Precision::F16), FIRST / 2.0);
        for _ in 0..STEADY {
            assert!(scale.learn(true));
        }
        assert_eq!(scale.factor(Precision::F16), FIRST);
        assert_eq!(scale.factor(Precision::Bf16), 1.0);
        for _ in 0..100 * STEADY {
            scale.learn(true);
        }
        assert_eq!(scale.factor(Precision::F16), LARGEST, "no more");
        scale = LossScale::default();
        let left = (0..100).take_while(|_| scale.learn(false)).count();
        assert_eq!(left, 16, "down to 1");
    }
}
