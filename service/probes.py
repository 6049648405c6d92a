"""Paths that machines ask every few seconds: always let through, and not worth a line of the log."""

PROBES = ("/health/", "/v2/health/", "/metrics")


def is_probe(path: str) -> bool:
    return path.startswith(PROBES)
