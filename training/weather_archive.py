"""Archives of weather stations, years long, with the gaps that they have: what a forecaster is trained on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from preprocessors.base import PayloadError
from preprocessors.histories.gaps import runs
from preprocessors.histories.history import History
from preprocessors.histories.history_reader import read_history
from preprocessors.histories.known_stations import KnownStations
from preprocessors.histories.station import Stations
from preprocessors.histories.terms import Terms
from preprocessors.histories.weather_options import WeatherOptions
from training.dataset_error import DatasetError
from training.splits import SPLIT_NAMES

SUFFIXES = (".npz", ".csv", ".parquet", ".json")
ENDLESS = Terms(keep_gaps=True, max_steps=10**7, max_values=10**9, max_stations=10**5)
HELD_OUT = 0.1  # of the hours, where a split must be made

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Archive:
    """values: (T, N), in the variable's own unit, NaN where nothing was measured. first: hours since 1970 of the first
    row. filled: the same with gaps of at most `max_gap` hours interpolated.
    """

    variable: str
    units: str
    stations: Stations
    first: int
    values: Values
    filled: Values

    def between(self, begin: int, end: int) -> "Archive":
        """Rows from begin to before end."""
        return replace(self, first=self.first + begin, values=self.values[begin:end], filled=self.filled[begin:end])

    def windows(self, history: int, horizon: int, stride: int) -> range:
        """First rows of windows that begin with a full day in UTC, `stride` hours apart."""
        offset = -self.first % stride
        return range(offset, len(self.values) - history - horizon + 1, stride)


@dataclass(frozen=True)
class ArchiveSplits:
    train: Archive
    validation: Archive
    test: Archive
    origin: str


def find_archives(root: Path, variable: str, max_gap: int) -> ArchiveSplits:
    """`root/{train,validation,test}.*`, or one file; what is absent is cut off the end of what is there before it.

    Raises DatasetError where nothing is found, or what is found cannot be used.
    """
    files = {name: root if name == "train" and root.is_file() else _file(root, name) for name in SPLIT_NAMES}
    if files["train"] is None:
        names = ", ".join(f"train{suffix}" for suffix in SUFFIXES)
        raise DatasetError(f"{root} holds no history of weather stations, expected one of {names}, or a file itself")
    given = {name: read_archive(file, variable, max_gap) for name, file in files.items() if file is not None}
    made = [name for name in ("test", "validation") if name not in given]
    for name in made:
        train = given["train"]
        cut = len(train.values) - max(1, round(HELD_OUT * len(train.values)))
        given["train"], given[name] = train.between(0, cut), train.between(cut, len(train.values))
    origin = f"given, but {' and '.join(made)} cut off the end of what was there" if made else "given"
    return ArchiveSplits(**given, origin=origin)


def _file(root: Path, name: str) -> Path | None:
    places = (root / f"{alias}{suffix}" for alias in SPLIT_NAMES[name] for suffix in SUFFIXES)
    return next((place for place in places if place.is_file()), None)


def read_archive(path: Path, variable: str, max_gap: int) -> Archive:
    """Raises DatasetError, naming the file."""
    try:
        _, history = read_history(path.read_bytes(), WeatherOptions(), replace(ENDLESS, default_variable=variable))
        stations, _ = KnownStations((), (), (), ()).located(history.stations)
    except PayloadError as error:
        raise DatasetError(f"{path} cannot be used: {error}") from error
    if history.variable != variable:
        raise DatasetError(f"{path} is of {history.variable}, expected {variable}: name it with --variable")
    return archive_of(history, stations, max_gap)


def archive_of(history: History, stations: Stations, max_gap: int) -> Archive:
    values = history.values.astype(np.float32)
    first = int(history.start.timestamp()) // 3600
    return Archive(history.variable, history.units, stations, first, values, filled(values, max_gap))


def filled(values: Values, max_gap: int) -> Values:
    """(T, N) with gaps of at most max_gap hours interpolated; longer ones, and those at the ends, stay NaN."""
    whole = values.copy()
    hours = np.arange(len(values))
    for series in whole.T:
        gaps = np.isnan(series)
        if not gaps.any() or gaps.all():
            continue
        for begin, end in _short(gaps, max_gap):
            edges = [begin - 1, end]
            series[begin:end] = np.interp(hours[begin:end], edges, series[edges])
    return whole


def _short(gaps: NDArray[np.bool_], max_gap: int) -> Sequence[tuple[int, int]]:
    """Where the gaps that can be filled begin and end."""
    return [(begin, end) for begin, end in runs(gaps) if begin and end < len(gaps) and end - begin <= max_gap]
