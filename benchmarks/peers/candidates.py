"""How each candidate is started."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Command = Callable[[Path, int], list[str]]


@dataclass(frozen=True)
class Candidate:
    """distribution: of the framework. command: from the interpreter that has it installed, and the port."""

    distribution: str
    command: Command
    environment: tuple[tuple[str, str], ...] = ()


def module(name: str) -> Command:
    return lambda python, port: [str(python), "-m", name]


CANDIDATES: dict[str, Candidate] = {
    "ours": Candidate("unireplknet-service", module("benchmarks.peers.ours")),
    "litserve": Candidate("litserve", module("benchmarks.peers.on_litserve")),
    "bentoml": Candidate(
        "bentoml",
        lambda python, port: [
            *(str(python), "-m", "bentoml", "serve", "benchmarks.peers.on_bentoml:Classifier"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        (("BENTOML_DO_NOT_TRACK", "1"),),
    ),
    "ray": Candidate(
        "ray",
        module("benchmarks.peers.ray_runner"),
        (("RAY_USAGE_STATS_ENABLED", "0"), ("RAY_worker_niceness", "0"), ("RAY_SERVE_THROUGHPUT_OPTIMIZED", "1")),
    ),
}
