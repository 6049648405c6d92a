"""This project's server as it is; it has its own decode worker and its own engine process. Its queue is as long as
answers are of use: twice the latency that is still good."""

from benchmarks.peers.measuring import TERMS
from benchmarks.peers.setting import CLOTHING, MAX_BATCH, PORT, WORKLOAD
from service.loading import CHECKPOINTS, NamedLoad
from service.server import run_server
from service.settings import Settings

LOADS = {"null": NamedLoad("benchmarks.null_model:null_pipelines"), "clothing10": CHECKPOINTS}

if __name__ == "__main__":
    settings = Settings(
        port=PORT,
        device="cpu",
        threads=1,
        decode_workers=1,
        max_batch_size=MAX_BATCH,
        max_queue_wait_s=2e-3 * TERMS[WORKLOAD].p99_ms,
        checkpoints=(CLOTHING,),
        log_level="warning",  # none of the candidates writes a line for each request
    )
    run_server(settings, LOADS[WORKLOAD])
