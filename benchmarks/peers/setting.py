"""What every candidate is told: where it listens, what it serves, and how much at a time."""

import os
from pathlib import Path

from service.settings import EMBEDDED_CHECKPOINTS

ROUTE = "/classify/image"
FIELD = "file"
MAX_BATCH = 16
WORKLOAD = os.environ.get("PEER_WORKLOAD", "null")
PORT = int(os.environ.get("PEER_PORT", "8780"))
# Open requests that a candidate with a bound lets in at a time: about a second's work of one core
BOUND = {"null": 512, "clothing10": 32}[WORKLOAD]
CLOTHING = EMBEDDED_CHECKPOINTS / "clothing10.safetensors"
PICTURE = Path(__file__).resolve().parents[2] / "examples" / "t-shirt.jpg"
