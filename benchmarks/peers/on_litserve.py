"""LitServe, as its documentation has it: `batch` and `unbatch` by default, and the fast queue.

One HTTP process and one worker; a window of 2 ms, in which a batch fills. It has no bound on what waits.
"""

from collections.abc import Sequence
from typing import Any

import litserve as ls
from fastapi import Request

from benchmarks.peers.setting import FIELD, MAX_BATCH, PORT, ROUTE
from benchmarks.peers.workload import Workload
from preprocessors.base import Array


class Classifier(ls.LitAPI):
    def setup(self, device: str) -> None:
        self.workload = Workload()

    def decode_request(self, request: Request) -> Array:  # it gives the form
        return self.workload.decode(request[FIELD].file.read())

    def batch(self, inputs: Sequence[Array]) -> list[Array]:
        return list(inputs)

    def predict(self, x: list[Array]) -> list[dict[str, Any]]:
        return self.workload.predict(x)

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    api = Classifier(max_batch_size=MAX_BATCH, batch_timeout=0.002, api_path=ROUTE)
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=60, fast_queue=True)
    server.run(host="127.0.0.1", port=PORT, num_api_servers=1, generate_client_file=False, log_level="warning")
