//! Matrix products of the losses, in f32 on every device.
//!
//! The matrix units of a graphics card round the factors of an f32 product to the eleven bits of TF32. A network's layers bear
//! that; a loss does not: of a squared distance `|x|² + |y|² − 2 x·y` between neighbours little is left after the
//! subtraction, and miners choose by such numbers.

use burn::tensor::{DType, Device, Tensor};

/// `left · right`.
///
/// Where matrix units may work, each factor is a sum of its upper bits (those of bf16, eight, which TF32 keeps) and the rest,
/// of whose sixteen bits TF32 keeps eleven: the four products add up to within `2⁻¹⁸ |left| · |right|`. Gradients are those of the
/// product; what flows back is rounded there, as in a layer.
pub(crate) fn product(left: Tensor<2>, right: Tensor<2>) -> Tensor<2> {
    let f32 = left.dtype() == DType::F32 && right.dtype() == DType::F32;
    match f32 && may_round(&left.device()) {
        true => in_parts(left, right),
        false => left.matmul(right),
    }
}

fn in_parts(left: Tensor<2>, right: Tensor<2>) -> Tensor<2> {
    let parts = |x: Tensor<2>| {
        let upper = x.clone().detach().cast(DType::BF16).cast(DType::F32);
        // The upper part is a constant here, so that the gradient of the sum is that of the rest, and so of `x`.
        (upper.clone(), x - upper)
    };
    let ((left_upper, left_rest), (right_upper, right_rest)) = (parts(left), parts(right));
    left_rest.clone().matmul(right_rest.clone())
        + (left_rest.matmul(right_upper.clone()) + left_upper.clone().matmul(right_rest))
        + left_upper.matmul(right_upper)
}

/// Whether the device may round the factors of an f32 product: any that has bf16, the processor aside. A remote device is not
/// asked, for each question would wait for its answer: there a product is what that device makes of it.
fn may_round(device: &Device) -> bool {
    // burn tells a device's kind only where the features of its backend are on, and in words everywhere.
    let kind = format!("{device:?}");
    let exact = ["Flex", "Remote"].iter().any(|name| kind.contains(name));
    !exact && device.supports_dtype(DType::BF16)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    fn random(shape: [usize; 2], device: &Device) -> Tensor<2> {
        Tensor::random(shape, Distribution::Normal(3.0, 1.0), device)
    }

    #[test]
    fn the_processor_is_known_with_and_without_gradients() {
        assert!(Device::flex().supports_dtype(DType::BF16));
        assert!(!may_round(&Device::flex()));
        assert!(!may_round(&Device::flex().autodiff()));
    }

    #[test]
    fn the_parts_of_a_product_add_up_to_it_and_so_do_their_gradients() {
        let device = Device::flex().autodiff();
        device.seed(5);
        let (left, right) = (random([7, 40], &device), random([40, 9], &device));
        let (left, right) = (left.require_grad(), right.require_grad());
        let weights = random([7, 9], &device);
        let of = |product: Tensor<2>| {
            let gradients = (product.clone() * weights.clone()).sum().backward();
            let slopes = [&left, &right].map(|x| x.grad(&gradients).unwrap());
            let [a, b] = slopes.map(|slope| slope.into_data().try_to_vec::<f32>().unwrap());
            let product = product.into_data().try_to_vec::<f32>().unwrap();
            [product, a, b]
        };
        let expected = of(left.clone().matmul(right.clone()));
        let found = of(in_parts(left.clone(), right.clone()));
        for (found, expected) in found.iter().zip(&expected) {
            let largest = expected.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected).abs() <= 2e-6 * largest,
                    "{found} {expected}"
                );
            }
        }
    }

    #[test]
    fn a_factor_rounded_as_matrix_units_do_leaves_the_parts_almost_exact() {
        let device = Device::flex();
        device.seed(6);
        // TF32 keeps ten bits behind the first one.
        let tf32 = |x: f32| f32::from_bits((x.to_bits() + 0x1000) & !0x1fff);
        let x: Vec<f32> = random([1, 500], &device).into_data().try_to_vec().unwrap();
        let y: Vec<f32> = random([1, 500], &device).into_data().try_to_vec().unwrap();
        let upper = |x: f32| f32::from_bits((x.to_bits() + 0x8000) & !0xffff);
        let (mut exact, mut whole, mut parts, mut size) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
        for (&x, &y) in x.iter().zip(&y) {
            let factors = |x: f32| [tf32(upper(x)), tf32(x - upper(x))].map(f64::from);
            let ([a, b], [c, d]) = (factors(x), factors(y));
            exact += f64::from(x) * f64::from(y);
            whole += f64::from(tf32(x)) * f64::from(tf32(y));
            parts += a * c + a * d + b * c + b * d;
            size += f64::from((x * y).abs());
        }
        assert!(
            (parts - exact).abs() < size * 2.0_f64.powi(-18),
            "{parts} {exact}"
        );
        assert!(
            (whole - exact).abs() > (parts - exact).abs(),
            "{whole} {exact}"
        );
    }
}
