"""The server with a model that computes nothing and only takes its time: `seconds of a batch` + n `of each sample`.

Arguments: these two. Settings come by the environment.
"""

import sys

from service.loading import NamedLoad
from service.server import run_server
from service.settings import Settings

if __name__ == "__main__":
    start_s, each_s = map(float, sys.argv[1:])
    slow = NamedLoad("benchmarks.null_model:slow_pipelines", (start_s, each_s))
    run_server(Settings(decode_workers=1, device="cpu"), slow)
