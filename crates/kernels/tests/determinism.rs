//! The same operands give the same bits, whatever the threads, their load, and the memory that buffers happen to get.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData};
use lodestone_kernels::{
    Activation, ResponseNorm, avg_pool2d, batch_norm, concatenate, conv2d, fork, global_average,
    local_response_norm, max_pool2d,
};

/// Values in -0.5..0.5 that look random and are the same in every run.
fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..len).map(|_| next()).collect()
}

/// A tensor whose values begin `offset` floats behind the start of their memory.
fn tensor<const D: usize>(
    shape: [usize; D],
    seed: u64,
    offset: usize,
    device: &Device,
) -> Tensor<D> {
    let len = shape.iter().product();
    let mut all = vec![0.0; offset];
    all.extend(values(len, seed));
    let all = Tensor::<1>::from_data(TensorData::new(all, [offset + len]), device);
    all.narrow(0, offset, len).reshape(shape)
}

/// Every kind of convolution (strided, pointwise, 3 × 3, with and without ReLU), both norms, all pools, and all gradients:
/// the bits of the output and of every gradient.
fn bits(offset: usize) -> Vec<Vec<u32>> {
    let device = Device::flex().autodiff();
    let images = tensor([5, 3, 37, 35], 1, offset, &device).require_grad();
    let mut parameters = Vec::new();
    let mut weight = |shape: [usize; 4]| {
        let weight = tensor(shape, 2 + parameters.len() as u64, offset, &device).require_grad();
        parameters.push(weight.clone());
        weight
    };
    let bias = tensor([24], 90, offset, &device).require_grad();
    let gamma = tensor([40], 91, offset, &device).require_grad();
    let beta = tensor([40], 92, offset, &device).require_grad();
    let conv = |maps, weight, stride, padding| {
        let options = ConvOptions::new([stride; 2], padding, [1, 1], 1);
        conv2d(maps, weight, None, options, Activation::Relu)
    };
    let options = ConvOptions::new([2, 2], [3, 3], [1, 1], 1);
    let stem = weight([24, 3, 7, 7]);
    let maps = conv2d(
        images.clone(),
        stem,
        Some(bias.clone()),
        options,
        Activation::Relu,
    );
    let maps = max_pool2d(maps, MaxPoolOptions::new([3, 3]).with_stride([1, 1]));
    let setting = ResponseNorm {
        size: 5,
        alpha: 0.1,
        beta: 0.75,
        bias: 1.0,
    };
    let maps = local_response_norm(maps, setting);
    let maps = conv(maps, weight([40, 24, 3, 3]), 1, [1, 1]);
    let maps = batch_norm(maps, gamma.clone(), beta.clone(), 1e-3, Activation::Relu).output;
    let [one, two, three] = fork(maps, 3).try_into().expect("three readers");
    let one = conv(one, weight([50, 40, 1, 1]), 1, [0, 0]);
    let two = conv(two, weight([17, 40, 1, 7]), 1, [0, 3]);
    let pool = AvgPoolOptions::new([3, 3])
        .with_stride([1, 1])
        .with_padding([1, 1]);
    let maps = concatenate(vec![one, two, avg_pool2d(three, pool)]);
    let maps = conv(maps, weight([33, 107, 3, 3]), 2, [0, 0]);
    let output = global_average(maps).square();
    let gradients = output.clone().sum().backward();
    let of = |data: TensorData| {
        let values = data.try_to_vec::<f32>().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    };
    let mut bits: Vec<Vec<u32>> = vec![of(output.into_data())];
    bits.push(of(images.grad(&gradients).unwrap().into_data()));
    for weight in &parameters {
        bits.push(of(weight.grad(&gradients).unwrap().into_data()));
    }
    for vector in [bias, gamma, beta] {
        bits.push(of(vector.grad(&gradients).unwrap().into_data()));
    }
    bits
}

#[test]
fn results_do_not_depend_on_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| bits(0))
    };
    let one = run(1);
    for threads in [2, 3, 8] {
        assert!(run(threads) == one, "{threads} threads");
    }
}

#[test]
fn results_do_not_depend_on_where_operands_lie() {
    let first = bits(0);
    for offset in [1, 3, 4, 16, 17] {
        assert!(bits(offset) == first, "{offset} floats behind a boundary");
    }
}

#[test]
fn results_do_not_depend_on_load_or_time() {
    let first = bits(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // More threads than cores, which run the same operators on other numbers: they take turns with ours at any moment,
        // and leave memory with other contents behind.
        for other in 1..4 {
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let before = bits(other);
                    assert!(bits(other) == before, "a thread of the load");
                    std::thread::yield_now();
                }
            });
        }
        for run in 0..12 {
            let same = bits(0) == first;
            if !same || run == 11 {
                done.store(true, Ordering::Relaxed);
            }
            assert!(same, "run {run} differs from the first");
        }
    });
}
