"""Derive the class-name files from the lists that timm's wheel carries: `python -m models.labels.build WHEEL`."""

import gzip
import sys
import zipfile
from pathlib import Path

LISTS = "timm/data/_info/"
HERE = Path(__file__).parent


def build(wheel: Path, out: Path = HERE) -> None:
    """Write one `wnid<TAB>names` line per class, in the order of the logits, for ImageNet-1K and -22K."""
    with zipfile.ZipFile(wheel) as archive:
        names = dict(line.split("\t") for line in _lines(archive, "imagenet_synset_to_lemma.txt"))
        small, large = (
            "".join(f"{wnid}\t{names[wnid]}\n" for wnid in _lines(archive, f"{synsets}.txt")).encode()
            for synsets in ("imagenet_synsets", "imagenet22k_synsets")
        )
    (out / "imagenet_1k.txt").write_bytes(small)
    (out / "imagenet_22k.txt.gz").write_bytes(gzip.compress(large, mtime=0))  # no time stamp: same bytes every time


def _lines(archive: zipfile.ZipFile, name: str) -> list[str]:
    return archive.read(LISTS + name).decode().splitlines()


if __name__ == "__main__":
    build(Path(sys.argv[1]))
