"""The plot is read back: pixels become values through the tick labels, as an eye would read them."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from xml.etree.ElementTree import Element, fromstring

import numpy as np
import pytest
from numpy.typing import NDArray

from service.forecast_plot import forecast_svg

SVG = "{http://www.w3.org/2000/svg}"
START = datetime(2026, 2, 27, 22, tzinfo=UTC)
Values = NDArray[np.float64]


def weather(hours: int, stations: int, seed: int = 0) -> Values:
    return np.random.default_rng(seed).normal(12, 5, (hours, stations))


def drawn(history: Values, forecast: Values, names: Sequence[str] | None = None, **changes: str) -> Element:
    names = names or [f"station {i}" for i in range(history.shape[1])]
    about = {"title": "Temperature", "units": "degC", **changes}
    return fromstring(forecast_svg(about["title"], about["units"], START, history, forecast, names))


def panels(svg: Element) -> list[Element]:
    return [group for group in svg.iter(f"{SVG}g") if group.get("class") == "panel"]


def texts(parent: Element, kind: str = "") -> list[str]:
    return [node.text or "" for node in parent.iter(f"{SVG}text") if kind in (node.get("class") or "")]


def ticks(panel: Element, kind: str, axis: str) -> tuple[list[float], list[str]]:
    """Where labels stand, and what they say."""
    nodes = [node for node in panel.iter(f"{SVG}text") if node.get("class") == f"note {kind}"]
    return [float(node.attrib[axis]) for node in nodes], [node.text or "" for node in nodes]


def points(panel: Element, kind: str) -> Values:
    """(P, 2) pixels."""
    (line,) = (line for line in panel.iter(f"{SVG}polyline") if line.get("class") == kind)
    return np.array([pair.split(",") for pair in line.attrib["points"].split()], float)


def read_values(panel: Element, kind: str) -> Values:
    """What a line says, by the labels of the value axis."""
    where, labels = ticks(panel, "value", "y")
    per_pixel, zero = np.polyfit(
        np.array(where) - 4, [float(label.replace("\N{MINUS SIGN}", "-")) for label in labels], 1
    )
    return np.asarray(points(panel, kind)[:, 1] * per_pixel + zero)


def test_lines_read_by_their_axis_give_the_values_in_their_order() -> None:
    history, forecast = weather(48, 3), weather(24, 3, seed=1)
    for i, panel in enumerate(panels(drawn(history, forecast))):
        assert read_values(panel, "history") == pytest.approx(history[:, i], abs=0.05)
        assert read_values(panel, "future")[1:] == pytest.approx(forecast[:, i], abs=0.05)


def test_more_is_higher_and_later_is_further_right() -> None:
    (panel,) = panels(drawn(np.arange(5.0)[:, None], np.arange(5.0, 8)[:, None]))
    for kind in ("history", "future"):
        assert (np.diff(points(panel, kind), axis=0) * (1, -1) > 0).all()


def test_the_forecast_is_joined_to_the_last_hour_measured_where_the_rule_stands() -> None:
    for panel in panels(drawn(weather(48, 2), weather(24, 2, seed=1))):
        history, forecast = points(panel, "history"), points(panel, "future")
        (rule,) = (line for line in panel.iter(f"{SVG}line") if line.get("class") == "now")
        assert np.array_equal(history[-1], forecast[0])
        assert float(rule.attrib["x1"]) == float(rule.attrib["x2"]) == history[-1, 0]


def test_hours_are_evenly_spaced_and_labelled_in_utc() -> None:
    (panel,) = panels(drawn(weather(48, 1), weather(24, 1)))
    x = np.concatenate([points(panel, "history")[:, 0], points(panel, "future")[1:, 0]])
    assert np.diff(x) == pytest.approx(np.full(71, (x[-1] - x[0]) / 71), abs=0.011)
    where, labels = ticks(panel, "time", "x")
    assert labels == ["28 Feb", "12:00", "1 Mar", "12:00", "2 Mar", "12:00"]
    assert where == pytest.approx(x[[2, 14, 26, 38, 50, 62]], abs=0.011)


def test_a_start_in_another_zone_is_drawn_in_utc() -> None:
    values = weather(5, 1)
    local = START.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert forecast_svg("T", "K", local, values, values, ["a"]) == forecast_svg("T", "K", START, values, values, ["a"])


@pytest.mark.parametrize("hours", [1, 3, 30, 400, 9000])
def test_time_labels_stay_few_at_any_length(hours: int) -> None:
    (panel,) = panels(drawn(weather(hours, 1), weather(1, 1)))
    labels = ticks(panel, "time", "x")[1]
    assert 1 <= len(labels) <= 7


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (2, 2), (12, 12), (13, 12), (500, 12)])
def test_the_first_twelve_stations_are_drawn_and_all_are_counted(count: int, shown: int) -> None:
    svg = drawn(weather(4, count), weather(2, count))
    assert texts(svg, "name") == [f"station {i}" for i in range(shown)]
    told = f"the first 12 of {count} stations" if count > 12 else ("one station" if count == 1 else f"{count} stations")
    assert told in texts(svg)[1]
    assert told in svg.attrib["aria-label"]


def test_panels_stay_inside_the_picture_and_apart() -> None:
    svg = drawn(weather(9, 12), weather(4, 12))
    width, height = map(float, svg.attrib["viewBox"].split()[2:])
    corners = []
    for panel in panels(svg):
        everything = np.concatenate([points(panel, "history"), points(panel, "future")])
        assert (everything > 0).all()
        assert (everything < (width, height)).all()
        corners.append((everything.min(0), everything.max(0)))
    for i, (low, high) in enumerate(corners):
        assert all((high < others).any() or (low > ends).any() for others, ends in corners[:i])


@pytest.mark.parametrize("level", [0.0, -40.0, 101325.0, 1e-9])
def test_a_constant_series_is_a_level_line_at_its_value(level: float) -> None:
    (panel,) = panels(drawn(np.full((6, 1), level), np.full((3, 1), level)))
    assert len({y for _, y in points(panel, "history").tolist()}) == 1
    assert read_values(panel, "future") == pytest.approx(np.full(4, level), abs=0.01 * (abs(level) or 1))


def test_hostile_texts_are_shown_as_text() -> None:
    hostile = "</text><script>alert('&\"')</script>\x00\x1b\ud800]]>"
    seen = re.sub("[\x00\x1b\ud800]", "\N{REPLACEMENT CHARACTER}", hostile)
    source = forecast_svg(hostile, hostile, START, weather(3, 1), weather(2, 1), [hostile])
    svg = fromstring(source.encode())
    drawing = {"svg", "title", "style", "rect", "g", "text", "line", "polyline"}
    assert {node.tag.removeprefix(SVG) for node in svg.iter()} <= drawing
    assert texts(svg, "title") == [seen]
    assert [title.text for title in panels(svg)[0].iter(f"{SVG}title")] == [seen]
    assert svg.attrib["aria-label"].startswith(seen)


def test_names_too_long_for_their_panel_are_cut_and_kept_whole_as_its_title() -> None:
    (panel,) = panels(drawn(weather(3, 1), weather(2, 1), ["x" * 90]))
    assert texts(panel, "name") == ["x" * 25 + "\N{HORIZONTAL ELLIPSIS}"]
    assert panel.findtext(f"{SVG}title") == "x" * 90


def test_it_stands_alone_has_a_name_and_follows_the_colour_scheme() -> None:
    source = forecast_svg("Wind", "m/s", START, weather(48, 2), weather(24, 2), ["a", "b"])
    svg = fromstring(source)
    assert svg.attrib["role"] == "img"
    told = "Wind: 48 hours measured, 24 hours forecast, m/s; 2 stations, each on its own scale"
    assert svg.findtext(f"{SVG}title") == svg.attrib["aria-label"] == told
    assert "prefers-color-scheme: dark" in source
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)|url\(|@import|href", source)
    assert "m/s, UTC" in texts(svg)


def test_the_same_arguments_give_the_same_text() -> None:
    once, again = (forecast_svg("T", "K", START, weather(8, 3), weather(4, 3), "abc") for _ in range(2))
    assert once == again


@pytest.mark.parametrize(
    ("history", "forecast", "names"),
    [
        (weather(4, 2), weather(2, 3), "ab"),
        (weather(4, 2), weather(2, 2), "abc"),
        (weather(0, 2), weather(2, 2), "ab"),
        (weather(4, 2), weather(0, 2), "ab"),
        (weather(4, 0), weather(2, 0), ""),
        (np.full((4, 2), np.nan), weather(2, 2), "ab"),
        (weather(4, 2), np.full((2, 2), np.inf), "ab"),
    ],
)
def test_what_cannot_be_drawn_is_refused(history: Values, forecast: Values, names: str) -> None:
    with pytest.raises(ValueError, match=r"are no hours of|is not finite"):
        forecast_svg("T", "K", START, history, forecast, names)
