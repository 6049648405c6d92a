"""Lay public data sets out as the folders that `unireplknet train` reads.

    python examples/public_sets.py fsdd SOURCE OUT
    python examples/public_sets.py radhar SOURCE OUT
    python examples/public_sets.py modelnet10 SOURCE OUT
    python examples/public_sets.py stations SOURCE OUT

fsdd: the Free Spoken Digit Dataset, its wav files in any folders or zip files. radhar: RadHAR's recordings packed as
train.npz and test.npz. modelnet10: ModelNet10, 1,024 points of each surface packed the same way. stations: weather
stations packed as train*.npz and test*.npz with temperature and wind in tenths, such as INMET's of Brazil; OUT receives
a folder for each.
"""

import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FSDD_TEST = 5  # the set's own split: the first five recordings of every speaker and digit
WINDOW, STRIDE = 60, 10  # radar frames, of which there are thirty a second
UNITS_PER_METRE = 512
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


def radhar(source: Path, out: Path) -> None:
    """Windows of two seconds, as PLY with the velocity (m/s) and the time (0 to 1 within the window) of each point."""
    for split in ("train", "test"):
        pack = np.load(source / f"{split}.npz")
        for recording, label in enumerate(pack["label"]):
            held_out = split == "train" and recording % EVERY == 0
            folder = out / ("validation" if held_out else split) / str(pack["classes"][label])
            for number, points in enumerate(windows(pack, recording)):
                write(folder / f"{pack['name'][recording]}_{number:03d}.ply", ply(points))


def windows(pack: "np.lib.npyio.NpzFile", recording: int) -> Iterator[Points]:
    """(N, 5) x, y, z in metres, velocity, time."""
    of_points = slice(*pack["rec_point_offset"][recording : recording + 2])
    of_frames = slice(*pack["rec_frame_offset"][recording : recording + 2])
    xyz = pack["xyz_512"][of_points].astype(np.float32) / UNITS_PER_METRE
    velocity = pack["velocity"][of_points].astype(np.float32)
    starts = np.append(pack["frame_start"][of_frames], len(xyz))
    for first in range(0, len(starts) - WINDOW, STRIDE):
        bounds = starts[first : first + WINDOW + 1]
        time = np.repeat(np.arange(WINDOW, dtype=np.float32) / WINDOW, np.diff(bounds))
        rows = slice(bounds[0], bounds[-1])
        yield np.column_stack([xyz[rows], velocity[rows], time]).astype(np.float32)


def ply(points: Points) -> bytes:
    names = ("x", "y", "z", "velocity", "time")
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}"]
    header += [f"property float {name}" for name in names]
    return "\n".join([*header, "end_header", ""]).encode() + points.astype("<f4").tobytes()


def modelnet10(source: Path, out: Path) -> None:
    for split in ("train", "test"):
        pack = np.load(source / f"{split}.npz")
        for number, (points, label) in enumerate(zip(pack["points"], pack["label"], strict=True)):
            path = out / split / str(pack["classes"][label]) / f"{number:04d}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, points.astype(np.float32) / 127)


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


SETS = {"fsdd": fsdd, "radhar": radhar, "modelnet10": modelnet10, "stations": stations}

if __name__ == "__main__":
    SETS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
