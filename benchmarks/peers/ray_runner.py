"""Starts Ray and the deployment in one process tree, without the parts of a cluster that one machine does not need."""

import signal

import ray
from ray import serve

from benchmarks.peers.on_ray import app
from benchmarks.peers.setting import PORT

if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))  # as `serve run` ends by Ctrl-C: in order
    serve.run(app, blocking=True)
