"""Plots of what was measured: benchmarks/results/*.csv to SVG beside them, a file for each device.

    python -m benchmarks.draw        # with the extra `train`, for matplotlib

Networks: how many times faster than eager torch in float32 each candidate is. Depthwise convolutions: how many times
faster than the library's faster layout, over the size of the kernel, on the maps of the paper's Table 1.
"""

import csv
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle
from pathlib import Path

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.candidates import EAGER, ours
from benchmarks.recording import RESULTS

Row = dict[str, str]
GRID = re.compile(r"\d+x384x(?P<side>16|32|64)x\d+ K(?P<size>\d+) (?P<dtype>\w+)")
LEGEND_INCHES = 0.8
BLUES = ("#6fa8dc", "#0b5394")
GREYS = ("#d9d9d9", "#b7b7b7", "#8a8a8a", "#5f5f5f")
COLOURS = ("#7f7f7f", "#0b5394", "#e69138", "#38761d", "#a64d79", "#674ea7", "#cc0000", "#45818e", "#7f6000", "#222222")


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
    compared = [row for row in found if row["candidate"] != EAGER]  # which is the line at 1
    panels = grouped(compared, lambda row: row["precision"])
    if not panels:
        return
    colours = shades(dict.fromkeys(label(row) for row in compared))
    figure, axes = panelled(len(panels), 1, (10, 3.6))
    for axis, (precision, some) in zip(axes, panels.items(), strict=True):
        bars(axis, some, colours)
        axis.set(title=precision, ylabel="times as fast as eager\nPyTorch in float32")
    save(figure, axes, found, path)


def bars(axis: Axes, found: list[Row], colours: Mapping[str, str]) -> None:
    """The fastest of each group has its number."""
    cases = grouped(found, lambda row: f"{row['batch']}\n{row['variant']}")
    here = [name for name in colours if any(label(row) == name for row in found)]
    width = 0.8 / len(here)
    for place, name in enumerate(here):
        ratios = {case: float(row["over_eager"]) for case in cases for row in cases[case] if is_of(row, name)}
        at = [list(cases).index(case) + (place + 0.5) * width - 0.4 for case in ratios]
        drawn = axis.bar(at, list(ratios.values()), width, label=name, color=colours[name])
        best = [f"{ratio:.3g}" if ratio == fastest(cases[case]) else "" for case, ratio in ratios.items()]
        axis.bar_label(drawn, best, fontsize="small", padding=1)
    axis.axhline(1, color="black", linewidth=0.8, linestyle="--")
    axis.set_xticks(range(len(cases)), list(cases), fontsize="x-small")
    axis.set_xlabel("batch and network")
    axis.margins(y=0.12)


def fastest(case: Iterable[Row]) -> float:
    return max(float(row["over_eager"]) for row in case if row["over_eager"])


def is_of(row: Row, name: str) -> bool:
    return label(row) == name and bool(row["over_eager"])


def label(row: Row) -> str:
    """The candidate, without the precision, which is the panel's."""
    return row["candidate"].removesuffix(f", {row['precision']}")


def shades(names: Iterable[str]) -> dict[str, str]:
    """Blues for what this project serves, greys for the others."""
    mine, others = cycle(BLUES), cycle(GREYS)
    return {name: next(mine) if ours(name) else next(others) for name in names}


def draw_convolutions(found: list[Row], path: Path) -> None:
    """A row of panels for each dtype, a panel for each side of the map, a line for each candidate."""
    on_grid = [row for row in found if GRID.fullmatch(row["problem"]) and row["ratio"]]
    panels = grouped(on_grid, lambda row: "{2}, {0} x {0}".format(*problem(row)))
    if not panels:
        return
    columns = len({problem(row)[0] for row in on_grid})
    figure, axes = panelled(math.ceil(len(panels) / columns), columns, (10 / columns, 3.2))
    colours = dict(zip(dict.fromkeys(backend(row) for row in on_grid), cycle(COLOURS), strict=False))
    for axis, (title, some) in zip(axes, sorted(panels.items()), strict=False):
        lines(axis, some, colours)
        axis.set(title=title, xlabel="kernel size")
        axis.label_outer()
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    figure.supylabel("times as fast as the library's faster layout")
    save(figure, axes, found, path)


def lines(axis: Axes, found: list[Row], colours: Mapping[str, str]) -> None:
    """A colour for each backend, dashes for channels last."""
    for name, points in grouped(found, lambda row: row["candidate"]).items():
        line = sorted((int(problem(row)[1]), float(row["ratio"])) for row in points)
        sizes, ratios = zip(*line, strict=True)
        style = "--" if name.endswith("channels last") else "-"
        axis.plot(sizes, ratios, style, marker=".", label=name, color=colours[backend(points[0])])
    axis.set_yscale("log", base=2)
    axis.yaxis.set_major_formatter("{x:g}")
    axis.axhline(1, color="black", linewidth=0.8)
    axis.grid(alpha=0.3)


def backend(row: Row) -> str:
    return row["candidate"].partition(",")[0]


def problem(row: Row) -> tuple[str, ...]:
    """Side, size, dtype."""
    matched = GRID.fullmatch(row["problem"])
    assert matched is not None
    return matched.groups()


def panelled(rows: int, columns: int, inches: tuple[float, float]) -> tuple[Figure, Sequence[Axes]]:
    """inches: width and height of a panel."""
    size = (inches[0] * columns, inches[1] * rows + LEGEND_INCHES)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharey=columns > 1, layout="constrained")
    return figure, list(axes.flat)


def save(figure: Figure, axes: Sequence[Axes], found: list[Row], path: Path) -> None:
    """With one legend under all panels. The background stays white: text must be readable on a dark page, too."""
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=5, fontsize="small")
    threads = found[0]["threads"]
    used = "1 thread" if threads == "1" else f"{threads} threads"
    figure.suptitle(f"{found[0]['device']}, {used} of the host, {found[-1]['date']}")
    figure.savefig(path, metadata={"Date": None}, facecolor="white")
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
