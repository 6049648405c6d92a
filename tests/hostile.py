"""Payloads that are broken, and what decoding them costs; for the preprocessors of every modality."""

import pickle
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from preprocessors.base import Preprocessor

REPOSITORY = Path(__file__).resolve().parents[1]
SCRIPT = """
import pickle, resource, sys
from preprocessors.base import PayloadError
preprocessor, options, payloads = pickle.load(open(sys.argv[1], "rb"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for payload in payloads:
    try:
        preprocessor.decode(payload, options)
    except PayloadError:
        pass
sys.stdout.write(str(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)))
"""


def damaged(payload: bytes, rng: random.Random) -> bytes:
    """Some bits flipped, mostly near the start, and the end cut off in three of ten."""
    data = bytearray(payload if rng.random() < 0.7 else payload[: rng.randrange(1, len(payload))])
    reach = min(len(data), rng.choice([64, 400, len(data)]))
    for _ in range(rng.randrange(1, 8)):
        data[rng.randrange(reach)] ^= 1 << rng.randrange(8)
    return bytes(data)


def peak_growth(preprocessor: Preprocessor[Any], payloads: Sequence[bytes], folder: Path) -> int:
    """Bytes that decoding or refusing these payloads adds to the peak of a fresh process."""
    work = folder / "work.pickle"
    work.write_bytes(pickle.dumps((preprocessor, preprocessor.option_type(), payloads)))
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(work)]
    return int(subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, timeout=100).stdout)
