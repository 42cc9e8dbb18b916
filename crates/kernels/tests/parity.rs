//! The fast operators against burn's own, for every convolution of GoogLeNet, Inception V3 and ResNet and for random ones.

#[path = "../../../tests/close.rs"]
mod close;
mod networks;

use burn::tensor::activation::relu;
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData, module};
use close::assert_within;
use lodestone_kernels::{
    Activation, ResponseNorm, avg_pool2d, batch_norm, batch_norm_add, concatenate, conv2d,
    conv2d_add, fork, global_average, local_response_norm, max_pool2d,
};
use networks::{googlenet, inception, resnet};
use proptest::prelude::*;

/// Values in -0.5..0.5 that look random and are the same in every run.
fn values<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let len = shape.iter().product();
    let values: Vec<f32> = (0..len).map(|_| next()).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Fails unless no value differs by more than `share` of the largest one; a gradient that cancels to nothing has no largest one.
#[track_caller]
fn assert_tensors_close<const D: usize>(what: &str, have: Tensor<D>, want: Tensor<D>, share: f64) {
    assert_eq!(have.dims(), want.dims(), "{what}");
    let have: Vec<f32> = have.into_data().try_to_vec().unwrap();
    let want: Vec<f32> = want.into_data().try_to_vec().unwrap();
    let largest = want.iter().fold(0.0, |largest: f64, &value| {
        largest.max(f64::from(value).abs())
    });
    assert_within(what, &have, &want, |_| share * largest + 1e-9);
}

const FORWARD: f64 = 1e-5;
const GRADIENT: f64 = 1e-4;

#[derive(Clone, Copy, Debug)]
struct Conv {
    batch: usize,
    channels: [usize; 2],
    size: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    bias: bool,
    relu: bool,
}

fn check_conv(case: Conv) {
    let what = format!("{case:?}");
    let device = Device::flex().autodiff();
    let [input, output] = case.channels;
    let [height, width] = case.size;
    let options = ConvOptions::new(case.stride, case.padding, [1, 1], 1);
    let run = |fast: bool| {
        let images = values([case.batch, input, height, width], 1, &device).require_grad();
        let shape = [output, input, case.kernel[0], case.kernel[1]];
        let weights = values(shape, 2, &device).require_grad();
        let bias = case
            .bias
            .then(|| values([output], 3, &device).require_grad());
        let maps = if fast {
            let activation = if case.relu {
                Activation::Relu
            } else {
                Activation::None
            };
            conv2d(
                images.clone(),
                weights.clone(),
                bias.clone(),
                options.clone(),
                activation,
            )
        } else {
            let sums = module::conv2d(
                images.clone(),
                weights.clone(),
                bias.clone(),
                options.clone(),
            );
            if case.relu { relu(sums) } else { sums }
        };
        let loss = (maps.clone() * values(maps.dims(), 4, &device)).sum();
        let gradients = loss.backward();
        let bias = bias.map(|bias| bias.grad(&gradients).unwrap());
        let gradients = (
            images.grad(&gradients).unwrap(),
            weights.grad(&gradients).unwrap(),
            bias,
        );
        (maps.inner(), gradients)
    };
    let (have, want) = (run(true), run(false));
    assert_tensors_close(&format!("output of {what}"), have.0, want.0, FORWARD);
    assert_tensors_close(
        &format!("input gradient of {what}"),
        have.1.0,
        want.1.0,
        GRADIENT,
    );
    assert_tensors_close(
        &format!("weight gradient of {what}"),
        have.1.1,
        want.1.1,
        GRADIENT,
    );
    if let (Some(have), Some(want)) = (have.1.2, want.1.2) {
        assert_tensors_close(&format!("bias gradient of {what}"), have, want, GRADIENT);
    }
}

#[test]
fn convolutions_of_the_networks_agree_with_burn() {
    let mut layers = googlenet();
    layers.extend(inception());
    layers.extend(resnet());
    layers.sort_unstable();
    layers.dedup();
    for (index, (input, size, output, kernel, stride, padding)) in layers.into_iter().enumerate() {
        check_conv(Conv {
            batch: 1,
            channels: [input, output],
            // Wide maps are tall: their first rows show the same as all.
            size: if size > 56 { [29, size] } else { [size, size] },
            kernel,
            stride: [stride; 2],
            padding,
            bias: index % 2 == 0,
            // A gradient through ReLU differs where a sum is almost 0, so only some cases have one.
            relu: false,
        });
    }
}

#[test]
fn relu_cuts_output_and_gradient() {
    // Few products with few bits each: sums are exact, and equal to burn's, around the cut.
    let device = Device::flex().autodiff();
    let run = |fast: bool| {
        let images = (values([2, 5, 9, 7], 1, &device) * 8.0)
            .round()
            .require_grad();
        let weights = (values([17, 5, 3, 3], 2, &device) * 8.0)
            .round()
            .require_grad();
        let options = ConvOptions::new([1, 2], [1, 0], [1, 1], 1);
        let maps = if fast {
            conv2d(
                images.clone(),
                weights.clone(),
                None,
                options,
                Activation::Relu,
            )
        } else {
            relu(module::conv2d(
                images.clone(),
                weights.clone(),
                None,
                options,
            ))
        };
        let gradients = (maps.clone() * values(maps.dims(), 4, &device))
            .sum()
            .backward();
        (
            maps.inner(),
            images.grad(&gradients).unwrap(),
            weights.grad(&gradients).unwrap(),
        )
    };
    let (have, want) = (run(true), run(false));
    assert_eq!(have.0.into_data(), want.0.into_data());
    assert_tensors_close("input gradient", have.1, want.1, GRADIENT);
    assert_tensors_close("weight gradient", have.2, want.2, GRADIENT);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_convolutions_agree_with_burn(
        batch in 1usize..4,
        channels in [1usize..40, 1usize..70],
        size in [5usize..24, 5usize..24],
        kernel in [1usize..6, 1usize..6],
        stride in [1usize..4, 1usize..4],
        padding in [0usize..4, 0usize..4],
        bias in any::<bool>(),
    ) {
        check_conv(Conv { batch, channels, size, kernel, stride, padding, bias, relu: false });
    }

    #[test]
    fn random_pools_agree_with_burn(
        shape in [1usize..4, 1usize..40, 5usize..20, 5usize..20],
        kernel in [2usize..5, 2usize..5],
        stride in [1usize..4, 1usize..4],
        padding in [0usize..2, 0usize..2],
        ceil in any::<bool>(),
        count in any::<bool>(),
    ) {
        let pools = MaxPoolOptions::new(kernel)
            .with_stride(stride)
            .with_padding(padding)
            .with_ceil_mode(ceil);
        check_unary("max_pool2d", shape, |fast, input| {
            if fast { max_pool2d(input, pools.clone()) } else { module::max_pool2d(input, pools.clone()) }
        });
        let pools = AvgPoolOptions::new(kernel)
            .with_stride(stride)
            .with_padding(padding)
            .with_count_include_pad(count)
            .with_ceil_mode(ceil);
        check_unary("avg_pool2d", shape, |fast, input| {
            if fast { avg_pool2d(input, pools.clone()) } else { module::avg_pool2d(input, pools.clone()) }
        });
    }
}

/// Compares output and input gradient of an operator in its fast form and in burn's.
fn check_unary<const D: usize>(
    what: &str,
    shape: [usize; 4],
    operator: impl Fn(bool, Tensor<4>) -> Tensor<D>,
) {
    let device = Device::flex().autodiff();
    let run = |fast: bool| {
        let input = values(shape, 1, &device).require_grad();
        let output = operator(fast, input.clone());
        let gradients = (output.clone() * values(output.dims(), 2, &device))
            .sum()
            .backward();
        (output.inner(), input.grad(&gradients).unwrap())
    };
    let (have, want) = (run(true), run(false));
    assert_tensors_close(&format!("{what} of {shape:?}"), have.0, want.0, FORWARD);
    assert_tensors_close(
        &format!("gradient of {what} of {shape:?}"),
        have.1,
        want.1,
        GRADIENT,
    );
}

#[test]
fn other_operators_agree_with_burn() {
    let shape = [3, 21, 7, 5];
    check_unary("global_average", shape, |fast, input| {
        if fast {
            return global_average(input);
        }
        input.reshape([3, 21, 35]).mean_dim(2).reshape([3, 21])
    });
    check_unary("concatenate", shape, |fast, input| {
        let parts = vec![
            input.clone() * 2.0,
            input.clone().narrow(1, 3, 4),
            input.permute([0, 1, 2, 3]),
        ];
        if fast {
            concatenate(parts)
        } else {
            Tensor::cat(parts, 1)
        }
    });
    for beta in [0.75, 0.5] {
        let setting = ResponseNorm {
            size: 5,
            alpha: 0.1,
            beta,
            bias: 1.5,
        };
        check_unary("local_response_norm", shape, |fast, input| {
            if fast {
                return local_response_norm(input, setting);
            }
            let squares = input.clone().square();
            let padded = squares.pad([(2, 2), (0, 0), (0, 0)], 0.0);
            let sums = (0..5)
                .map(|offset| padded.clone().narrow(1, offset, 21))
                .reduce(|a, b| a + b);
            input / (sums.unwrap() * 0.02 + 1.5).powf_scalar(beta)
        });
    }
}

#[test]
fn any_memory_layout_is_accepted() {
    let device = Device::flex();
    let wide = values([2, 6, 9, 8], 1, &device);
    let options = || ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let weights = values([4, 3, 3, 3], 2, &device);
    let views = [
        wide.clone().narrow(1, 2, 3),
        wide.clone().permute([0, 3, 2, 1]).narrow(1, 1, 3),
        wide.clone().permute([0, 2, 3, 1]).narrow(1, 4, 3).flip([2]),
        wide.narrow(0, 1, 1).narrow(1, 0, 3).expand([5, 3, 9, 8]),
    ];
    for view in views {
        let have = conv2d(
            view.clone(),
            weights.clone(),
            None,
            options(),
            Activation::None,
        );
        let want = module::conv2d(view, weights.clone(), None, options());
        assert_tensors_close("a view", have, want, FORWARD);
    }
}

#[test]
fn batch_norm_agrees_with_burn() {
    let shape = [3, 19, 6, 5];
    let device = Device::flex().autodiff();
    for with_relu in [false, true] {
        let run = |fast: bool| {
            let input = (values(shape, 1, &device) + 2.0).require_grad();
            let gamma = values([19], 2, &device).require_grad();
            let beta = values([19], 3, &device).require_grad();
            let arguments = (input.clone(), gamma.clone(), beta.clone());
            let (output, mean, variance) = if fast {
                let activation = if with_relu {
                    Activation::Relu
                } else {
                    Activation::None
                };
                let norm = batch_norm(arguments.0, arguments.1, arguments.2, 1e-3, activation);
                (norm.output, norm.mean, norm.variance)
            } else {
                let norm = module::batch_norm_train(arguments.0, arguments.1, arguments.2, 1e-3);
                let output = if with_relu {
                    relu(norm.output)
                } else {
                    norm.output
                };
                (output, norm.mean, norm.variance)
            };
            let gradients = (output.clone() * values(shape, 4, &device))
                .sum()
                .backward();
            let output = [output.inner()];
            let statistics = [mean.inner(), variance.inner()];
            let parameters = [
                gamma.grad(&gradients).unwrap(),
                beta.grad(&gradients).unwrap(),
            ];
            (
                output,
                statistics,
                input.grad(&gradients).unwrap(),
                parameters,
            )
        };
        let (have, want) = (run(true), run(false));
        let [(have_output, want_output)] = [(have.0, want.0)];
        for (have, want) in have_output.into_iter().zip(want_output) {
            assert_tensors_close("output", have, want, FORWARD);
        }
        for (have, want) in have.1.into_iter().zip(want.1) {
            assert_tensors_close("statistics", have, want, FORWARD);
        }
        assert_tensors_close("input gradient", have.2, want.2, GRADIENT);
        for (have, want) in have.3.into_iter().zip(want.3) {
            assert_tensors_close("parameter gradient", have, want, GRADIENT);
        }
    }
}

/// Output and the gradients of input, weights or scale, bias, and of the maps that are added.
type Added = (Tensor<4>, [Tensor<4>; 2], Vec<Tensor<1>>);

fn assert_added_close(what: &str, have: Added, want: Added) {
    assert_tensors_close(what, have.0, want.0, FORWARD);
    for (have, want) in have.1.into_iter().zip(want.1) {
        assert_tensors_close(what, have, want, GRADIENT);
    }
    for (have, want) in have.2.into_iter().zip(want.2) {
        assert_tensors_close(what, have, want, GRADIENT);
    }
}

/// A residual block reads its input twice, so what is added is one reader of the input where their shapes agree.
#[test]
fn a_convolution_added_to_its_input_agrees_with_burn() {
    let device = Device::flex().autodiff();
    for (kernel, stride) in [(1, 1), (3, 1), (3, 2), (1, 2)] {
        let options = || ConvOptions::new([stride; 2], [kernel / 2; 2], [1, 1], 1);
        let run = |fast: bool| -> (Added, Tensor<4>) {
            // Few bits each: sums are exact, and equal to burn's, around the cut.
            let short = |shape, seed| (values(shape, seed, &device) * 8.0).round();
            let images = short([3, 20, 13, 11], 1).require_grad();
            let weights = short([20, 20, kernel, kernel], 2).require_grad();
            let bias = (values([20], 3, &device) * 8.0).round().require_grad();
            let maps = images.clone() * 1.0;
            let shape = [3, 20, 13usize.div_ceil(stride), 11usize.div_ceil(stride)];
            let other = short(shape, 5).require_grad();
            let mut readers = if fast {
                fork(maps, 2)
            } else {
                vec![maps.clone(), maps]
            };
            let more = readers.swap_remove(1);
            let more = if stride == 1 { more } else { other.clone() };
            let input = readers.swap_remove(0);
            let output = if fast {
                conv2d_add(input, weights.clone(), bias.clone(), more, options())
            } else {
                let sums = module::conv2d(input, weights.clone(), Some(bias.clone()), options());
                relu(sums + more)
            };
            let loss = (output.clone() * values(output.dims(), 4, &device)).sum();
            let gradients = loss.backward();
            let of_maps = if stride == 1 { &images } else { &other };
            let maps = [
                images.grad(&gradients).unwrap(),
                of_maps.grad(&gradients).unwrap(),
            ];
            let bias = vec![bias.grad(&gradients).unwrap()];
            let weights = weights.grad(&gradients).unwrap();
            ((output.inner(), maps, bias), weights)
        };
        let ((have, weights), (want, weights_want)) = (run(true), run(false));
        let what = format!("{kernel} x {kernel}, stride {stride}, and maps");
        assert_added_close(&what, have, want);
        assert_tensors_close(&what, weights, weights_want, GRADIENT);
    }
}

#[test]
fn a_normalisation_added_to_other_maps_agrees_with_burn() {
    let shape = [3, 19, 6, 5];
    let device = Device::flex().autodiff();
    let run = |fast: bool| -> Added {
        let input = (values(shape, 1, &device) + 2.0).require_grad();
        let gamma = values([19], 2, &device).require_grad();
        let beta = values([19], 3, &device).require_grad();
        let more = values(shape, 5, &device).require_grad();
        let arguments = (input.clone(), gamma.clone(), beta.clone());
        let (output, mean, variance) = if fast {
            let norm = batch_norm_add(arguments.0, arguments.1, arguments.2, 1e-3, more.clone());
            (norm.output, norm.mean, norm.variance)
        } else {
            let norm = module::batch_norm_train(arguments.0, arguments.1, arguments.2, 1e-3);
            (relu(norm.output + more.clone()), norm.mean, norm.variance)
        };
        let loss = (output.clone() * values(shape, 4, &device)).sum();
        let gradients = loss.backward();
        let maps = [input, more].map(|maps| maps.grad(&gradients).unwrap());
        let vectors = vec![
            gamma.grad(&gradients).unwrap(),
            beta.grad(&gradients).unwrap(),
            mean.inner(),
            variance.inner(),
        ];
        (output.inner(), maps, vectors)
    };
    assert_added_close("normalisation and maps", run(true), run(false));
}
