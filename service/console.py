"""What the command line shows people: tables of models, answers and conversions, and what they can mend."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Column, Table

from models.description import CheckpointError, ModelCard
from models.postprocessors.base import InvalidOption
from models.postprocessors.classification import Classification
from models.postprocessors.forecast import Forecast
from service.engine.base import ModelInfo
from service.tasks import TASKS

if TYPE_CHECKING:  # it brings the hub's client, which serving does not need
    from models.conversion import ConversionReport

HOURS_APART = 3  # columns of a forecast

out = Console()
err = Console(stderr=True)


def models_table(models: Iterable[ModelInfo]) -> Table:
    """Fits 80 columns where names do; /models tells the rest."""
    table = Table(
        *(Column(name, no_wrap=True) for name in ("model", "endpoint", "runs on", "metrics")),
        title="Models",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for model in models:
        table.add_row(model.name, f"/{model.path}", f"{model.device}, {model.precision}", metrics(model.card))
    return table


def metrics(card: ModelCard) -> str:
    """The first on the test split, where there is one."""
    known = sorted(card.metrics.items(), key=lambda metric: not metric[0].startswith("test_"))
    return "".join(f"{name} {value:.3f}" for name, value in known[:1])


def show_serving(url: str, models: Sequence[ModelInfo]) -> None:
    """Where to look once the server answers."""
    err.print(models_table(models))
    example = f"curl -F file=@FILE {url}/{min((model.path for model in models), key=list(TASKS).index)}"
    err.print(
        Panel(
            f"{url}/  playground\n{url}/docs  API reference\n{url}/models  models being served\n{example}",
            title="Ready",
        )
    )


def show_answer(name: str, answer: Any) -> None:
    out.print(escape(name), soft_wrap=True)  # one line, so that a long path can be copied
    out.print(ANSWERS[type(answer)](answer))


def classification_table(answer: Classification) -> Table:
    table = Table("score", "label", "class")
    for item in answer.predictions:
        table.add_row(f"{item.score:.4f}", item.label, str(item.class_id))
    return table


def forecast_table(answer: Forecast) -> Table:
    """A row per station; every third hour."""
    hours = range(0, answer.horizon, HOURS_APART)
    table = Table(f"{answer.variables[0]}, {answer.units}", *(f"+{hour} h" for hour in hours))
    for index, station in enumerate(answer.stations):
        table.add_row(escape(station), *(f"{answer.forecast[hour, index]:.1f}" for hour in hours))
    table.caption = f"+0 h is {answer.start_time}"
    return table


ANSWERS: dict[type, Callable[[Any], Table]] = {Classification: classification_table, Forecast: forecast_table}


def show_table(title: str, columns: Iterable[str], rows: Iterable[Sequence[str]], caption: str) -> None:
    """Cells that do not fit are wrapped: cut off, the paths of one service look all the same."""
    folding = (Column(name, overflow="fold") for name in columns)
    table = Table(*folding, title=escape(title), caption=caption, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    out.print(table)


def show_conversion(report: "ConversionReport") -> None:
    error = "not fused"
    if report.max_relative_error is not None:
        error = f"{report.max_relative_error:.1e} of the largest logit"
    table = Table("", "", title=escape(str(report.checkpoint)), title_justify="left", show_header=False)
    table.add_row("network", f"variant {report.variant or 'custom'}, {report.parameters:,} parameters")
    table.add_row("classes", str(report.classes))
    table.add_row("structure", f"{report.source_structure} -> {report.structure}")
    table.add_row("fused vs. unfused", error)
    if report.half_relative_error is not None:
        table.add_row("float16 vs. float32", f"{report.half_relative_error:.1e} of the largest logit")
    if report.bfloat16_error is not None:
        table.add_row("bfloat16 vs. float32", f"{report.bfloat16_error:.1e} of the largest output")
    for part, count in report.ignored.items():
        table.add_row("dropped", f"{count} tensors of {part}")
    out.print(table)


def show_bfloat16(card: ModelCard) -> None:
    from models.rounding import BFLOAT16_LIMIT, bears_bfloat16

    if card.bfloat16_error is None:
        return out.print(f"{card.name}: an output is not a finite number: served in float32", soft_wrap=True)
    served = "bfloat16 where the device has it" if bears_bfloat16(card.bfloat16_error) else "float32"
    error, limit = f"{card.bfloat16_error:.2e}", f"{BFLOAT16_LIMIT:.2e}"
    out.print(f"{card.name}: off by {error} of the largest output, limit {limit}: served in {served}", soft_wrap=True)


@contextmanager
def reported_errors(*others: type[Exception]) -> Iterator[None]:
    """End with one line and status 1 for what a user can mend; a traceback is for our own faults."""
    try:
        yield
    except (CheckpointError, InvalidOption, OSError, ValueError) + others as error:
        err.print(f"[red]Error:[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from error
