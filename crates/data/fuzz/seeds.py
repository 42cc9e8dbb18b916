"""Small valid files for the fuzz targets to start from, into the folders corpus/TARGET: python seeds.py

Needs numpy, scipy and pandas; everything is made up here.
"""
import io
import itertools
import pathlib
import struct
import sys

import numpy as np
import pandas as pd
import scipy.io

here = pathlib.Path(__file__).parent
sys.path.append(str(here.parent / "fixtures" / "jpeg"))
import grid  # noqa: E402


def write(target, name, content):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def mat(name, variables, compressed):
    content = io.BytesIO()
    scipy.io.savemat(content, variables, format="5", do_compression=compressed)
    write("mat", name, content.getvalue())


cells = np.array(["n01-a/n01_1.jpg", "n02-é/n02_2.jpg"], dtype=object).reshape(-1, 1)
synsets = np.array([(1, "n01", "tench", 0), (2, "n02", "fish", 1)],
                   dtype=[("ILSVRC2012_ID", object), ("WNID", object), ("words", object), ("num_children", object)]).reshape(-1, 1)
for compressed in (False, True):
    kind = "zlib" if compressed else "plain"
    mat(f"numbers_{kind}", {"labels": np.array([[1.0, 2.0, 102.0]]), "setid": np.array([[3, 4]], dtype=np.uint16)}, compressed)
    mat(f"lists_{kind}", {"file_list": cells, "labels": np.array([[1], [2]], dtype=np.uint8)}, compressed)
    mat(f"synsets_{kind}", {"synsets": synsets}, compressed)

write("idx", "images", struct.pack(">IIII", 0x803, 2, 2, 3) + bytes(range(12)))
write("idx", "labels", struct.pack(">II", 0x801, 3) + bytes([0, 9, 5]))

table = pd.DataFrame({
    "label": [1, 2, 2], "path": ["a b.jpg", "é.jpg", "/x.jpg"], "split": ["train", "validation", "validation"],
    "is_query": [None, True, False], "is_gallery": [None, False, True], "category": ["c", "d", "d"], "sequence": [None, "s", "s"],
    "x_1": [1.0, None, None], "x_2": [5.0, None, None], "y_1": [2.0, None, None], "y_2": [6.0, None, None], "class_name": ["i", "j", "j"]})
write("csv", "table", table.to_csv(index=False).encode())
write("csv", "quoted", b'label,path,split,is_query,is_gallery\n1,"a,\n"".jpg",train,,\n')

write("pets", "list", b"#Image CLASS-ID SPECIES BREED ID\nAbyssinian_100 1 1 1\nyorkshire_terrier_9 37 2 25\n")
write("pets", "box", b"<annotation><object><bndbox><xmin>3</xmin><ymin>1</ymin><xmax>8</xmax><ymax>7</ymax></bndbox></object></annotation>")

for path in (here.parent / "fixtures" / "jpeg").glob("*.jpg"):
    write("jpeg", path.stem, path.read_bytes())

# Scans of their own, together and in two groups; with restart marks and without; sequential and progressive.
wanted = {"2x2 1x1 1x1", "2x1 1x1 1x1", "1x1 2x1 1x2", "1x1 2x2 2x2", "4x1 2x1 1x1", "ycck", "2x2 1x1 1x1 3 wide"}
for name, sampling, adobe, size in grid.cases():
    if name in wanted:
        arrangements = itertools.product(enumerate(grid.groupings(len(sampling))), (0, 3), (False, True))
        for (number, groups), restart, progressive in arrangements:
            stream = grid.stream(sampling, groups, restart, progressive, adobe, size)
            write("jpeg", f"{name}_{number}_{restart}_{progressive}".replace(" ", "_"), stream)

# One component in several scans.
for restart in (0, 3):
    write("jpeg", f"grey_{restart}_progressive", grid.stream([(1, 1)], [[0]], restart, True))
