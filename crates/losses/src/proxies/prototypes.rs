//! Learned vectors that stand for classes: class weights, proxies, centres, modes.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

use crate::product::product;
use crate::tensors::{unit_rows, widen};

/// Vectors `[classes · per_class, dim]`; those of class `c` are the rows `c · per_class ..`.
#[derive(Module, Debug)]
pub(crate) struct Prototypes {
    pub(crate) vectors: Param<Tensor<2>>,
    per_class: usize,
}

impl Prototypes {
    /// Random directions of about unit length, drawn from the device's generator.
    pub(crate) fn init(classes: usize, per_class: usize, dim: usize, device: &Device) -> Self {
        assert!(
            classes > 0 && per_class > 0 && dim > 0,
            "{classes} classes × {per_class} vectors × {dim} numbers"
        );
        let std = 1.0 / (dim as f64).sqrt();
        let vectors: Param<Tensor<2>> =
            Initializer::Normal { mean: 0.0, std }.init([classes * per_class, dim], device);
        // burn draws a parameter when it is first used. Drawn here, it hangs on the seed alone, not on what draws next.
        vectors.val();
        Prototypes { vectors, per_class }
    }

    /// Cosines `[n, classes · per_class]` between embeddings of any length and the vectors.
    pub(crate) fn cosines(&self, embeddings: Tensor<2>) -> Tensor<2> {
        let x = widen(embeddings);
        let vectors = widen(self.vectors.val()).cast(x.dtype());
        product(unit_rows(x), unit_rows(vectors).transpose())
    }

    /// The same as `[n, classes, per_class]`.
    pub(crate) fn cosines_by_class(&self, embeddings: Tensor<2>) -> Tensor<3> {
        let cosines = self.cosines(embeddings);
        let [n, all] = cosines.dims();
        cosines.reshape([n, all / self.per_class, self.per_class])
    }
}
