"""`python -m service` is the console script `unireplknet`."""

from service.cli import main

main()
