"""All proofs, by their names. R5, R16 and R17 are tests."""

from collections.abc import Callable

from benchmarks.reliability.abandonment import abandonment
from benchmarks.reliability.cold_start import cold_start
from benchmarks.reliability.conditions import Conditions
from benchmarks.reliability.crosstalk import crosstalk
from benchmarks.reliability.fairness import fairness
from benchmarks.reliability.finding import Finding
from benchmarks.reliability.invariance import invariance
from benchmarks.reliability.kills import kills
from benchmarks.reliability.liveness import liveness
from benchmarks.reliability.loop_lag import loop_lag
from benchmarks.reliability.media_fuzz import media_fuzz
from benchmarks.reliability.overload import overload
from benchmarks.reliability.reloading import reloading
from benchmarks.reliability.rolling_restart import rolling_restart
from benchmarks.reliability.soak import soak
from benchmarks.reliability.termination import termination
from benchmarks.reliability.wire_fuzz import wire_fuzz

Row = Callable[[Conditions], list[Finding]]

ROWS: dict[str, Row] = {
    "R1": soak,
    "R2": overload,
    "R3": abandonment,
    "R4": kills,
    "R6": termination,
    "R7": wire_fuzz,
    "R8": media_fuzz,
    "R9": invariance,
    "R10": crosstalk,
    "R11": fairness,
    "R12": cold_start,
    "R13": liveness,
    "R14": reloading,
    "R15": loop_lag,
    "R18": rolling_restart,
}
