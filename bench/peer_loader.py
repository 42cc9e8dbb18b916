"""Images per second and peak memory of torchvision's DataLoader on a folder of JPEG files.

    python bench/peer_loader.py FOLDER [COUNT [WORKERS]]

Made for torch 2.15.0, torchvision 0.30 and Pillow 13. The job is that of crates/data/examples/bench_loader.rs: the first
COUNT files by name in batches of 32, as the usual training view (random resized crop to 224, flip, normalise) and the usual
evaluation view (shorter side 256, centre crop 224, normalise), as float32 tensors in the hands of the main process. The
second of two passes counts, so that the files are in the page cache.
"""
import json
import pathlib
import resource
import sys
import time

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

BATCH = 32
NORMALISE = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
VIEWS = {
    "train": [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()],
    "eval": [transforms.Resize(256), transforms.CenterCrop(224)],
}


class Photographs(Dataset):
    def __init__(self, files, view):
        self.files = files
        self.view = transforms.Compose([*VIEWS[view], transforms.ToTensor(), NORMALISE])

    def __len__(self):
        return len(self.files)

    def __getitem__(self, row):
        with Image.open(self.files[row]) as image:
            return self.view(image.convert("RGB"))


def one_pass(loader):
    start, seen = time.perf_counter(), 0
    for batch in loader:
        seen += batch.shape[0]
    return seen / (time.perf_counter() - start)


def main():
    folder = pathlib.Path(sys.argv[1])
    count, workers = [int(a) for a in sys.argv[2:4]] + [1200, 2][len(sys.argv[2:4]):]
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg"))[:count]
    torch.manual_seed(1)
    for view in VIEWS:
        loader = DataLoader(Photographs(files, view), batch_size=BATCH, num_workers=workers)
        one_pass(loader)
        print(json.dumps({"name": f"{view}, {workers} threads", "value": one_pass(loader), "unit": "images/s"}), flush=True)
    # The largest worker stands for all of them; pages that they share with the main process are counted each time.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps({"name": "peak memory", "value": (own + workers * children) / 1e3, "unit": "MB"}))


if __name__ == "__main__":
    main()
