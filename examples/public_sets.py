"""Lay public data sets out as the folders that `unireplknet train` reads.

    python examples/public_sets.py fsdd SOURCE OUT
    python examples/public_sets.py esc10 SOURCE OUT
    python examples/public_sets.py radhar SOURCE OUT
    python examples/public_sets.py modelnet10 SOURCE OUT
    python examples/public_sets.py stations SOURCE OUT

SOURCE is what the authors publish. fsdd: the repository of the Free Spoken Digit Dataset, or its wav files in any
folders or zip files. esc10: the repository of ESC-50, of which ESC-10 is a part. radhar: the repository of RadHAR.
modelnet10: the folder ModelNet10 of the authors' archive. stations is the exception: weather stations packed as
train*.npz and test*.npz with temperature and wind in tenths, stations x hours, such as INMET's of Brazil; OUT receives
a folder for each variable.
"""

import csv
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from preprocessors.clouds.radhar import WINDOW, radar_points

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FSDD_TEST = 5  # the set's own split: the first five recordings of every speaker and digit
ESC_TEST_FOLD, ESC_VALIDATION = "5", 3
STRIDE, MOST_POINTS = 10, 1_000_000  # radar frames from window to window; points of a recording
WEATHER = {"temperature": ("temperature_dC", "degC_x10"), "wind": ("wind_speed_dms", "m/s_x10")}
UNMEASURED = -32768
EVERY = 10  # of the training recordings, one is for validation: windows of one recording overlap

Points = NDArray[np.float32]


def fsdd(source: Path, out: Path) -> None:
    for name, content in sounds(source):
        digit, speaker, index = re.fullmatch(r"(\d)_(\w+)_(\d+)\.wav", name).groups()  # type: ignore[union-attr]
        split = "test" if int(index) < FSDD_TEST else "train"
        write(out / split / DIGITS[int(digit)] / f"{speaker}_{index}.wav", content)


def sounds(source: Path) -> Iterator[tuple[str, bytes]]:
    yield from ((path.name, path.read_bytes()) for path in source.rglob("*.wav"))
    for path in source.rglob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".wav")]
            yield from ((Path(name).name, archive.read(name)) for name in names)


def esc10(source: Path, out: Path) -> None:
    """Folds 1 to 4 to learn from, 5 for the test. The first three clips of a class are also the validation: 320 clips
    are too few to do without thirty, and nothing is chosen by them.
    """
    seen: Counter[str] = Counter()
    with (source / "meta" / "esc50.csv").open(newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["esc10"] == "True"]
    for row in sorted(rows, key=lambda row: row["filename"]):
        content = (source / "audio" / row["filename"]).read_bytes()
        test = row["fold"] == ESC_TEST_FOLD
        seen[row["category"]] += not test
        again = ("validation",) if not test and seen[row["category"]] <= ESC_VALIDATION else ()
        for split in ("test" if test else "train", *again):
            write(out / split / row["category"] / row["filename"], content)


def radhar(source: Path, out: Path) -> None:
    """Windows of two seconds, as PLY with the velocity (m/s) and the time (0 to 1 within the window) of each point."""
    for split in ("train", "test"):
        for number, path in enumerate(recordings(source, split.title())):
            held_out = split == "train" and number % EVERY == 0
            folder = out / ("validation" if held_out else split) / path.parent.name
            for place, points in enumerate(windows(path.read_bytes())):
                write(folder / f"{path.stem}_{place:03d}.ply", ply(points))


def recordings(source: Path, split: str) -> list[Path]:
    found = sorted(path for path in source.rglob("*.txt") if path.parent.parent.name == split)
    if not found:
        raise SystemExit(f"{source} holds no recordings: expected text files such as Data/{split}/walk/1.txt")
    return found


def windows(recording: bytes) -> Iterator[Points]:
    """(N, 5) x, y, z in metres, velocity, time."""
    columns, frames = radar_points(recording, MOST_POINTS)
    values = np.column_stack([columns[name] for name in ("x", "y", "z", "velocity")])
    starts = np.searchsorted(frames, np.arange(frames[-1] + 2))
    for first in range(0, len(starts) - WINDOW, STRIDE):
        rows = slice(starts[first], starts[first + WINDOW])
        yield np.column_stack([values[rows], (frames[rows] - first) / WINDOW]).astype(np.float32)


def ply(points: Points) -> bytes:
    names = ("x", "y", "z", "velocity", "time")
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}"]
    header += [f"property float {name}" for name in names]
    return "\n".join([*header, "end_header", ""]).encode() + points.astype("<f4").tobytes()


def modelnet10(source: Path, out: Path) -> None:
    """The meshes as they are: training samples their surfaces."""
    for path in source.glob("*/*/*.off"):
        split, shape = path.parent.name, path.parent.parent.name
        write(out / split / shape / path.name, path.read_bytes())


def stations(source: Path, out: Path) -> None:
    """Hours x stations, NaN where nothing was measured."""
    for path in sorted(source.glob("*.npz")):
        pack = np.load(path)
        for variable, (array, units) in WEATHER.items():
            target = out / variable / f"{path.stem.partition('_')[0]}.npz"
            target.parent.mkdir(parents=True, exist_ok=True)
            tenths = pack[array].T
            np.savez_compressed(
                target,
                series=np.where(tenths == UNMEASURED, np.nan, tenths).astype(np.float32),
                variable=variable,
                units=units,
                start_time=str(pack["start"]).replace(" ", "T"),
                stations=pack["station"],
                latitude=pack["lat"].astype(np.float64),
                longitude=pack["lon"].astype(np.float64),
                elevation=pack["elevation_m"].astype(np.float64),
            )


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


SETS = {"fsdd": fsdd, "esc10": esc10, "radhar": radhar, "modelnet10": modelnet10, "stations": stations}

if __name__ == "__main__":
    SETS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
