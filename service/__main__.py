"""`python -m service` is the console script `unireplknet`."""

import sys

from service.engine import prestart


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        prestart.begin()
    from service.cli import app  # a second, in which the other process begins to import torch

    app()


if __name__ == "__main__":
    main()
