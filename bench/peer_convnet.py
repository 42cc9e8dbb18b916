"""Speed and memory of torchvision's GoogLeNet, Inception V3 and ResNet, channels-last fp32, on the CPU or with LODESTONE_DEVICE=cuda.

    python bench/peer_convnet.py rates googlenet 32 [ENDING]

The jobs of crates/models/examples/bench_networks.rs, on the same numbers: `rates` prints images per second forward (without
gradients, running statistics) and forward + backward of the mean feature in training, one line for each run after one that
is not counted; `memory` the largest resident size of two training steps,
of the whole program and above what it had before. LODESTONE_THREADS says how many threads work.
On a GPU convolutions run in TF32, which is PyTorch's default, and cuDNN chooses its kernels by trying them out.
Made for torch 2.15.0 and torchvision 0.29.2.
"""
import json
import os
import sys
import time

import numpy as np
import torch
import torchvision

DEVICE = os.environ.get("LODESTONE_DEVICE", "cpu")
# Runs that are printed, and those before them: a GPU has its kernels chosen only after a few.
RUNS, WARM_UP = (3, 1) if DEVICE == "cpu" else (5, 10)


def fill(count):
    """Outputs 1, 2, .. of splitmix64, as fractions less one half."""
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(40)).astype(np.float32) / np.float32(2**24) - np.float32(0.5)


def resident_megabytes(field):
    """Resident size now (VmRSS) or at its largest (VmHWM)."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(field))
    return int(line.split()[1]) * 1024 / 1e6


def main():
    job, name, images, *ending = sys.argv[1:]
    images = int(images)
    if DEVICE not in ("cpu", "cuda") or (DEVICE, job) == ("cuda", "memory"):
        sys.exit(f"LODESTONE_DEVICE is {DEVICE}, must be cpu, or cuda for rates")
    torch.set_num_threads(int(os.environ.get("LODESTONE_THREADS", 2)))
    side = 299 if name == "inception_v3" else 224
    # Without auxiliary classifiers and without the last layer, as our trunk; its own start of the weights.
    inception = {} if name.startswith("resnet") else {"init_weights": True, "aux_logits": False, "transform_input": False}
    network = getattr(torchvision.models, name)(weights=None, **inception)
    network.fc, network.dropout = torch.nn.Identity(), torch.nn.Identity()
    network = network.to(DEVICE, memory_format=torch.channels_last)
    torch.backends.cudnn.benchmark = True
    finish = torch.cuda.synchronize if DEVICE == "cuda" else lambda: None
    pictures = torch.from_numpy(fill(images * 3 * side * side).reshape(images, 3, side, side)).to(DEVICE)

    def report(what, value, unit):
        label = f"{name} {images} x {side}, {what}{''.join(ending)}"
        print(json.dumps({"name": label, "value": value, "unit": unit}), flush=True)

    def forward():
        with torch.no_grad():
            network(batch)

    def step():
        network.zero_grad()
        network(batch).mean().backward()

    # The change of layout is the user's, before the clock starts.
    batch = pictures.contiguous(memory_format=torch.channels_last)
    if job == "rates":
        for what, training, run in (("forward", False, forward), ("forward+backward", True, step)):
            network.train(training)
            for index in range(RUNS + WARM_UP):
                finish()
                start = time.perf_counter()
                run()
                finish()
                seconds = time.perf_counter() - start
                if index >= WARM_UP:
                    report(what, images / seconds, "images/s")
    elif job == "memory":
        network.train(True)
        idle = resident_megabytes("VmRSS")
        for _ in range(2):
            step()
        peak = resident_megabytes("VmHWM")
        report("training step, peak memory", peak, "MB")
        report("training step, peak above idle", peak - idle, "MB")
    else:
        sys.exit(f"{job} is none of rates, memory")


if __name__ == "__main__":
    main()
