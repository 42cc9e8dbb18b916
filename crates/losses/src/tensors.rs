//! The few tensor operations that several losses share.

use burn::tensor::{Bool, DType, Device, Element, Int, Tensor, TensorData};

/// A logit that no real one comes near: finite, so that no `inf - inf` arises in a backward pass.
const NEVER: f64 = -1e30;

/// Widens half precision to f32; f32 and f64 pass unchanged.
pub(crate) fn widen<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match x.dtype() {
        DType::F64 | DType::F32 => x,
        _ => x.cast(DType::F32),
    }
}

/// Relative precision of the tensor's numbers: the distance from 1 to the next one.
pub(crate) fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    }
}

/// A constant matrix `[rows, columns]` of the type and on the device of `like`, outside any graph.
pub(crate) fn constant<E: Element>(
    values: Vec<E>,
    [rows, columns]: [usize; 2],
    like: &Tensor<2>,
) -> Tensor<2> {
    let device = like.device().inner();
    Tensor::from_data(
        TensorData::new(values, [rows, columns]),
        (&device, like.dtype()),
    )
}

/// A constant `[1]` of the type and on the device of `like`, outside any graph.
pub(crate) fn number<const D: usize>(value: f64, like: &Tensor<D>) -> Tensor<1> {
    Tensor::full([1], value, (&like.device().inner(), like.dtype()))
}

/// A constant mask `[rows, columns]` from a rule on row and column.
pub(crate) fn mask(
    [rows, columns]: [usize; 2],
    device: &Device,
    rule: impl Fn(usize, usize) -> bool,
) -> Tensor<2, Bool> {
    let values = (0..rows * columns)
        .map(|at| rule(at / columns, at % columns))
        .collect::<Vec<_>>();
    Tensor::from_data(
        TensorData::new(values, [rows, columns]),
        &device.clone().inner(),
    )
}

/// Refuses labels of classes that are not there.
pub(crate) fn check_labels(labels: &[usize], classes: usize) {
    let wrong = labels.iter().find(|&&label| label >= classes);
    assert!(
        wrong.is_none(),
        "label {wrong:?} is not below the number of classes, {classes}"
    );
}

/// `true` where a column is the row's label, `[labels, classes]`.
pub(crate) fn label_mask(labels: &[usize], classes: usize, device: &Device) -> Tensor<2, Bool> {
    check_labels(labels, classes);
    let columns = (0..classes).collect::<Vec<_>>();
    let labels = indices(labels, device).reshape([labels.len(), 1]);
    labels.equal(indices(&columns, device).reshape([1, classes]))
}

/// Row numbers as a tensor for `select` and `gather`.
pub(crate) fn indices(values: &[usize], device: &Device) -> Tensor<1, Int> {
    let values = values.iter().map(|&value| value as i64).collect::<Vec<_>>();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), &device.clone().inner())
}

/// Rows of unit length. A row of zeros stays zero.
pub(crate) fn unit_rows(x: Tensor<2>) -> Tensor<2> {
    // Dividing by the largest entry first keeps the squares of very long and very short rows inside f32.
    let largest = x.clone().detach().abs().max_dim(1);
    let largest = largest.clone().mask_fill(largest.equal_scalar(0.0), 1.0);
    let x = x / largest;
    let length = x.clone().square().sum_dim(1);
    let length = length
        .clone()
        .mask_fill(length.equal_scalar(0.0), 1.0)
        .sqrt();
    x / length
}

/// `log Σ exp` of each row over the columns that are kept, `[rows, 1]`, shifted by the row's maximum so that nothing
/// underflows. A row that keeps nothing gives a huge negative number and no gradient.
pub(crate) fn logsumexp(values: Tensor<2>, keep: &Tensor<2, Bool>) -> Tensor<2> {
    let values = values.mask_fill(keep.clone().bool_not(), NEVER);
    let top = values.clone().detach().max_dim(1);
    (values - top.clone()).exp().sum_dim(1).log() + top
}

/// `log(1 + Σ exp)` of each row over the columns that are kept, `[rows, 1]`; 0 for a row that keeps nothing.
pub(crate) fn log1p_sumexp(values: Tensor<2>, keep: &Tensor<2, Bool>) -> Tensor<2> {
    let values = values.mask_fill(keep.clone().bool_not(), NEVER);
    // The 1 is exp(0), so 0 takes part in the maximum.
    let top = values.clone().detach().max_dim(1).clamp_min(0.0);
    // exp(-top) - 1 is 0 for a row of small exponents, whose tiny sum log1p then keeps.
    let rest = top.clone().neg().exp() - 1.0;
    ((values - top.clone()).exp().sum_dim(1) + rest).log1p() + top
}

/// `log(1 + exp(x))` without overflow.
pub(crate) fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let tail = x.clone().abs().neg().exp().log1p();
    // Half of x + |x| is its positive part, with the slope 1/2 at 0, which the sum needs and relu has not.
    (x.clone() + x.abs()) / 2.0 + tail
}

/// Share of `true`, `[1]`, counted in f32: a device may have f16 for its floats, which counts to 2048.
pub(crate) fn share<const D: usize>(mask: Tensor<D, Bool>) -> Tensor<1> {
    mask.float().cast(DType::F32).mean()
}

/// Number of `true`, `[1]`, counted in f32 as in [`share`].
pub(crate) fn count<const D: usize>(mask: Tensor<D, Bool>, dtype: DType) -> Tensor<1> {
    mask.float().cast(DType::F32).sum().cast(dtype)
}

/// `sum / count`, and 0 where nothing was counted.
pub(crate) fn mean_of<const D: usize>(sum: Tensor<D>, count: Tensor<D>) -> Tensor<D> {
    sum / count.clamp_min(1.0)
}
