"""Launch configurations that were measured: device name -> case -> configuration, with the date in a comment.

Nothing is tuned yet: what is absent runs with its kernel's own default, worked out from instruction counts and measured
on no device. `kernels.tuning` finds the entries and keeps them in its cache file; the good ones move here.

    "NVIDIA H100 80GB HBM3": {  # 2026-12-01
        "sliding float16 128 320 14 14 13": {"ROWS": 4, "COLUMNS": 14, "CHANNELS": 64, "num_warps": 4},
    },
"""

TUNED: dict[str, dict[str, dict[str, int]]] = {}
