"""Seconds and memory of pytorch-metric-learning's retrieval metrics over faiss, on the arrays of the example bench_retrieval.

    python bench/peer_retrieval.py STEM

reads STEM-embeddings.npy (f32) and STEM-labels.npy (i64) and asks, with each row against all the others, for precision@1,
R-precision and MAP@R. Made for torch 2.15.0, pytorch-metric-learning 2.9.0 and faiss-cpu 1.15.1. The embeddings are handed over
without a copy; memory is what the process holds at most, less what it held just before, when all was loaded and imported.
"""
import json
import os
import sys
import time

import numpy as np
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import FaissKNN


def held(line):
    """Bytes of a line of the kernel's account of this process."""
    with open("/proc/self/status") as status:
        return next(1024 * int(text.split()[1]) for text in status if text.startswith(line))


def main():
    stem = sys.argv[1]
    embeddings = torch.from_numpy(np.load(f"{stem}-embeddings.npy"))
    labels = torch.from_numpy(np.load(f"{stem}-labels.npy"))
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    names = {
        "precision_at_1": "precision_at_1",
        "r_precision": "r_precision",
        "mean_average_precision_at_r": "map_at_r",
    }
    calculator = AccuracyCalculator(
        include=tuple(names), k="max_bin_count", device=torch.device("cpu"), knn_func=FaissKNN()
    )
    before = held("VmRSS:")
    start = time.perf_counter()
    scores = calculator.get_accuracy(embeddings, labels)
    seconds = time.perf_counter() - start
    lines = [("time", seconds, "s"), ("memory above the embeddings", (held("VmHWM:") - before) / 1e6, "MB")]
    lines += [(ours, scores[theirs], "share") for theirs, ours in names.items()]
    for name, value, unit in lines:
        print(json.dumps({"name": name, "value": float(value), "unit": unit}))


if __name__ == "__main__":
    main()
