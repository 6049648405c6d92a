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
from service.bench.report import ALL, report
from service.bench.shot import Address, Shot
from service.console import err, reported_errors, show_table
from service.json_answer import to_json

COLUMNS = ("path", "sent", "ok/s", "p50", "p90", "p99", "p99.9", "statuses")
CAPTION = "ok/s: answers with status 200 per second; p50 to p99.9: their latency in ms"
WARM_UP_S = 1.0
OK = "200"


def bench(
    server: Annotated[str, typer.Argument(help="Address of a running server, such as http://127.0.0.1:8000")],
    requests: Annotated[list[str], typer.Argument(help="Requests to send: PATH=FILE, or PATH=FILE@WEIGHT for a mix")],
    rate: Annotated[list[float], typer.Option(help="Requests per second; repeat for several loads in turn")] = [10.0],  # noqa: B006
    seconds: Annotated[float, typer.Option(help="Duration of each load in seconds", min=0.1)] = 10.0,
    key: Annotated[str | None, typer.Option(help="API key to send as bearer token", envvar="UNIREPLKNET_KEY")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write report.json and latency.svg to")] = None,
) -> None:
    """Open-loop load test: send at a fixed rate, report latencies.

    Requests are sent on schedule even if earlier ones are still unanswered. Latency counts from the scheduled time, so
    queueing in a server that cannot keep up is included. Exits with status 1 if no request succeeds.

    \b
    Example:
      unireplknet bench http://127.0.0.1:8000 --rate 5 \\
        classify/image=photo.jpg@3 classify/audio=word.wav
    """
    with reported_errors():
        if min(rate) <= 0:
            raise ValueError(f"--rate is {min(rate):g}, expected more than 0 requests per second")
        shots = [Shot.parse(text) for text in requests]
        loads = run(Address.of(urlsplit(server)), shots, rate, seconds, key)
        told = report(server, loads)
        for load in told["loads"]:
            show_table(f"{server}: {load['rate']:g} requests/s for {seconds:g} s", COLUMNS, rows(load), CAPTION)
        if out is not None:
            save(out, told, loads)
    for load in told["loads"]:
        if not load["trusted"]:
            warn_of_lateness(load)
    if not any(answered(load) for load in told["loads"]):
        err.print("[red]Error:[/] no request succeeded: the statuses are in the table, the reasons in the server's log")
        raise typer.Exit(1)


def warn_of_lateness(load: dict[str, Any]) -> None:
    late, limit = load["generator_late_p99_ms"], TRUSTED_LATENESS_MS
    err.print(
        f"[yellow]Warning:[/] at {load['rate']:g} requests/s the load generator itself was {late:g} ms late (p99; "
        f"up to {limit:g} ms is fine), so the latencies are not the server's alone: run it on another machine"
    )


def answered(load: dict[str, Any]) -> int:
    """How many requests of a load succeeded."""
    count: int = load["kinds"][ALL]["statuses"].get(OK, 0)
    return count


def run(address: Address, shots: Sequence[Shot], rates: Sequence[float], seconds: float, key: str | None) -> list[Load]:
    """A load for each rate, after a short one that warms up the connections."""

    async def loads() -> list[Load]:
        generator = Generator(address, shots, key)
        with Progress(console=err, transient=True) as progress:
            warm = await generator.open(rates[0], max(1 / rates[0], WARM_UP_S))
            if warm.count(0) == len(warm.answers):
                raise ValueError(
                    f"no server answers at {address.host}:{address.port}: start it and wait until it is ready"
                )
            task = progress.add_task("requests", total=sum(int(rate * seconds) for rate in rates))
            found = [await generator.open(rate, seconds, lambda: progress.advance(task)) for rate in rates]
        generator.close()
        return found

    return asyncio.run(loads())


def rows(load: dict[str, Any]) -> list[tuple[str, ...]]:
    """A row per kind of request that fits 80 columns for the paths of this service."""
    return [
        (kind, f"{record['sent']}", f"{record['goodput_per_s']:g}", *_latencies(record), _statuses(record))
        for kind, record in load["kinds"].items()
    ]


def _latencies(record: dict[str, Any]) -> list[str]:
    known = list(record["latency_ms"].values())[:-1]
    return ["-" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.3g}" for value in known]


def _statuses(record: dict[str, Any]) -> str:
    return "\n".join(f"{count}×{'none' if status == '0' else status}" for status, count in record["statuses"].items())


def save(folder: Path, told: dict[str, Any], loads: Sequence[Load]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_bytes(to_json(told))
    lines = {f"{load.rate:g}/s, {kind}": _good(load.of(kind)) for load in loads for kind in load.kinds}
    if any(lines.values()):
        (folder / "latency.svg").write_text(latency_svg(told["server"], lines))


def _good(load: Load) -> list[float]:
    return [1e3 * answer.latency_s for answer in load.answers if answer.status == 200]
