//! What a batch is labelled with: classes, and for the magnet loss the cluster of every example.

use std::borrow::Cow;

use burn::tensor::{Int, Tensor};

/// Labels of one batch, borrowed from whoever drew it.
///
/// Every loss reads the classes; the magnet loss also reads the clusters. They stay on the host, so that masks and lists
/// of pairs are known without reading the device. Where a loss asks for labels, a slice of classes will do, or a tensor
/// `[batch]` of them, for which the host waits until the device has it: hold labels on the host where a step must not wait.
///
/// # Example
/// ```
/// use lodestone_losses::Labels;
///
/// // Two classes; class 7 shows two of its clusters, so three clusters in all.
/// let labels = Labels::new(&[7, 7, 7, 7, 2, 2]).with_clusters(&[0, 0, 1, 1, 2, 2], &[7, 7, 2]);
/// assert_eq!(labels.len(), 6);
/// ```
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    classes: Cow<'a, [usize]>,
    clusters: Option<(&'a [usize], &'a [usize])>,
    draw: u64,
}

impl<'a> Labels<'a> {
    /// Labels with the class of each example. Without clusters, the magnet loss takes every class for one cluster.
    pub fn new(classes: &'a [usize]) -> Self {
        Labels {
            classes: Cow::Borrowed(classes),
            clusters: None,
            draw: 0,
        }
    }

    /// Adds, for each example, the 0-based position of its cluster in this batch, and for each such cluster its class.
    ///
    /// # Panics
    /// If `clusters` and the classes differ in length, if a position has no entry in `cluster_classes`, or if an
    /// example's class is not that of its cluster.
    pub fn with_clusters(self, clusters: &'a [usize], cluster_classes: &'a [usize]) -> Self {
        assert_eq!(
            clusters.len(),
            self.classes.len(),
            "{} clusters for {} labels",
            clusters.len(),
            self.classes.len()
        );
        for (row, (&cluster, &class)) in clusters.iter().zip(&*self.classes).enumerate() {
            assert!(
                cluster < cluster_classes.len(),
                "row {row} is in cluster {cluster}, but there are {} clusters",
                cluster_classes.len()
            );
            assert_eq!(
                cluster_classes[cluster], class,
                "row {row} has class {class}, its cluster {cluster} has class {}",
                cluster_classes[cluster]
            );
        }
        Labels {
            clusters: Some((clusters, cluster_classes)),
            ..self
        }
    }

    /// Sets the number that random miners mix with their seed: the step of the run, so that every step draws anew and a
    /// resumed run draws the same.
    pub fn with_draw(self, draw: u64) -> Self {
        Labels { draw, ..self }
    }

    /// Number of examples.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether the batch has no example.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// Class of each example.
    pub fn classes(&self) -> &[usize] {
        &self.classes
    }

    /// The number set by [`Labels::with_draw`], 0 by default.
    pub fn draw(&self) -> u64 {
        self.draw
    }

    /// Cluster of each example and class of each cluster. Without given clusters, each class present is one cluster.
    pub fn clusters(&self) -> (Vec<usize>, Vec<usize>) {
        if let Some((clusters, classes)) = self.clusters {
            return (clusters.to_vec(), classes.to_vec());
        }
        let mut present = self.classes.to_vec();
        present.sort_unstable();
        present.dedup();
        let clusters = self
            .classes
            .iter()
            .map(|class| present.partition_point(|c| c < class))
            .collect();
        (clusters, present)
    }
}

impl<'a> From<&'a [usize]> for Labels<'a> {
    fn from(classes: &'a [usize]) -> Self {
        Labels::new(classes)
    }
}

impl<'a, const N: usize> From<&'a [usize; N]> for Labels<'a> {
    fn from(classes: &'a [usize; N]) -> Self {
        Labels::new(classes)
    }
}

impl<'a> From<&'a Vec<usize>> for Labels<'a> {
    fn from(classes: &'a Vec<usize>) -> Self {
        Labels::new(classes)
    }
}

impl<'a> From<&'a Labels<'_>> for Labels<'a> {
    fn from(labels: &'a Labels<'_>) -> Self {
        Labels {
            classes: Cow::Borrowed(labels.classes()),
            ..*labels
        }
    }
}

/// Reads the classes from the device.
///
/// # Panics
/// If a class is negative.
impl From<Tensor<1, Int>> for Labels<'_> {
    fn from(classes: Tensor<1, Int>) -> Self {
        let classes = classes.into_data();
        let classes = classes.iter::<i64>().enumerate().map(|(row, class)| {
            usize::try_from(class)
                .unwrap_or_else(|_| panic!("row {row} has class {class}, must be 0 or more"))
        });
        Labels {
            classes: Cow::Owned(classes.collect()),
            clusters: None,
            draw: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn without_clusters_each_class_is_one_cluster() {
        let (clusters, classes) = Labels::new(&[5, 2, 5, 9]).clusters();
        assert_eq!((clusters, classes), (vec![1, 0, 1, 2], vec![2, 5, 9]));
    }

    #[test]
    fn a_tensor_of_classes_says_the_same_as_a_slice() {
        let classes = Tensor::<1, Int>::from_data([5, 2, 5], &Device::flex());
        assert_eq!(Labels::from(classes).classes(), [5, 2, 5]);
    }

    #[test]
    #[should_panic(expected = "row 1 has class -3, must be 0 or more")]
    fn a_negative_class_is_told_with_its_row() {
        let _ = Labels::from(Tensor::<1, Int>::from_data([5, -3], &Device::flex()));
    }

    #[test]
    fn given_clusters_are_kept_in_their_order() {
        let (clusters, classes) = Labels::new(&[5, 2])
            .with_clusters(&[0, 1], &[5, 2])
            .clusters();
        assert_eq!((clusters, classes), (vec![0, 1], vec![5, 2]));
    }
}
