"""This project's server beside LitServe, BentoML and Ray Serve: same model, same pictures, same load, one core each.

    python -m benchmarks.peers [--seconds S] [--rounds N] ours=PYTHON litserve=PYTHON bentoml=PYTHON ray=PYTHON

Each PYTHON is an interpreter that has the framework installed; conflicting ones need environments of their own. The
generator has the first core of the machine, the servers the second; how fast that is just then is told beside what they
achieved. Rows go to benchmarks/results/peers.csv; those that are there already are not measured again, so that a run
that was cut off goes on where it was.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers.candidates import CANDIDATES, Candidate
from benchmarks.peers.family import started
from benchmarks.peers.measuring import SERVERS_CORE, TERMS, Figures, Measuring
from benchmarks.recording import machine
from benchmarks.resuming import run_remaining

FILE = "peers.csv"
PORT = 8780


def version_of(candidate: Candidate, python: Path) -> str:
    program = f"import importlib.metadata as m; print(m.version({candidate.distribution!r}))"
    return subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


class Trial(NamedTuple):
    name: str
    workload: str
    python: Path
    round: int = 1

    def __str__(self) -> str:
        return f"{self.name}, {self.workload}, round {self.round}"


def measure(trial: Trial, seconds: float) -> list[Figures]:
    """Nothing of a server that did not become ready: it is tried again by the next call."""
    try:
        return [figures(trial, seconds)]
    except TimeoutError as error:
        sys.stderr.write(f"{trial}: {error}\n")
        return []


def figures(trial: Trial, seconds: float) -> Figures:
    name, workload, python, _ = trial
    candidate, terms = CANDIDATES[name], TERMS[workload]
    os.sched_setaffinity(0, {0})
    environment = {
        **dict(candidate.environment),
        "PEER_WORKLOAD": workload,
        "PEER_PORT": str(PORT),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path.cwd()),
    }
    log = Path(tempfile.gettempdir()) / f"peer-{name}-{workload}.log"
    with started(candidate.command(python, PORT), environment, SERVERS_CORE, log) as family:
        measuring = Measuring(family, PORT, terms, seconds)
        found = {**measuring.row(), **measuring.breaking()}
    return {"candidate": name, "version": version_of(candidate, python), "workload": workload, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=1, help="how often everything is measured")
    parser.add_argument("candidates", nargs="+", metavar="NAME=PYTHON", help=f"of: {', '.join(CANDIDATES)}")
    arguments = parser.parse_args()
    pythons = dict(pair.split("=", 1) for pair in arguments.candidates)
    trials = [
        Trial(name, workload, Path(python), number)
        for number in range(1, arguments.rounds + 1)
        for workload in TERMS
        for name, python in pythons.items()
    ]
    run_remaining(FILE, machine("cpu"), trials, partial(measure, seconds=arguments.seconds), math.inf)


if __name__ == "__main__":
    main()
