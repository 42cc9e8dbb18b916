//! A batch of which some photographs cannot be read: others of their cluster, or of their class, stand in for them.
//!
//! Losses and plans count on groups of a certain size, so a group stays as large as it was drawn, as a small cluster is filled by
//! drawing some of it twice. Only where a plan without clusters drew a class once the batch becomes smaller.

use lodestone_sampling::Batch;

/// Puts what was read in the place of what was not. `read` are positions in the batch's rows, ascending; `labels` are the classes
/// of the training rows. Returns, for each row of the batch as it is now, the position among those read whose photograph it has.
///
/// Absent if nothing, or nothing of one of the batch's clusters, was read.
pub(crate) fn mend(batch: &mut Batch, read: &[usize], labels: &[usize]) -> Option<Vec<usize>> {
    if read.is_empty() {
        return None;
    }
    let by_cluster = !batch.clusters.is_empty();
    let group = |place: usize| match by_cluster {
        true => batch.clusters[place],
        false => labels[batch.rows[place]],
    };
    let mut stands_in = Vec::with_capacity(batch.rows.len());
    for place in 0..batch.rows.len() {
        // The nearest of the group, so that those that stand in are not always the same one.
        let same = (0..read.len()).filter(|&at| group(read[at]) == group(place));
        let nearest = same.min_by_key(|&at| (read[at].abs_diff(place), at));
        match nearest {
            Some(at) => stands_in.push((place, at)),
            None if by_cluster => return None,
            None => {}
        }
    }
    let places = || stands_in.iter();
    if by_cluster {
        batch.clusters = places().map(|&(place, _)| batch.clusters[place]).collect();
    }
    batch.rows = places().map(|&(_, at)| batch.rows[read[at]]).collect();
    Some(places().map(|&(_, at)| at).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_of_the_cluster_stands_in_and_a_lone_one_of_a_class_goes() {
        let whole = Batch {
            rows: vec![4, 5, 6, 7, 8],
            clusters: vec![0, 0, 1, 1, 1],
            cluster_classes: vec![0, 1],
            cluster_ids: vec![9, 3],
            ..Batch::default()
        };
        let labels = [0; 9];
        let mut batch = whole.clone();
        assert_eq!(
            mend(&mut batch, &[1, 2, 4], &labels),
            Some(vec![0, 0, 1, 1, 2])
        );
        assert_eq!(batch.rows, [5, 5, 6, 6, 8]);
        assert_eq!(batch.clusters, whole.clusters);
        let mut batch = whole.clone();
        assert_eq!(mend(&mut batch, &[2, 3, 4], &labels), None);

        // Without clusters it is the class that counts: row 2 is the only one of class 1.
        let labels = [0, 0, 1, 0];
        let mut batch = Batch {
            rows: vec![0, 2, 3],
            ..Batch::default()
        };
        assert_eq!(mend(&mut batch, &[0, 2], &labels), Some(vec![0, 1]));
        assert_eq!(batch.rows, [0, 3]);
        assert_eq!(mend(&mut batch, &[], &labels), None);
    }
}
