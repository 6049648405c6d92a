"""Plots of what was measured: benchmarks/results/*.csv to SVG beside them, a file for each device.

    python -m benchmarks.draw        # with the extra `train`, for matplotlib

Networks: how many times faster than eager torch in float32 each candidate is. Depthwise convolutions: how many times
faster than the library's faster layout, over the size of the kernel, on the maps of the paper's Table 1.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.recording import RESULTS

Row = dict[str, str]
GRID = re.compile(r"\d+x384x(?P<side>16|32|64)x\d+ K(?P<size>\d+) (?P<dtype>\w+)")
PANEL_INCHES = 4.2


def rows(path: Path) -> list[Row]:
    """The newest of each candidate and case; those without a time are left out."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        found = [row for row in csv.DictReader(file) if row["ms"]]
    keys = ("device", "threads", "variant", "batch", "precision", "problem", "candidate")
    return list({tuple(row.get(key) for key in keys): row for row in found}.values())


def grouped(found: Iterable[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    groups = defaultdict(list)
    for row in found:
        groups[key(row)].append(row)
    return dict(groups)


def draw_networks(found: list[Row], path: Path) -> None:
    """A panel for each precision, a group of bars for each network and batch."""
    panels = grouped(found, lambda row: row["precision"])
    figure, axes = panelled(len(panels), rows=True)
    for axis, (precision, some) in zip(axes, panels.items(), strict=True):
        bars(axis, some)
        axis.set_title(precision)
        axis.set_ylabel("times eager, float32")
    save(figure, found, path)


def bars(axis: Axes, found: list[Row]) -> None:
    cases = grouped(found, lambda row: f"{row['variant']}\n{row['batch']}")
    candidates = list(dict.fromkeys(row["candidate"] for row in found))
    width = 0.8 / len(candidates)
    for place, name in enumerate(candidates):
        ratios = {case: float(row["over_eager"]) for case in cases for row in cases[case] if is_of(row, name)}
        at = [list(cases).index(case) + place * width for case in ratios]
        axis.bar(at, list(ratios.values()), width, label=name)
    axis.set_xticks([index + 0.4 - width / 2 for index in range(len(cases))], list(cases))
    axis.legend(fontsize="x-small")


def is_of(row: Row, name: str) -> bool:
    return row["candidate"] == name and bool(row["over_eager"])


def draw_convolutions(found: list[Row], path: Path) -> None:
    """A panel for each dtype and side of the map, a line for each candidate."""
    on_grid = [row for row in found if GRID.fullmatch(row["problem"]) and row["ratio"]]
    panels = grouped(on_grid, lambda row: "{2}, {0} x {0}".format(*problem(row)))
    if not panels:
        return
    figure, axes = panelled(len(panels))
    for axis, (title, some) in zip(axes, sorted(panels.items()), strict=True):
        for name, points in grouped(some, lambda row: row["candidate"]).items():
            line = sorted((int(problem(row)[1]), float(row["ratio"])) for row in points)
            axis.plot([size for size, _ in line], [ratio for _, ratio in line], marker=".", label=name)
        axis.set(title=title, xlabel="K", yscale="log")
    axes[0].set_ylabel("times the library's faster layout")
    axes[0].legend(fontsize="x-small")
    save(figure, found, path)


def problem(row: Row) -> tuple[str, ...]:
    """Side, size, dtype."""
    matched = GRID.fullmatch(row["problem"])
    assert matched is not None
    return matched.groups()


def panelled(count: int, rows: bool = False) -> tuple[Figure, Sequence[Axes]]:
    shape = (count, 1) if rows else (1, count)
    size = (2.4 * PANEL_INCHES, PANEL_INCHES * count) if rows else (PANEL_INCHES * count, PANEL_INCHES)
    figure, axes = plt.subplots(*shape, figsize=size, squeeze=False, layout="constrained")
    return figure, list(axes.flat)


def save(figure: Figure, found: list[Row], path: Path) -> None:
    figure.suptitle(f"{found[0]['device']}, {found[0]['threads']} threads of the host, {found[-1]['date']}")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def file_name(table: str, device: str) -> str:
    return f"{table}-{re.sub(r'[^a-z0-9]+', '-', device.lower()).strip('-')}.svg"


def main() -> None:
    matplotlib.use("svg")
    plt.rcParams["svg.hashsalt"] = "unireplknet"  # the same file for the same rows
    for table, draw in (("backbone", draw_networks), ("depthwise_conv2d", draw_convolutions)):
        machines = grouped(rows(RESULTS / f"{table}.csv"), lambda row: f"{row['device']} {row['threads']}")
        for machine, found in machines.items():
            draw(found, RESULTS / file_name(table, machine))


if __name__ == "__main__":
    main()
