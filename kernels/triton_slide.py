# mypy: disable-error-code="no-untyped-def, untyped-decorator, assignment"
"""The inner loop of the channels-last kernels, forward and backward."""

import triton
import triton.language as tl


@triton.jit
def slide(
    sums,  # tuple of SUMS blocks (ROWS, CHANNELS), float32
    factors,  # tuple of FACTORS blocks that broadcast to them
    row,  # pointers to column w0 of the map, (ROWS, CHANNELS)
    inside,  # which of them lie in the map
    w0,
    W: tl.constexpr,
    C: tl.constexpr,
    REACH: tl.constexpr,
    SUMS: tl.constexpr,
    FACTORS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """sums[a] += column[a + b - REACH] * factors[b], for all a and b; every column is loaded once.

    Columns outside a map that one tile spans are left out at compile time; elsewhere they are loaded as zeros.
    """
    for j in tl.static_range(SUMS + FACTORS - 1):
        if COLUMNS < W or (j >= REACH and j < W + REACH):
            w = w0 + (j - REACH)
            column_inside = inside & (w >= 0) & (w < W) if COLUMNS < W else inside
            column = tl.load(row + (j - REACH) * C, mask=column_inside, other=0.0).to(tl.float32)
            moved = ()
            for a in tl.static_range(SUMS):
                moved = moved + (sums[a] + column * factors[j - a] if j >= a and j - a < FACTORS else sums[a],)
            sums = moved
    return sums
