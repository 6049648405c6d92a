"""How an engine process says why it ended."""

DEVICE_BROKEN = 70  # EX_SOFTWARE of sysexits.h
LOAD_FAILED = 78  # EX_CONFIG
