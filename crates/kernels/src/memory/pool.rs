//! Which parts of which regions are free.

use std::collections::BTreeMap;

use super::pages::Region;

/// Smallest region asked of the system: many buffers share one.
const REGION: usize = 32 * 1024 * 1024;
/// Parts are multiples of a page.
const PAGE: usize = 4096;

/// A part of a region that is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Address of its first byte.
    pub(super) address: usize,
    /// A multiple of a page.
    pub(super) len: usize,
}

/// Regions and their free parts.
#[derive(Debug)]
pub(super) struct Pool {
    /// By address of the first byte.
    regions: BTreeMap<usize, Held>,
    /// Bytes that are handed out.
    used: usize,
    /// The most that ever were.
    most_used: usize,
}

#[derive(Debug)]
struct Held {
    region: Region,
    /// Length of each free part by its address; neighbours are joined.
    free: BTreeMap<usize, usize>,
}

impl Held {
    fn is_unused(&self) -> bool {
        self.free.values().sum::<usize>() == self.region.len()
    }
}

impl Pool {
    pub(super) const fn new() -> Self {
        Self {
            regions: BTreeMap::new(),
            used: 0,
            most_used: 0,
        }
    }

    /// A part of at least `bytes`, at the front of the smallest free one that holds it.
    pub(super) fn take(&mut self, bytes: usize) -> Span {
        let len = bytes.next_multiple_of(PAGE);
        self.used += len;
        self.most_used = self.most_used.max(self.used);
        let fits = self.regions.iter().flat_map(|(&region, held)| {
            let parts = held.free.iter().filter(|&(_, &free)| free >= len);
            parts.map(move |(&address, &free)| (free, address, region))
        });
        let (region, address) = match fits.min() {
            Some((_, address, region)) => (region, address),
            None => {
                let address = self.grow(len);
                (address, address)
            }
        };
        let held = self.regions.get_mut(&region).expect("just found");
        let free = held.free.remove(&address).expect("just found");
        if free > len {
            held.free.insert(address + len, free - len);
        }
        Span { address, len }
    }

    /// A new region. Unused ones, all too small, go back to the system first where the pool would otherwise hold much more
    /// than was ever in use at once; a quarter more is kept, because fresh pages are dear.
    fn grow(&mut self, len: usize) -> usize {
        let held: usize = self.regions.values().map(|held| held.region.len()).sum();
        let limit = self.most_used + self.most_used / 4;
        let mut excess = (held + len.max(REGION)).saturating_sub(limit);
        self.regions.retain(|_, held| {
            let released = excess > 0 && held.is_unused();
            if released {
                excess = excess.saturating_sub(held.region.len());
            }
            !released
        });
        let mut region = Region::new(len.max(REGION));
        let address = region.as_mut_ptr() as usize;
        let free = BTreeMap::from([(address, region.len())]);
        self.regions.insert(address, Held { region, free });
        address
    }

    /// Takes back a part that [`take`](Self::take) gave.
    pub(super) fn give_back(&mut self, part: Span) {
        self.used -= part.len;
        let (_, held) = self
            .regions
            .range_mut(..=part.address)
            .next_back()
            .expect("parts lie in regions");
        let Span {
            mut address,
            mut len,
        } = part;
        if let Some((&before, &free)) = held.free.range(..address).next_back()
            && before + free == address
        {
            held.free.remove(&before);
            (address, len) = (before, len + free);
        }
        if let Some(free) = held.free.remove(&(address + len)) {
            len += free;
        }
        held.free.insert(address, len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_disjoint_and_joined_again() {
        let mut pool = Pool::new();
        let sizes = [5_000_000, 70_000, 4096, 9_000_000, 1];
        let parts = sizes.map(|bytes| pool.take(bytes));
        for (index, part) in parts.iter().enumerate() {
            assert!(part.len >= sizes[index] && part.address % PAGE == 0);
            for other in &parts[index + 1..] {
                let apart = part.address + part.len <= other.address
                    || other.address + other.len <= part.address;
                assert!(apart, "{part:?} and {other:?}");
            }
        }
        for index in [1, 3, 0, 4, 2] {
            pool.give_back(parts[index]);
        }
        let held = pool.regions.values().next().unwrap();
        assert_eq!((held.free.len(), held.is_unused()), (1, true));
        assert_eq!(pool.take(5_000_000), parts[0], "the same memory again");
    }

    #[test]
    fn unused_regions_make_way_for_a_larger_one() {
        let mut pool = Pool::new();
        let small = pool.take(REGION);
        pool.give_back(small);
        pool.take(3 * REGION);
        assert_eq!(pool.regions.len(), 1);
    }

    #[test]
    fn regions_that_touch_are_kept_apart() {
        let mut pool = Pool::new();
        let parts: Vec<Span> = (0..4).map(|_| pool.take(REGION)).collect();
        assert_eq!(pool.regions.len(), 4);
        parts.into_iter().for_each(|part| pool.give_back(part));
        let whole = |held: &Held| held.is_unused() && held.free.len() == 1;
        assert!(pool.regions.values().all(whole));
    }
}
