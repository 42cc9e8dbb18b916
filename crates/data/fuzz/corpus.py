"""The inputs of the fuzz targets as one archive each.

    python corpus.py unpack [TARGET ...]    corpus/TARGET.tar.gz into the folder corpus/TARGET, where cargo fuzz looks
    python corpus.py pack [TARGET ...]      the folder back into the archive; equal inputs give equal bytes

Without a target, all of them. Only the archives belong to the repository.
"""
import gzip
import io
import pathlib
import sys
import tarfile

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"


def pack(target):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted((CORPUS / target).iterdir()):
            entry = tarfile.TarInfo(path.name)
            entry.size = path.stat().st_size
            archive.addfile(entry, io.BytesIO(path.read_bytes()))
    # No name and no time, which would differ from one packing to the next.
    with open(CORPUS / f"{target}.tar.gz", "wb") as file, gzip.GzipFile("", "wb", 9, file, 0) as packed:
        packed.write(content.getvalue())


def unpack(target):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(CORPUS / f"{target}.tar.gz") as archive:
        for entry in archive:
            (folder / pathlib.PurePath(entry.name).name).write_bytes(archive.extractfile(entry).read())


if __name__ == "__main__":
    command, targets = sys.argv[1], sys.argv[2:]
    if command == "pack":
        for name in targets or sorted(path.name for path in CORPUS.iterdir() if path.is_dir()):
            pack(name)
    elif command == "unpack":
        for name in targets or sorted(path.name.removesuffix(".tar.gz") for path in CORPUS.glob("*.tar.gz")):
            unpack(name)
    else:
        sys.exit(__doc__)
