//! A named place in a network that a tensor of a weight file belongs to.

use burn::module::{Param, RunningState};
use burn::tensor::{Tensor, TensorData};

/// A tensor of a network under the name and in the shape that weight files use.
pub(crate) struct Slot<'a> {
    pub(crate) name: String,
    target: Target<'a>,
}

enum Target<'a> {
    /// Convolution: output, input, height, width, here and in files.
    Kernel(&'a mut Param<Tensor<4>>),
    /// Matrix product: input, output here; output, input in files.
    Matrix(&'a mut Param<Tensor<2>>),
    /// Bias, or weight of a normalisation.
    Vector(&'a mut Param<Tensor<1>>),
    /// Running mean or variance.
    Statistic(&'a mut RunningState<Tensor<1>>),
}

impl<'a> Slot<'a> {
    pub(crate) fn kernel(name: String, param: &'a mut Param<Tensor<4>>) -> Self {
        Self {
            name,
            target: Target::Kernel(param),
        }
    }

    pub(crate) fn matrix(name: String, param: &'a mut Param<Tensor<2>>) -> Self {
        Self {
            name,
            target: Target::Matrix(param),
        }
    }

    pub(crate) fn vector(name: String, param: &'a mut Param<Tensor<1>>) -> Self {
        Self {
            name,
            target: Target::Vector(param),
        }
    }

    pub(crate) fn statistic(name: String, state: &'a mut RunningState<Tensor<1>>) -> Self {
        Self {
            name,
            target: Target::Statistic(state),
        }
    }

    /// Shape in files.
    pub(crate) fn shape(&self) -> Vec<usize> {
        match &self.target {
            Target::Kernel(param) => param.lazy_shape().to_vec(),
            Target::Matrix(param) => param.lazy_shape().to_vec().into_iter().rev().collect(),
            Target::Vector(param) => param.lazy_shape().to_vec(),
            Target::Statistic(state) => state.value().dims().to_vec(),
        }
    }

    /// Values in the order of files.
    pub(crate) fn values(&self) -> Vec<f32> {
        let data = match &self.target {
            Target::Kernel(param) => param.val().into_data(),
            Target::Matrix(param) => param.val().transpose().into_data(),
            Target::Vector(param) => param.val().into_data(),
            Target::Statistic(state) => state.value_sync().into_data(),
        };
        data.iter::<f32>().collect()
    }

    /// Gradient of a parameter of a convolution or a vector, in the order of files.
    #[cfg(test)]
    pub(crate) fn gradient(&self, gradients: &burn::tensor::Gradients) -> Option<Vec<f32>> {
        let data = match &self.target {
            Target::Kernel(param) => param.val().grad(gradients)?.into_data(),
            Target::Vector(param) => param.val().grad(gradients)?.into_data(),
            Target::Matrix(_) | Target::Statistic(_) => return None,
        };
        Some(data.iter::<f32>().collect())
    }

    /// As [`gradient`](Self::gradient), from gradients sorted by parameter.
    #[cfg(test)]
    pub(crate) fn gradient_of(&self, gradients: &burn::optim::GradientsParams) -> Option<Vec<f32>> {
        let data = match &self.target {
            Target::Kernel(param) => gradients.get::<4>(param.id)?.into_data(),
            Target::Matrix(param) => gradients.get::<2>(param.id)?.into_data(),
            Target::Vector(param) => gradients.get::<1>(param.id)?.into_data(),
            Target::Statistic(_) => return None,
        };
        Some(data.iter::<f32>().collect())
    }

    /// Replaces the values; identity, device and gradient setting of a parameter stay.
    ///
    /// # Panics
    /// If the number of values is not that of the shape.
    pub(crate) fn set(self, values: Vec<f32>) {
        let shape = self.shape();
        let data = match &self.target {
            Target::Kernel(_) | Target::Vector(_) | Target::Statistic(_) => {
                TensorData::new(values, shape)
            }
            // Turned here and not by a view on the device: equal weights must lie equally, or sums round differently.
            Target::Matrix(_) => {
                TensorData::new(turn(&values, shape[0], shape[1]), [shape[1], shape[0]])
            }
        };
        match self.target {
            Target::Kernel(param) => replace(param, data),
            Target::Matrix(param) => replace(param, data),
            Target::Vector(param) => replace(param, data),
            Target::Statistic(state) => {
                let tensor = Tensor::from_data(data, &state.value().device());
                *state = RunningState::new(tensor);
            }
        }
    }
}

fn replace<const D: usize>(param: &mut Param<Tensor<D>>, data: TensorData) {
    let tensor = Tensor::from_data(data, &param.lazy_device());
    *param = param.clone().transform_for_load(tensor, param.id);
}

/// The transpose of a matrix of `rows` by `columns`.
fn turn(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let places = (0..columns).flat_map(|column| (0..rows).map(move |row| row * columns + column));
    places.map(|place| values[place]).collect()
}
