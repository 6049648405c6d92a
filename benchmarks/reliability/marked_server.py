"""The service as it is, with the models of `marker`, whose arguments it takes. Settings by the environment."""

import sys

from service.loading import NamedLoad
from service.server import run_server
from service.settings import Settings

if __name__ == "__main__":
    start_s, each_s, ledger = sys.argv[1:]
    run_server(
        Settings(), NamedLoad("benchmarks.reliability.marker:marked_pipelines", (float(start_s), float(each_s), ledger))
    )
