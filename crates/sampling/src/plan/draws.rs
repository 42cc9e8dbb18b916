//! Draws that several plans share.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// What becomes of a class or a cluster that has fewer members than a batch wants of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum SmallGroups {
    /// Members occur more than once, so that every batch has the same shape.
    #[default]
    Replace,
    /// All members once; the batch is shorter.
    Short,
    /// It is not drawn.
    Skip,
}

/// `count` members drawn evenly: without replacement where there are enough, else by the rule.
///
/// A group that is to be skipped must not come here.
pub(super) fn draw_members(
    members: &[usize],
    count: usize,
    rule: SmallGroups,
    random: &mut ChaCha8Rng,
) -> Vec<usize> {
    if members.len() < count && rule == SmallGroups::Replace {
        return (0..count)
            .map(|_| members[random.random_range(0..members.len())])
            .collect();
    }
    let mut pool = members.to_vec();
    let (drawn, _) = pool.partial_shuffle(random, count);
    drawn.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn enough_members_are_drawn_evenly_and_without_replacement() {
        let mut random = stream(5, Purpose::Batch, 0, 0);
        let mut counts = [0; 5];
        for _ in 0..5000 {
            let mut drawn = draw_members(&[0, 1, 2, 3, 4], 2, SmallGroups::Replace, &mut random);
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn.len(), 2);
            drawn.iter().for_each(|&member| counts[member] += 1);
        }
        // 2000 expected of each, one standard deviation is 35.
        assert!(
            counts.iter().all(|count| (1850..2150).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_rule_decides_when_members_are_short() {
        let mut random = stream(5, Purpose::Batch, 0, 0);
        let mut of = |rule| draw_members(&[7, 9], 4, rule, &mut random);
        assert_eq!(of(SmallGroups::Replace).len(), 4);
        let mut short = of(SmallGroups::Short);
        short.sort_unstable();
        assert_eq!(short, [7, 9]);
    }
}
