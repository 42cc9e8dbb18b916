"""Seconds and peak memory of one step of pytorch-metric-learning on the batch of the example bench_losses.

    python bench/peer_losses.py triplet_hard [4096 [512 [512]]]

Made for torch 2.15.0 and pytorch-metric-learning 2.9.0. The arguments are the loss, the batch, the dimensions and the
classes; embeddings, labels and learned vectors are those of crates/losses/examples/bench_losses.rs. The median of seven
steps counts.
"""
import json
import os
import resource
import statistics
import sys
import time

import numpy as np
import torch
from pytorch_metric_learning import losses, miners

STEPS = 7


def fill(seed, count):
    """Numbers seed, seed + 1, ... of splitmix64, as fractions less one half."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(count, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(40)).astype(np.float32) / np.float32(2**24) - np.float32(0.5)


def make(name, dim, classes):
    """The loss with the settings of the other side, and its miner."""
    if name == "triplet_hard":
        return losses.TripletMarginLoss(margin=0.2), miners.BatchHardMiner()
    if name == "multi_similarity":
        return losses.MultiSimilarityLoss(alpha=2, beta=50, base=0.5), None
    if name == "multi_similarity_mined":
        return losses.MultiSimilarityLoss(alpha=2, beta=50, base=0.5), miners.MultiSimilarityMiner(epsilon=0.1)
    if name == "contrastive":
        return losses.ContrastiveLoss(pos_margin=0, neg_margin=1), None
    if name == "sup_con":
        return losses.SupConLoss(temperature=0.1), None
    if name == "nt_xent":
        return losses.NTXentLoss(temperature=0.07), None
    if name == "proxy_anchor":
        return losses.ProxyAnchorLoss(classes, dim, margin=0.1, alpha=32), None
    if name == "proxy_nca":
        return losses.ProxyNCALoss(classes, dim, softmax_scale=9), None
    if name == "soft_triple":
        return losses.SoftTripleLoss(classes, dim, centers_per_class=10, la=20, gamma=0.1, margin=0.01), None
    if name == "arc_face":
        return losses.ArcFaceLoss(classes, dim, margin=28.6, scale=64), None
    if name == "sub_center_arc_face":
        return losses.SubCenterArcFaceLoss(num_classes=classes, embedding_size=dim, margin=28.6, scale=64, sub_centers=3), None
    if name == "cos_face":
        return losses.CosFaceLoss(classes, dim, margin=0.35, scale=64), None
    if name == "normalized_softmax":
        return losses.NormalizedSoftmaxLoss(classes, dim, temperature=0.05), None
    sys.exit(f"{name} is not timed")


def same_vectors(name, loss, dim):
    """Gives learned vectors the numbers of the other side, which has one in each row."""
    for parameter in loss.parameters():
        rows = torch.from_numpy(fill(1 << 60, parameter.numel()).reshape(-1, dim))
        parameter.data.copy_(rows if name in ("proxy_anchor", "proxy_nca") else rows.T)


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else "triplet_hard"
    batch, dim, classes = [int(a) for a in sys.argv[2:5]] + [4096, 512, 512][len(sys.argv[2:5]):]
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    loss, miner = make(name, dim, classes)
    same_vectors(name, loss, dim)
    labels = torch.arange(batch) % classes
    centres = fill(1 << 40, classes * dim).reshape(classes, dim)[labels.numpy()]
    x = torch.from_numpy(centres + np.float32(1.5) * fill(1 << 50, batch * dim).reshape(batch, dim))

    def step():
        leaf = x.clone().requires_grad_()
        loss.zero_grad()
        start = time.perf_counter()
        value = loss(leaf, labels, miner(leaf, labels)) if miner else loss(leaf, labels)
        value.backward()
        largest = leaf.grad.abs().max().item()
        return time.perf_counter() - start, value.item(), largest

    step(), step()
    before = time.process_time()
    runs = [step() for _ in range(STEPS)]
    cpu = (time.process_time() - before) / STEPS
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for what, value, unit in (
        ("step", statistics.median(run[0] for run in runs), "s"),
        ("step on all cores together", cpu, "CPU s"),
        ("peak", peak, "MB"),
        ("value", runs[0][1], ""),
        ("largest slope", runs[0][2], ""),
    ):
        print(json.dumps({"name": f"{name} {what}", "value": value, "unit": unit}))


if __name__ == "__main__":
    main()
