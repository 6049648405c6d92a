"""History and forecast of a weather network as one SVG, a small panel for each station, without a plotting library."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
from numpy.typing import NDArray

from service.plot_axis import HOUR, Axis, day, time_axis, value_axis

Values = NDArray[np.floating]

PANELS, COLUMNS = 12, 2
WIDTH, PANEL_HEIGHT, HEADER = 720, 172, 66
LEFT, RIGHT, TOP, BOTTOM = 60, 16, 28, 34  # around the plot of a panel; its text stands there
LONGEST = {"title": 60, "name": 26, "units": 16}  # letters
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# Colours are plain properties, since renderers other than browsers know no CSS variables.
STYLE = """
.forecast { font: 11px system-ui, sans-serif; font-variant-numeric: tabular-nums }
.forecast .paper { fill: #fff } .forecast .ahead { fill: #f6efea }
.forecast text { fill: #17212b } .forecast .title { font-size: 16px; font-weight: 600 }
.forecast .name { font-size: 12px; font-weight: 600 } .forecast .note { fill: #55616d }
.forecast .grid { stroke: #dde2e7 } .forecast .now { stroke: #6b7783; stroke-dasharray: 3 3 }
.forecast polyline { fill: none; stroke-linejoin: round; stroke-linecap: round }
.forecast .history { stroke: #1d5fb8; stroke-width: 1.75 } .forecast .future { stroke: #b4480f; stroke-width: 2.5 }
@media (prefers-color-scheme: dark) {
.forecast .paper { fill: #171d24 } .forecast .ahead { fill: #26211f }
.forecast text { fill: #e6ebf0 } .forecast .note { fill: #a3afbb }
.forecast .grid { stroke: #2f3943 } .forecast .now { stroke: #8b97a3 }
.forecast .history { stroke: #7db4ff } .forecast .future { stroke: #ff9d66 }
}
"""


@dataclass(frozen=True)
class Box:
    """Pixels from the top left corner."""

    left: float
    top: float
    right: float
    bottom: float


def forecast_svg(
    title: str, units: str, start: datetime, history: Values, forecast: Values, names: Sequence[str]
) -> str:
    """A standalone SVG: what each of the first 12 stations measured and, behind a dashed rule, what is forecast.

    start: of the first row of `history`. history: (T, N), hourly. forecast: (horizon, N), the hours that follow.
    names: N of any text. Each panel has its own scale. The same arguments give the same text.
    Raises ValueError for shapes that do not agree, and for values that are not finite.
    """
    values = _joined(history, forecast, names)
    shown = min(len(names), PANELS)
    columns = min(COLUMNS, shown)
    summary = f"{title}: {len(history)} hours measured, {len(forecast)} hours forecast, {units}"
    svg = _canvas(HEADER + PANEL_HEIGHT * math.ceil(shown / columns), f"{summary}; {_stations(len(names))}")
    _heading(svg, title, f"{_period(start, len(values))}; {_stations(len(names))}")
    for i in range(shown):
        row, column = divmod(i, columns)
        width, top = WIDTH / columns, HEADER + row * PANEL_HEIGHT
        place = Box(column * width + LEFT, top + TOP, (column + 1) * width - RIGHT, top + PANEL_HEIGHT - BOTTOM)
        _panel(svg, place, names[i], units, start, values[:, i], len(history) - 1)
    return tostring(svg, encoding="unicode")


def _joined(history: Values, forecast: Values, names: Sequence[str]) -> Values:
    """(T + horizon, N)."""
    stations = (-1, len(names))
    if not (names and len(history) and len(forecast)) or history.shape[1:] + forecast.shape[1:] != stations[1:] * 2:
        raise ValueError(f"{history.shape} and {forecast.shape} are no hours of {len(names)} stations")
    values = np.concatenate([history, forecast])
    if not np.isfinite(values).all():
        raise ValueError("a value is not finite: fill the gaps before drawing")
    return values


def _canvas(height: float, summary: str) -> Element:
    label = _clean(summary)
    attributes = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH} {height}", "class": "forecast"}
    svg = Element("svg", {**attributes, "width": f"{WIDTH}", "height": f"{height}", "role": "img", "aria-label": label})
    SubElement(svg, "title").text = label
    SubElement(svg, "style").text = STYLE
    SubElement(svg, "rect", {"class": "paper", "width": "100%", "height": "100%"})
    return svg


def _heading(svg: Element, title: str, about: str) -> None:
    _text(svg, "title", 14, 26, _cut(title, LONGEST["title"]))
    _text(svg, "note", 14, 46, about)
    for left, kind, name in ((WIDTH - 178, "history", "measured"), (WIDTH - 88, "future", "forecast")):
        SubElement(svg, "polyline", {"class": kind, "points": f"{left},22 {left + 20},22"})
        _text(svg, "note", left + 26, 26, name)


def _panel(svg: Element, box: Box, name: str, units: str, start: datetime, values: Values, now: int) -> None:
    """values: (hours,). now: the last hour that was measured."""
    panel = SubElement(svg, "g", {"class": "panel"})
    SubElement(panel, "title").text = _clean(name)
    _text(panel, "name", box.left - LEFT + 14, box.top - 12, _cut(name, LONGEST["name"]))
    _text(panel, "note", box.right, box.top - 12, f"{_cut(units, LONGEST['units'])}, UTC", "end")
    x = time_axis(start, len(values) - 1, box.left, box.right)
    y = value_axis(float(values.min()), float(values.max()), box.bottom, box.top)
    _grid(panel, box, x, y, x.at(now))
    _line(panel, "history", x, y, 0, values[: now + 1])
    _line(panel, "future", x, y, now, values[now:])


def _grid(panel: Element, box: Box, x: Axis, y: Axis, now: float) -> None:
    size = {"width": _pixel(box.right - now), "height": _pixel(box.bottom - box.top)}
    SubElement(panel, "rect", {"class": "ahead", "x": _pixel(now), "y": _pixel(box.top), **size})
    for value, label in y.ticks:
        _rule(panel, "grid", Box(box.left, y.at(value), box.right, y.at(value)))
        _text(panel, "note value", box.left - 7, y.at(value) + 4, label, "end")
    for hour, label in x.ticks:
        _rule(panel, "grid", Box(x.at(hour), box.bottom, x.at(hour), box.bottom + 4))
        _text(panel, "note time", x.at(hour), box.bottom + 17, label, "middle")
    _rule(panel, "now", Box(now, box.top, now, box.bottom))


def _line(panel: Element, kind: str, x: Axis, y: Axis, first: int, values: Values) -> None:
    points = (f"{_pixel(x.at(first + i))},{_pixel(y.at(value))}" for i, value in enumerate(values.tolist()))
    SubElement(panel, "polyline", {"class": kind, "points": " ".join(points)})


def _rule(parent: Element, kind: str, ends: Box) -> None:
    corners = {"x1": ends.left, "y1": ends.top, "x2": ends.right, "y2": ends.bottom}
    SubElement(parent, "line", {"class": kind, **{name: _pixel(value) for name, value in corners.items()}})


def _text(parent: Element, kind: str, x: float, y: float, text: str, anchor: str = "start") -> None:
    place = {"x": _pixel(x), "y": _pixel(y), "text-anchor": anchor}
    SubElement(parent, "text", {"class": kind, **place}).text = text


def _stations(count: int) -> str:
    if count == 1:
        return "one station"
    shown = f"the first {PANELS} of {count} stations" if count > PANELS else f"{count} stations"
    return f"{shown}, each on its own scale"


def _period(start: datetime, hours: int) -> str:
    first = start.astimezone(UTC)
    last = first + (hours - 1) * HOUR
    return f"{day(first)} {first:%Y %H:%M} to {day(last)} {last:%Y %H:%M} UTC"


def _pixel(value: float) -> str:
    return f"{value:.2f}"


def _cut(text: str, longest: int) -> str:
    text = _clean(text)
    return text if len(text) <= longest else f"{text[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"


def _clean(text: str) -> str:
    """Without the characters that no XML may hold, not even escaped."""
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
