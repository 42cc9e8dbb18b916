//! What the tests of the losses share: devices, comparison, central differences, the stored reference numbers.

use burn::tensor::{DType, Device, Tensor, TensorData};

#[path = "../../../tests/close.rs"]
mod close;

pub(crate) use close::{assert_close, assert_close_to_largest};

/// A matrix of host numbers, row by row.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) values: Vec<f64>,
}

impl Matrix {
    pub(crate) fn new(rows: usize, columns: usize, values: Vec<f64>) -> Self {
        assert_eq!(values.len(), rows * columns);
        Matrix {
            rows,
            columns,
            values,
        }
    }

    pub(crate) fn of<const C: usize>(rows: &[[f64; C]]) -> Self {
        Matrix::new(rows.len(), C, rows.iter().flatten().copied().collect())
    }

    /// Normally distributed numbers that depend on the seed alone.
    pub(crate) fn random(rows: usize, columns: usize, seed: u64) -> Self {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66;
        let mut uniform = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        };
        // The sum of twelve uniform numbers, less 6, is close enough to a normal one for a test.
        let values = (0..rows * columns)
            .map(|_| (0..12).map(|_| uniform()).sum::<f64>() - 6.0)
            .collect();
        Matrix::new(rows, columns, values)
    }

    pub(crate) fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    pub(crate) fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Matrix {
            values: self.values.iter().map(|&v| f(v)).collect(),
            ..self.clone()
        }
    }

    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        let values = rows.iter().flat_map(|&r| self.row(r).to_vec()).collect();
        Matrix::new(rows.len(), self.columns, values)
    }

    pub(crate) fn transposed(&self) -> Self {
        let values = (0..self.values.len())
            .map(|at| self.row(at % self.rows)[at / self.rows])
            .collect();
        Matrix::new(self.columns, self.rows, values)
    }

    /// A leaf of a graph on the CPU.
    pub(crate) fn leaf(&self, dtype: DType) -> Tensor<2> {
        let data = TensorData::new(self.values.clone(), [self.rows, self.columns]);
        Tensor::from_data(data, (&device(), dtype)).require_grad()
    }
}

/// Fractions of the Mersenne twister, 53 bits each, as `numpy.random.RandomState(seed).rand(count)` draws them.
pub(crate) fn mersenne_twister(seed: u32, count: usize) -> Vec<f64> {
    const WORDS: usize = 624;
    let mut state = vec![seed];
    for at in 1..WORDS {
        let last = state[at - 1];
        let next = (last ^ (last >> 30)).wrapping_mul(1_812_433_253);
        state.push(next.wrapping_add(at as u32));
    }
    let mut word = (0..).map(|at: usize| {
        let now = at % WORDS;
        let pair = (state[now] & 0x8000_0000) | (state[(now + 1) % WORDS] & 0x7FFF_FFFF);
        let turned = if pair & 1 == 1 { 0x9908_B0DF } else { 0 };
        state[now] = state[(now + 397) % WORDS] ^ (pair >> 1) ^ turned;
        let mut y = state[now];
        y ^= y >> 11;
        y ^= (y << 7) & 0x9D2C_5680;
        y ^= (y << 15) & 0xEFC6_0000;
        y ^ (y >> 18)
    });
    let mut fraction = || {
        let (high, low) = (word.next().unwrap() >> 5, word.next().unwrap() >> 6);
        (f64::from(high) * f64::from(1 << 26) + f64::from(low)) / (1u64 << 53) as f64
    };
    (0..count).map(|_| fraction()).collect()
}

/// The CPU with gradients.
pub(crate) fn device() -> Device {
    Device::flex().autodiff()
}

pub(crate) fn numbers<const D: usize, K: burn::tensor::kind::Basic>(x: Tensor<D, K>) -> Vec<f64> {
    x.into_data().iter::<f64>().collect()
}

pub(crate) fn number(x: Tensor<1>) -> f64 {
    let all = numbers(x);
    assert_eq!(all.len(), 1);
    all[0]
}

/// Value and gradient of `f` at `x`, computed in f32.
pub(crate) fn differentiate(x: &Matrix, f: impl Fn(Tensor<2>) -> Tensor<1>) -> (f64, Matrix) {
    differentiate_as(DType::F32, x, f)
}

pub(crate) fn differentiate_as(
    dtype: DType,
    x: &Matrix,
    f: impl Fn(Tensor<2>) -> Tensor<1>,
) -> (f64, Matrix) {
    let leaf = x.leaf(dtype);
    let value = f(leaf.clone());
    let gradients = value.backward();
    let gradient = leaf
        .grad(&gradients)
        .map_or_else(|| vec![0.0; x.values.len()], numbers);
    let value = number(value);
    assert!(value.is_finite(), "the loss is {value}");
    assert!(
        gradient.iter().all(|g| g.is_finite()),
        "a gradient is not finite"
    );
    (value, Matrix::new(x.rows, x.columns, gradient))
}

/// Fails unless the gradient of `f`, in f64, agrees with central differences, in every third entry.
#[track_caller]
pub(crate) fn assert_gradient_is_slope(x: &Matrix, f: impl Fn(Tensor<2>) -> Tensor<1>) {
    let (_, gradient) = differentiate_as(DType::F64, x, &f);
    let probed = (0..x.values.len()).step_by(3);
    let step = 1e-5;
    let slope = |at: usize| {
        let moved = |by: f64| {
            let mut moved = x.clone();
            moved.values[at] += by;
            number(f(moved.leaf(DType::F64)))
        };
        (moved(step) - moved(-step)) / (2.0 * step)
    };
    let slopes = probed.clone().map(slope).collect::<Vec<_>>();
    assert!(
        slopes.iter().any(|s| s.abs() > 1e-6),
        "a flat loss shows nothing"
    );
    let gradient = probed.map(|at| gradient.values[at]).collect::<Vec<_>>();
    assert_close_to_largest("slope", &gradient, &slopes, 1e-6);
}

/// Fails unless a batch split over devices has the value and gradient of the whole batch.
///
/// Each shard is what one device does: it has embedded its own rows, received the others as numbers, and calls the loss on
/// all of them in their order.
#[track_caller]
pub(crate) fn assert_shards_are_the_whole(
    name: &str,
    x: &Matrix,
    f: impl Fn(Tensor<2>) -> Tensor<1>,
) {
    let (whole, gradient) = differentiate(x, &f);
    let (n, third) = (x.rows, x.rows / 3);
    for shards in [
        vec![0..n / 2, n / 2..n],
        vec![0..third, third..third + 1, third + 1..n],
    ] {
        let mut joined = Vec::new();
        for own in shards {
            let (leaf, all) = gathered(x, own.clone());
            let value = f(all);
            joined.extend(
                leaf.grad(&value.backward())
                    .map_or_else(|| vec![0.0; own.len() * x.columns], numbers),
            );
            assert_close(&[number(value)], &[whole], 1e-6, 1e-7);
        }
        assert_close_to_largest(name, &joined, &gradient.values, 1e-6);
    }
}

/// The rows of one device as a leaf, and the whole batch with that leaf in its place.
pub(crate) fn gathered(x: &Matrix, own: std::ops::Range<usize>) -> (Tensor<2>, Tensor<2>) {
    let rows = |range: std::ops::Range<usize>| x.select(&range.collect::<Vec<_>>());
    let received = |range: std::ops::Range<usize>| rows(range).leaf(DType::F32).inner();
    let leaf = rows(own.clone()).leaf(DType::F32);
    let mut parts = vec![leaf.clone()];
    if own.start > 0 {
        parts.insert(0, received(0..own.start));
    }
    if own.end < x.rows {
        parts.push(received(own.end..x.rows));
    }
    let all = Tensor::cat(parts.into_iter().map(Tensor::autodiff).collect(), 0);
    (leaf, all)
}

/// `log Σ exp`, in f64.
pub(crate) fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = values.clone().fold(f64::NEG_INFINITY, f64::max);
    top + values.map(|v| (v - top).exp()).sum::<f64>().ln()
}

/// Cosine of the angle between two rows, in f64.
pub(crate) fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Euclidean distance between two rows, in f64.
pub(crate) fn euclidean(a: &[f64], b: &[f64]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b) * (a - b))
        .sum::<f64>()
        .sqrt()
}

/// A tensor on the host.
pub(crate) fn host(x: Tensor<2>) -> Matrix {
    let [rows, columns] = x.dims();
    Matrix::new(rows, columns, numbers(x))
}
