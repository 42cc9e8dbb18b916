//! Which images enter a batch: plans, the cluster index and the neighbourhood sampler.
