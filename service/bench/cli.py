"""The command `unireplknet bench`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.progress import Progress

from service.bench.latency_plot import latency_svg
from service.bench.open_loop import TRUSTED_LATENESS_MS, Generator, Load
from service.bench.report import report
from service.bench.shot import Address, Shot
from service.console import err, reported_errors, show_table
from service.json_answer import to_json

COLUMNS = ("rate / s", "request", "sent", "answered / s", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "statuses")
WARM_UP_S = 1.0


def bench(
    server: Annotated[str, typer.Argument(help="Address of a running server, such as http://127.0.0.1:8000")],
    requests: Annotated[list[str], typer.Argument(help="Kinds of requests: PATH=FILE or PATH=FILE@SHARE")],
    rate: Annotated[list[float], typer.Option(help="Requests a second; repeat it for a load after another")] = [10.0],  # noqa: B006
    seconds: Annotated[float, typer.Option(help="Length of each load", min=0.1)] = 10.0,
    key: Annotated[str | None, typer.Option(help="API key", envvar="UNIREPLKNET_KEY")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.json and latency.svg")] = None,
) -> None:
    """Load a running server with real requests at fixed times, whatever becomes of them, and tell how it fared.

    Latency counts from the time at which a request was meant to be sent, so a server that falls behind cannot hide it.

    Example: unireplknet bench http://127.0.0.1:8000 classify/image=photo.jpg@3 classify/audio=word.wav --rate 5
    """
    with reported_errors():
        if min(rate) <= 0:
            raise ValueError(f"a rate is {min(rate):g} requests a second, expected more than 0")
        shots = [Shot.parse(text) for text in requests]
        loads = run(Address.of(urlsplit(server)), shots, rate, seconds, key)
        told = report(server, loads)
        show_table(f"{server}, {seconds:g} s at each rate", COLUMNS, rows(told["loads"]), "")
        if out is not None:
            save(out, told, loads)
    for load in told["loads"]:
        if not load["trusted"]:
            late, limit = load["generator_late_p99_ms"], TRUSTED_LATENESS_MS
            err.print(
                f"[yellow]At {load['rate']:g} requests a second this program itself was {late:g} ms late (p99, at most "
                f"{limit:g} is good): the latencies are not the server's alone. Ask from another machine.[/]"
            )


def run(address: Address, shots: Sequence[Shot], rates: Sequence[float], seconds: float, key: str | None) -> list[Load]:
    """A load for each rate, after a short one that warms up the connections."""

    async def loads() -> list[Load]:
        generator = Generator(address, shots, key)
        with Progress(console=err, transient=True) as progress:
            warm = await generator.open(rates[0], max(1 / rates[0], WARM_UP_S))
            if warm.count(0) == len(warm.answers):
                raise ValueError(f"nothing answers at {address.host}:{address.port}: start the server, and wait for it")
            task = progress.add_task("requests", total=sum(int(rate * seconds) for rate in rates))
            found = [await generator.open(rate, seconds, lambda: progress.advance(task)) for rate in rates]
        generator.close()
        return found

    return asyncio.run(loads())


def rows(loads: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            f"{load['rate']:g}",
            kind,
            f"{record['sent']}",
            f"{record['goodput_per_s']:g}",
            *_latencies(record),
            _statuses(record),
        )
        for load in loads
        for kind, record in load["kinds"].items()
    ]


def _latencies(record: dict[str, Any]) -> list[str]:
    known = list(record["latency_ms"].values())[:-1]
    return ["-" if value is None else f"{value:g}" for value in known]


def _statuses(record: dict[str, Any]) -> str:
    return ", ".join(f"{count}×{'none' if status == '0' else status}" for status, count in record["statuses"].items())


def save(folder: Path, told: dict[str, Any], loads: Sequence[Load]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_bytes(to_json(told))
    lines = {f"{load.rate:g} / s, {kind}": _good(load.of(kind)) for load in loads for kind in load.kinds}
    if any(lines.values()):
        (folder / "latency.svg").write_text(latency_svg(told["server"], lines))


def _good(load: Load) -> list[float]:
    return [1e3 * answer.latency_s for answer in load.answers if answer.status == 200]
