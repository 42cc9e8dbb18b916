//! Triplets from a list, by differences of the rows they name.

use burn::tensor::{IndexingUpdateOp, Int, Tensor};

use super::loss::TripletLoss;
use crate::candidates::Candidates;
use crate::mining::Triplets;
use crate::pair_matrix::{PairLoss, with_gradient};
use crate::tensors::{count, mean_of};

/// Numbers gathered at once for each corner of the triplets: 16 MiB of f32.
const CHUNK: usize = 1 << 22;

/// Loss over a list of triplets.
///
/// A long list is taken in chunks that are differentiated one by one, so that the graph of only one of them exists.
pub(crate) fn listed_triplets(
    loss: &TripletLoss,
    among: &Candidates<'_>,
    triplets: &Triplets,
) -> PairLoss {
    // The columns start with the rows, so every corner is a column.
    let x = among.columns.clone();
    let ([n, _], [_, dim]) = (among.shape(), x.dims());
    let plain = x.clone().inner();
    let like = (&plain.device(), plain.dtype());
    let step = (CHUNK / dim).max(1);

    let zero = || Tensor::<1>::zeros([1], like);
    let (mut sum, mut divisor, mut active, mut counted) = (zero(), zero(), zero(), zero());
    let (mut per_row, mut per_row_divisor) =
        (Tensor::<1>::zeros([n], like), Tensor::<1>::zeros([n], like));
    let mut slope = plain.zeros_like();
    for start in (0..triplets.len()).step_by(step) {
        let length = step.min(triplets.len() - start);
        let corner = |of: &Tensor<1, Int>| of.clone().narrow(0, start, length);
        let anchors = corner(&triplets.anchors);
        let keep = triplets.keep.clone().narrow(0, start, length);

        let leaf = if x.is_tracked() {
            plain.clone().autodiff().require_grad()
        } else {
            plain.clone()
        };
        let anchor = leaf.clone().select(0, anchors.clone());
        let positive = leaf.clone().select(0, corner(&triplets.positives));
        let negative = leaf.clone().select(0, corner(&triplets.negatives));
        let lead = loss.config.distance.between_rows(anchor.clone(), negative)
            - loss.config.distance.between_rows(anchor, positive);
        let value = loss.of_lead(lead).mask_fill(keep.clone().bool_not(), 0.0);
        let total = value.clone().sum();
        if total.is_tracked()
            && let Some(gradient) = leaf.grad(&total.backward())
        {
            slope = slope + gradient;
        }

        let value = value.inner();
        let above = value.clone().greater_scalar(0.0);
        let divides = loss
            .config
            .reduction
            .divisor(&keep, &above)
            .float()
            .cast(like.1);
        per_row = per_row.select_assign(0, anchors.clone(), value, IndexingUpdateOp::Add);
        per_row_divisor =
            per_row_divisor.select_assign(0, anchors, divides.clone(), IndexingUpdateOp::Add);
        sum = sum + total.inner();
        divisor = divisor + divides.sum();
        active = active + count(above, like.1);
        counted = counted + count(keep, like.1);
    }
    let slope = slope / divisor.clone().clamp_min(1.0).reshape([1, 1]);
    PairLoss {
        mean: with_gradient(mean_of(sum, divisor), [Some((x, slope))]),
        per_row: mean_of(per_row, per_row_divisor),
        active: mean_of(active, counted.clone()),
        counted,
    }
}
