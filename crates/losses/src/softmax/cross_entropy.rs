//! Cross-entropy of given scores, the last step of every classifying loss.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use crate::output::{LossOutput, Statistic, Statistics};
use crate::tensors::{check_labels, indices, label_mask, share};

/// `mean_i( logsumexp_c(z[i][c]) - z[i][y_i] )`, per example and on average.
pub(crate) fn cross_entropy(logits: Tensor<2>, labels: &[usize]) -> LossOutput {
    cross_entropy_with_margin(logits.clone(), logits, labels)
}

/// The same for scores to which a margin was applied; the accuracy is that of `plain`, the scores without.
pub(crate) fn cross_entropy_with_margin(
    logits: Tensor<2>,
    plain: Tensor<2>,
    labels: &[usize],
) -> LossOutput {
    let accuracy = accuracy(plain, labels);
    of_examples(-target(log_softmax(logits, 1), labels), accuracy)
}

/// The same where `margin` is taken off the score of the own class.
pub(crate) fn cross_entropy_with_own_lowered(
    logits: Tensor<2>,
    margin: f64,
    labels: &[usize],
) -> LossOutput {
    let [_, classes] = logits.dims();
    let own = label_mask(labels, classes, &logits.device());
    let lowered = logits.clone() - margin;
    cross_entropy_with_margin(logits.clone().mask_where(own, lowered), logits, labels)
}

/// The output of a loss that is the mean of those of its examples, `[n]`.
pub(crate) fn of_examples(per_example: Tensor<1>, accuracy: Tensor<1>) -> LossOutput {
    LossOutput {
        mean: per_example.clone().mean(),
        per_example: per_example.inner(),
        statistics: Statistics::default().with(Statistic::Accuracy, accuracy),
    }
}

/// The entry of each row that belongs to its label, `[n]`.
pub(crate) fn target(scores: Tensor<2>, labels: &[usize]) -> Tensor<1> {
    let [n, classes] = scores.dims();
    assert_eq!(n, labels.len(), "{n} embeddings, {} labels", labels.len());
    check_labels(labels, classes);
    let labels = indices(labels, &scores.device()).reshape([n, 1]);
    scores.gather(1, labels).reshape([n])
}

/// Share of rows whose label has the highest score.
pub(crate) fn accuracy(scores: Tensor<2>, labels: &[usize]) -> Tensor<1> {
    let [n, classes] = scores.dims();
    assert_eq!(n, labels.len(), "{n} embeddings, {} labels", labels.len());
    check_labels(labels, classes);
    let scores = scores.inner();
    let labels = indices(labels, &scores.device()).reshape([n, 1]);
    share(scores.argmax(1).equal(labels))
}
