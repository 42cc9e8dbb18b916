//! What the losses that learn a representative of every class share: the calls of a training loop.

use burn::tensor::Tensor;

use crate::output::LossOutput;
use crate::softmax::cross_entropy;

/// A loss that scores the classes.
pub(crate) trait OnClasses {
    /// Score of each class `[batch, classes]`; the highest is the prediction.
    fn scores(&self, embeddings: Tensor<2>) -> Tensor<2>;

    /// Loss of a batch, by default the cross-entropy of the scores.
    fn of_labels(&self, embeddings: Tensor<2>, labels: &[usize]) -> LossOutput {
        cross_entropy(self.scores(embeddings), labels)
    }
}

/// Writes `forward` and `logits`, each under the given documentation, of a loss that is [`OnClasses`].
macro_rules! on_classes {
    (
        $loss:ident, $embeddings:literal;
        $(#[$forward:meta])* forward;
        $(#[$logits:meta])* logits;
    ) => {
        impl $loss {
            $(#[$forward])*
            ///
            /// # Shapes
            #[doc = concat!("- embeddings: ", $embeddings)]
            /// - labels: `[batch]`, each below the number of classes
            ///
            /// # Panics
            /// If the lengths differ or a label is not below the number of classes.
            pub fn forward<'a>(
                &self,
                embeddings: burn::tensor::Tensor<2>,
                labels: impl Into<$crate::Labels<'a>>,
            ) -> $crate::LossOutput {
                let labels: $crate::Labels<'a> = labels.into();
                $crate::on_classes::OnClasses::of_labels(self, embeddings, labels.classes())
            }

            $(#[$logits])*
            pub fn logits(&self, embeddings: burn::tensor::Tensor<2>) -> burn::tensor::Tensor<2> {
                $crate::on_classes::OnClasses::scores(self, embeddings)
            }
        }

        impl $crate::list::Listed for $loss {
            const RULE: $crate::ClassRule = $crate::ClassRule::HighestScore;

            fn of_batch(
                &self,
                embeddings: burn::tensor::Tensor<2>,
                labels: &$crate::Labels<'_>,
            ) -> $crate::LossOutput {
                self.forward(embeddings, labels)
            }

            fn logits(
                &self,
                embeddings: burn::tensor::Tensor<2>,
            ) -> Option<burn::tensor::Tensor<2>> {
                Some($crate::on_classes::OnClasses::scores(self, embeddings))
            }
        }
    };
}

pub(crate) use on_classes;
