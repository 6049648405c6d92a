"""Forms of an answer beside its full JSON: a line for each, by the type of the result."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, make_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from fastapi import Response

from models.postprocessors.classification import Classification
from models.postprocessors.forecast import Forecast
from service.answers import NPY, npy_bytes
from service.errors import Problem
from service.forecast_plot import forecast_svg
from service.json_answer import JSON, to_json
from service.perceiving import Perception

FULL = "full"


@dataclass(frozen=True)
class Format:
    """about: for people. accept: chosen where the client accepts this media type, too, not by its name alone."""

    media_type: str
    render: Callable[[Sequence[Any], Perception], bytes]
    about: str
    accept: bool = True


def bare_labels(results: Sequence[Classification], seen: Perception) -> bytes:
    bare = [result.as_hf() for result in results]
    return to_json(bare if seen.is_list else bare[0])


def plot(results: Sequence[Forecast], seen: Perception) -> bytes:
    """Raises Problem for more than one forecast."""
    forecast, sample = only(results), seen.perceived[0].sample
    history = sample.context.history(sample.views)
    start = datetime.fromisoformat(forecast.start_time) - len(history) * sample.context.step
    title = f"{forecast.variables[0]} at {len(forecast.stations)} stations".capitalize()
    return forecast_svg(title, forecast.units, start, history, forecast.forecast, forecast.stations).encode()


def array(results: Sequence[Forecast], seen: Perception) -> bytes:
    """Raises Problem for more than one forecast."""
    return npy_bytes(only(results).forecast)


def only(results: Sequence[Forecast]) -> Forecast:
    if len(results) > 1:
        raise Problem(
            422,
            "invalid_parameter",
            f"this format holds one forecast, not {len(results)}: send one history per request",
        )
    return results[0]


FORMATS: dict[type, dict[str, Format]] = {
    Classification: {"hf": Format(JSON, bare_labels, "only the list of labels and scores", accept=False)},
    Forecast: {
        "plot": Format("image/svg+xml", plot, "an SVG plot of history and forecast"),
        "npy": Format(NPY, array, "hours x stations in float32"),
    },
}


def format_options(result_type: type) -> type:
    """A dataclass of the option `format`, with the names that the result can take."""
    formats = FORMATS.get(result_type, {})
    names = StrEnum(f"{result_type.__name__}Format", {name.upper(): name for name in (FULL, *formats)})  # type: ignore[misc]
    about = "; ".join(
        ["full: the whole answer as JSON", *(f"{name}: {known.about}" for name, known in formats.items())]
    )
    chosen = field(default=names(FULL), metadata={"description": about})
    return make_dataclass(f"{result_type.__name__}FormatOptions", [("format", names, chosen)], frozen=True)


def chosen_format(result_type: type, name: str, accept: str) -> Format | None:
    """By its name, or else by what the client accepts; None for full JSON."""
    formats = FORMATS.get(result_type, {})
    if name != FULL:
        return formats[name]
    return next((known for known in formats.values() if known.accept and known.media_type in accept), None)


def rendered(form: Format, results: Sequence[Any], seen: Perception) -> Response:
    return Response(form.render(results, seen), headers=seen.timing_headers(), media_type=form.media_type)
