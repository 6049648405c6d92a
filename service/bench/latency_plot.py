"""Latencies of loads by percentile as one SVG, a line for each: the tail has as much room as the middle."""

import math
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from service.bench.open_loop import percentile
from service.plot_axis import Axis, value_axis

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 62, 200, 52, 44
COLOURS = ("#1d5fb8", "#b4480f", "#2b7d3b", "#7a3aa5", "#8a6d00", "#0d7d87")
MARKS = (0.0, 0.5, 0.9, 0.99, 0.999)
STYLE = """
.latency { font: 11px system-ui, sans-serif } .latency .paper { fill: #fff } .latency text { fill: #17212b }
.latency .title { font-size: 15px; font-weight: 600 } .latency .note { fill: #55616d }
.latency .grid { stroke: #dde2e7 } .latency polyline { fill: none; stroke-width: 2; stroke-linejoin: round }
"""

Lines = Mapping[str, Sequence[float]]


def latency_svg(title: str, lines: Lines) -> str:
    """lines: milliseconds by name, in any order; those without any are left out. Raises ValueError where all are."""
    known = {name: sorted(values) for name, values in lines.items() if values}
    if not known:
        raise ValueError("no request succeeded: there is no latency to plot")
    svg = _canvas(title)
    x = _nines(max(map(len, known.values())))
    y = value_axis(0.0, max(values[-1] for values in known.values()), HEIGHT - BOTTOM, TOP)
    _axes(svg, x, y)
    for index, (name, values) in enumerate(known.items()):
        _line(svg, index, name, values, x, y)
    return tostring(svg, encoding="unicode")


def nines(share: float) -> float:
    """0 at 0, 1 at 90 %, 2 at 99 %."""
    return -math.log10(1 - share)


def _nines(count: int) -> Axis:
    last = max(1.0, math.log10(count))
    ticks = tuple((nines(mark), f"{100 * mark:g} %") for mark in MARKS if nines(mark) <= last)
    return Axis(0.0, last, LEFT, WIDTH - RIGHT, ticks)


def _canvas(title: str) -> Element:
    size = {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "width": str(WIDTH), "height": str(HEIGHT)}
    svg = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "class": "latency", "role": "img"})
    SubElement(svg, "title").text = title
    SubElement(svg, "style").text = STYLE
    SubElement(svg, "rect", {"class": "paper", "width": "100%", "height": "100%"})
    _text(svg, "title", 14, 24, title)
    _text(svg, "note", 14, 42, "latency in ms from the scheduled send time, by percentile")
    return svg


def _axes(svg: Element, x: Axis, y: Axis) -> None:
    for value, label in y.ticks:
        if value >= 0:
            ends = {"x1": f"{LEFT}", "x2": f"{WIDTH - RIGHT}", "y1": f"{y.at(value):.1f}", "y2": f"{y.at(value):.1f}"}
            SubElement(svg, "line", {"class": "grid", **ends})
            _text(svg, "note", LEFT - 7, y.at(value) + 4, label, "end")
    for value, label in x.ticks:
        _text(svg, "note", x.at(value), HEIGHT - BOTTOM + 18, label, "middle")


def _line(svg: Element, index: int, name: str, values: Sequence[float], x: Axis, y: Axis) -> None:
    """values: sorted. The last place of the axis is that of the slowest request of the longest line."""
    last = math.log10(len(values))
    steps = [last * step / 100 for step in range(101)]
    points = (f"{x.at(at):.1f},{y.at(percentile(values, 1 - 10**-at)):.1f}" for at in steps)
    colour, top = COLOURS[index % len(COLOURS)], TOP + 16 + 18 * index
    SubElement(svg, "polyline", {"stroke": colour, "points": " ".join(points)})
    SubElement(
        svg, "rect", {"x": f"{WIDTH - RIGHT + 12}", "y": f"{top - 8}", "width": "14", "height": "3", "fill": colour}
    )
    _text(svg, "name", WIDTH - RIGHT + 32, top - 3, name)


def _text(parent: Element, kind: str, x: float, y: float, text: str, anchor: str = "start") -> None:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor}
    SubElement(parent, "text", {"class": kind, **place}).text = text
