"""Compiles kernels for a device that is not there, and counts what came out: `python -m tests.kernels.assembly`.

Writes a JSON object, case -> counts. A process of its own, since the tests' own process may define kernels for the
interpreter. Launches know that pointers are aligned to 16 bytes; a compiler has to be told.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from kernels.channels_last_blocks import INPUTS, channels_last_configs
from kernels.triton_backward import tap_gradient_kernel
from kernels.triton_channels_last import channels_last_kernel, cut_for
from kernels.triton_forward import sliding_kernel
from kernels.triton_gate import gate_columns, gate_kernel, part_blocks, response_kernel
from kernels.triton_linear import linear_configs, linear_kernel
from kernels.triton_norm import norm_configs, norm_kernel
from kernels.triton_planes import CHANNELS, POSITIONS, planes_kernel
from kernels.triton_toeplitz import band_for, toeplitz_configs, toeplitz_kernel

TARGET = GPUTarget("cuda", 90, 32)
TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\d+ )?([A-Z0-9_]+)(?:.*`\((\.L_x_\d+)\))?")
ACCESS = re.compile(r"(?:ld|st|cp\.async\.c[ag])\.(?:shared\.)?global(?:\.v\d)?(?:\.b\d+)?")
OFFSET = re.compile(r"%(?:position|source)_\d+ = arith\.muli [^\n]*?: (?:tensor<[\dx]+x)?(i\d+)")
LABEL = re.compile(r"^(\.L_x_\d+):")

NO_LOOP: Counter[str] = Counter()

Sizes = dict[str, Any]
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def compiled(
    kernel: Any,
    pointers: dict[str, str],
    integers: tuple[str, ...],
    sizes: Sizes,
    stages: int = 3,
    warps: int = 4,
    floats: tuple[str, ...] = (),
) -> Any:
    types = {**pointers, **dict.fromkeys(integers, "i32"), **dict.fromkeys(floats, "fp32")}
    names: list[str] = kernel.arg_names
    source = ASTSource(
        kernel,
        {name: types.get(name, "constexpr") for name in names},
        {(names.index(name),): value for name, value in sizes.items()},
        {(names.index(name),): [["tt.divisibility", 16]] for name in pointers},
    )
    return triton.compile(source, target=TARGET, options={"num_warps": warps, "num_stages": stages})


def sliding() -> Any:
    pointers = {"x_ptr": "*bf16", "out_ptr": "*bf16", "bias_ptr": "*bf16", "taps_ptr": "*fp32", "sums_ptr": "*fp32"}
    blocks = {"ROWS": 4, "COLUMNS": 14, "CHANNELS": 64}
    return compiled(
        sliding_kernel, pointers, ("H",), {"W": 14, "C": 320, "K": 13, "HAS_BIAS": True, "WITH_SUMS": True, **blocks}
    )


def tap_gradient() -> Any:
    pointers = {"x_ptr": "*bf16", "grad_ptr": "*bf16", "partial_ptr": "*fp32"}
    blocks = {"ROWS": 4, "COLUMNS": 14, "CHANNELS": 64}
    integers = ("H", "strips", "strips_per_part")
    return compiled(tap_gradient_kernel, pointers, integers, {"W": 14, "C": 320, "K": 13, **blocks})


def toeplitz(width: int, size: int, dtype: str) -> Any:
    band = band_for(width, size)
    pointers = {"x_ptr": f"*{dtype}", "bands_ptr": f"*{dtype}", "bias_ptr": f"*{dtype}", "out_ptr": f"*{dtype}"}
    shape = {"W": width, "FIRST": 0, "STRIDE": band.stride, "K": size, "INPUTS": band.inputs, "OUTPUTS": band.outputs}
    config = toeplitz_configs(128)[0]
    sizes = {**shape, "HAS_BIAS": True, "ROWS": config["ROWS"]}
    return compiled(toeplitz_kernel, pointers, ("N", "C", "H"), sizes, config["num_stages"], config["num_warps"])


def channels_last(width: int, channels: int, size: int, dtype: str, with_sums: bool) -> Any:
    """With the default configuration of a batch of 128."""
    config = channels_last_configs(128, channels, width, width)[0]
    cut = cut_for(width, size, config["OUTPUTS"])
    halves = ("x_ptr", "bands_ptr", "bias_ptr", "out_ptr")
    pointers = {**dict.fromkeys(halves, f"*{dtype}"), "sums_ptr": "*fp32"}
    shape = {"W": width, "C": channels, "K": size, "LEFT": cut.left, "TILES": cut.tiles, "INPUTS": INPUTS}
    blocks = {name: config[name] for name in ("ROWS", "OUTPUTS", "CHANNELS", "STEPS")}
    sizes = {**shape, "HAS_BIAS": True, "WITH_SUMS": with_sums, **blocks}
    return compiled(channels_last_kernel, pointers, ("N", "H"), sizes, config["num_stages"], config["num_warps"])


def planes() -> Any:
    pointers = {"x_ptr": "*bf16", "planes_ptr": "*bf16"}
    integers = ("C", "H", "W", "stride_n", "stride_h", "stride_w")
    blocks = {"stride_c": 1, "LEFT": 0, "STRIDE": 16, "POSITIONS": POSITIONS, "CHANNELS": CHANNELS}
    return compiled(planes_kernel, pointers, integers, blocks)


def linear(expands: bool, positions: int, channels: int, outputs: int, choice: int = 0, dtype: str = "bf16") -> Any:
    """choice: which of the configurations that the kernel's own rule names."""
    x = torch.empty(1, positions, channels, device="meta", dtype=DTYPES[dtype])
    config = linear_configs(x, torch.empty(outputs, channels, device="meta"))[choice]
    halves = ("x_ptr", "weight_ptr", "bias_ptr", "residual_ptr", "out_ptr")
    pointers = {**dict.fromkeys(halves, f"*{dtype}"), "scale_ptr": "*fp32", "squares_ptr": "*fp32"}
    blocks = {name: config[name] for name in ("ROWS", "COLUMNS", "DEPTH")}
    sizes = {"IN": channels, "OUT": outputs, "EXPANDS": expands, **blocks}
    return compiled(linear_kernel, pointers, ("P",), sizes, config["num_stages"], config["num_warps"])


def gate(parts: int, channels: int, outputs: int) -> Any:
    pointers = {"parts_ptr": "*fp32", "weight_ptr": "*bf16", "bias_ptr": "*bf16", "out_ptr": "*fp32"}
    blocks = part_blocks(parts, channels)
    sizes = {"PARTS": parts, "C": channels, "OUT": outputs, "SIGMOID": True, "COLUMNS": gate_columns(blocks), **blocks}
    return compiled(gate_kernel, pointers, (), sizes, warps=8, floats=("factor",))


def response(parts: int, channels: int) -> Any:
    pointers = {"parts_ptr": "*fp32", "gamma_ptr": "*bf16", "out_ptr": "*fp32"}
    sizes = {"PARTS": parts, "C": channels, **part_blocks(parts, channels)}
    return compiled(response_kernel, pointers, (), sizes, warps=8, floats=("eps",))


def norm(channels: int, gelu: bool) -> Any:
    pointers = dict.fromkeys(("x_ptr", "weight_ptr", "bias_ptr", "out_ptr"), "*bf16")
    config = norm_configs(torch.empty(1, channels, 56, 56, device="meta"))[0]
    sizes = {"C": channels, "GELU": gelu, "ROWS": config["ROWS"], "CHANNELS": config["CHANNELS"]}
    return compiled(norm_kernel, pointers, ("P",), sizes, floats=("eps",))


def least() -> dict[str, Callable[[], Any]]:
    """The smallest blocks: maps of three channels or five, without a bias."""
    x = {"x_ptr": "*fp16", "out_ptr": "*fp16"}
    blocks = {"ROWS": 4, "COLUMNS": 3, "CHANNELS": 16}
    sliding = {"W": 3, "C": 5, "K": 3, "bias_ptr": None, "HAS_BIAS": False, "WITH_SUMS": False, **blocks}
    gradient = {"W": 3, "C": 5, "K": 3, **blocks}
    band = {"STRIDE": 16, "INPUTS": 16, "OUTPUTS": 16, "bias_ptr": None, "HAS_BIAS": False}
    toeplitz = {"W": 3, "K": 3, "FIRST": 1, "ROWS": 16, **band}
    tensors = {"x_ptr": "*fp16", "grad_ptr": "*fp16", "partial_ptr": "*fp32"}
    with_sums = {**x, "taps_ptr": "*fp32", "sums_ptr": "*fp32"}
    strips = ("H", "strips", "strips_per_part")
    return {
        "least, sliding": lambda: compiled(sliding_kernel, with_sums, ("H",), sliding),
        "least, tap gradient": lambda: compiled(tap_gradient_kernel, tensors, strips, gradient),
        "least, toeplitz": lambda: compiled(toeplitz_kernel, {**x, "bands_ptr": "*fp16"}, ("N", "C", "H"), toeplitz),
        "least, project": lambda: linear(False, 1, 40, 20, dtype="fp16"),
    }


def counts(kernel: Any) -> dict[str, Any]:
    """stack: bytes of spills. registers: of a thread. instructions: of the whole kernel. loop: of its largest loop.
    accesses: to memory of maps and weights, such as "ld.global.v4.b32" of 16 bytes."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        Path(file.name).write_bytes(kernel.asm["cubin"])
        usage = subprocess.run(
            [TOOLS / "cuobjdump", "-res-usage", file.name], capture_output=True, text=True, check=True
        )
        code = subprocess.run([TOOLS / "nvdisasm", "-c", file.name], capture_output=True, text=True, check=True).stdout
    usages = usage.stdout + usage.stderr
    stack = [int(size) for size in re.findall(r"(?:STACK|LOCAL):(\d+)", usages)]
    registers = max(map(int, re.findall(r"REG:(\d+)", usages)))
    loops = list(loops_of(code))
    names = [found.group(1) for found in INSTRUCTION.finditer(code)]
    loop = max(loops, key=lambda loop: loop.total(), default=NO_LOOP)
    return {
        "stack": stack,
        "registers": registers,
        "shared": kernel.metadata.shared,
        "instructions": Counter(names),
        "loop": loop,
        "wgmma": kernel.asm["ptx"].count("wgmma.mma"),
        "accesses": Counter(ACCESS.findall(kernel.asm["ptx"])),
        "offsets": sorted(set(OFFSET.findall(kernel.asm["ttir"]))),
    }


def loops_of(code: str) -> list[Counter[str]]:
    """Instructions between a label and each branch back to it."""
    labels: dict[str, int] = {}
    names: list[str] = []
    loops = []
    for line in code.splitlines():
        if label := LABEL.match(line.strip()):
            labels[label.group(1)] = len(names)
        elif found := INSTRUCTION.search(line):
            names.append(found.group(1))
            if found.group(1) == "BRA" and found.group(2) in labels:
                loops.append(Counter(names[labels[found.group(2)] :]))
    return loops


CASES: dict[str, Callable[[], Any]] = {
    "sliding": sliding,
    "tap gradient": tap_gradient,
    "toeplitz, row, bf16": lambda: toeplitz(14, 13, "bf16"),
    "toeplitz, tiles, fp16": lambda: toeplitz(64, 31, "fp16"),
    "channels last, row, bf16": lambda: channels_last(14, 320, 13, "bf16", with_sums=False),
    "channels last, tiles, fp16": lambda: channels_last(28, 160, 13, "fp16", with_sums=True),
    "planes": planes,
    "expand": lambda: linear(True, 196, 320, 1280),
    "project": lambda: linear(False, 196, 1280, 320),
    "expand, fp32": lambda: linear(True, 196, 320, 1280, dtype="fp32"),
    "project, fp32": lambda: linear(False, 49, 2560, 640, dtype="fp32"),
    "gate": lambda: gate(4, 320, 80),
    "response": lambda: response(2, 1280),
    "norm and gelu": lambda: norm(40, gelu=True),
    **least(),
}

if __name__ == "__main__":
    sys.stdout.write(json.dumps({name: counts(case()) for name, case in CASES.items()}))
