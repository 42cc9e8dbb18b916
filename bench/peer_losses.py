"""Seconds and peak memory of one step of pytorch-metric-learning on the batch of the example bench_losses.

    python bench/peer_losses.py triplet_hard [4096 [512 [512]]]

Made for torch 2.15.0 and pytorch-metric-learning 2.9.0. The arguments are the loss, the batch, the dimensions and the
classes; the numbers are those of crates/losses/examples/bench_losses.rs. The fastest of five steps counts.
"""
import resource
import sys
import time

import numpy as np
import torch
from pytorch_metric_learning import losses, miners, reducers

STEPS = 5


def fill(seed, count):
    """Output number seed + i of splitmix64, as a fraction less one half."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(count, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(40)).astype(np.float32) / np.float32(2**24) - np.float32(0.5)


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else "triplet_hard"
    batch, dim, classes = [int(a) for a in sys.argv[2:5]] + [4096, 512, 512][len(sys.argv[2:5]):]
    torch.set_num_threads(len(__import__("os").sched_getaffinity(0)))
    miner = None
    if name == "triplet_hard":
        miner = miners.BatchHardMiner()
        loss = losses.TripletMarginLoss(margin=0.2, reducer=reducers.AvgNonZeroReducer())
    elif name == "multi_similarity":
        loss = losses.MultiSimilarityLoss(alpha=2, beta=50, base=0.5)
    elif name == "multi_similarity_mined":
        miner = miners.MultiSimilarityMiner(epsilon=0.1)
        loss = losses.MultiSimilarityLoss(alpha=2, beta=50, base=0.5)
    elif name == "contrastive":
        loss = losses.ContrastiveLoss(pos_margin=0, neg_margin=1)
    elif name == "supcon":
        loss = losses.SupConLoss(temperature=0.1)
    elif name == "proxy_anchor":
        loss = losses.ProxyAnchorLoss(classes, dim, margin=0.1, alpha=32)
    else:
        sys.exit(f"{name} is not timed")
    labels = torch.arange(batch) % classes
    centres = fill(1 << 40, classes * dim).reshape(classes, dim)[labels.numpy()]
    x = torch.from_numpy(centres + np.float32(1.5) * fill(1 << 50, batch * dim).reshape(batch, dim))

    def step():
        leaf = x.clone().requires_grad_()
        start = time.perf_counter()
        value = loss(leaf, labels, miner(leaf, labels)) if miner else loss(leaf, labels)
        value.backward()
        largest = leaf.grad.abs().max().item()
        return time.perf_counter() - start, value.item(), largest

    step()
    runs = [step() for _ in range(STEPS)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{name} {batch} x {dim}, {classes} classes: {min(r[0] for r in runs):.3f} s, peak {peak} MB, "
        f"loss {runs[0][1]:.6f}, largest slope {runs[0][2]:.3e}"
    )


if __name__ == "__main__":
    main()
