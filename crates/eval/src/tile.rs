//! One tile of approximate squared distances, on the host or on a device, with a bound on its error.
//!
//! Nothing downstream trusts these numbers: they only decide which pairs are worth an exact distance. So two engines, two
//! tile sizes or two machines give the same ranking as long as each keeps its promise about the error.

use burn::tensor::{DType, Device, Tensor, TensorData};
use lodestone_distances::{Rows, squared_distances};

/// Where the distance tiles are computed.
#[derive(Debug, Clone, Default)]
pub enum Engine {
    /// On the processor, one tile a thread.
    #[default]
    Host,
    /// By matrix products on this device; rankings stay exact because close calls are decided on the host.
    Device(Device),
}

impl Engine {
    /// Rows of a tile when memory is plentiful.
    pub(crate) fn tile_rows(&self) -> usize {
        match self {
            // 512 x 512 distances are 1 MiB, which stays in the second-level cache.
            Engine::Host => 512,
            // A device wants large products, and each tile crosses the bus once.
            Engine::Device(_) => 4096,
        }
    }

    /// `e` such that every entry of [`fill`](Self::fill) is within `e (‖q‖² + ‖g‖²)` of the true squared distance.
    ///
    /// A sum of `dim` products in any order is within `dim u Σ|q_i g_i|` with `u = 2⁻²⁴`, and `2 Σ|q_i g_i|` is at most
    /// `‖q‖² + ‖g‖²`; a few more roundings come from the norms. Both are doubled to cover the arithmetic on the bounds.
    pub(crate) fn relative_error(&self, dim: usize) -> f32 {
        let f32_sums = (dim + 8) as f32 * f32::EPSILON;
        match self {
            Engine::Host => f32_sums,
            // Matrix units may round factors to ten bits (TF32): 2⁻¹¹ for each of the two, doubled as above.
            Engine::Device(_) => f32_sums + 2.0_f32.powi(-9),
        }
    }

    /// Fills `out[q * gallery.len() + g]` with about `‖queries[q] - gallery[g]‖²`.
    pub(crate) fn fill(
        &self,
        queries: Rows,
        query_norms: &[f32],
        gallery: Rows,
        gallery_norms: &[f32],
        out: &mut [f32],
    ) {
        match self {
            Engine::Host => squared_distances(queries, gallery, gallery_norms, out),
            Engine::Device(device) => {
                let upload = |rows: Rows| {
                    let data = TensorData::new(rows.values().to_vec(), [rows.len(), rows.dim()]);
                    // Said outright, since a device may be set to half precision by default.
                    Tensor::<2>::from_data(data, (device, DType::F32))
                };
                let products = upload(queries).matmul(upload(gallery).transpose());
                let products = products.into_data_as::<f32>();
                let products = products
                    .as_slice::<f32>()
                    .expect("made as f32 one line above");
                let width = gallery.len();
                for ((out, products), norm) in out
                    .chunks_exact_mut(width)
                    .zip(products.chunks_exact(width))
                    .zip(query_norms)
                {
                    for ((out, product), gallery_norm) in
                        out.iter_mut().zip(products).zip(gallery_norms)
                    {
                        *out = norm + gallery_norm - 2.0 * product;
                    }
                }
            }
        }
    }
}
