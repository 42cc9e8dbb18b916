//! Large regions of zeroed memory from the system, in huge pages where it has them.

use memmap2::MmapMut;

/// A huge page of x86 and of most ARM systems. Alignment to it is what lets the system use one.
const HUGE: usize = 2 * 1024 * 1024;

/// A region that begins at a huge page's boundary.
#[derive(Debug)]
pub(super) struct Region {
    map: MmapMut,
    start: usize,
    len: usize,
}

impl Region {
    /// At least `bytes` zeros.
    ///
    /// # Panics
    /// If the system has no more memory.
    pub(super) fn new(bytes: usize) -> Self {
        let len = bytes.next_multiple_of(HUGE);
        let map = MmapMut::map_anon(len + HUGE)
            .unwrap_or_else(|error| panic!("no memory for {bytes} bytes: {error}"));
        let start = map.as_ptr().align_offset(HUGE);
        let region = Self { map, start, len };
        // Only advice: fewer page faults and fewer misses of the address cache, the same contents.
        #[cfg(target_os = "linux")]
        let _ = region
            .map
            .advise_range(memmap2::Advice::HugePage, region.start, region.len);
        region
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The region's first byte, at a boundary of 2 MiB.
    pub(super) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.map[self.start..].as_mut_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_zero_and_begins_at_a_huge_page() {
        let mut region = Region::new(3 * 1024 * 1024);
        assert_eq!(region.len(), 2 * HUGE);
        assert_eq!(region.as_mut_ptr() as usize % HUGE, 0);
        assert!(region.map.iter().all(|&byte| byte == 0));
    }
}
