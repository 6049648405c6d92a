import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from preprocessors.base import Array
from service.engine.arena import ALIGNMENT, Arena

KINDS = (np.uint8, np.int64, np.float16, np.float32, np.dtype(">f4"), np.complex64, np.bool_)


@pytest.fixture
def ends() -> Iterator[tuple[Arena, Arena]]:
    """The writer's, and the reader's as another process would open it."""
    writer = Arena()
    reader = Arena(os.dup(writer.fd))
    yield writer, reader
    writer.close()
    reader.close()


def passed(ends: tuple[Arena, Arena], arrays: list[Array]) -> list[Array]:
    writer, reader = ends
    return reader.arrays(writer.write({"all": arrays})["all"])


@pytest.mark.parametrize("dtype", KINDS, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 5), (7, 5, 3)], ids=str)
def test_arrays_arrive_as_they_were(ends: tuple[Arena, Arena], dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    arrays = [np.asarray(100 * np.random.default_rng(seed).random(shape), dtype) for seed in range(3)]
    found = passed(ends, arrays)
    assert [array.dtype for array in found] == [np.dtype(dtype)] * 3
    for array, expected in zip(found, arrays, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_unlike_arrays_keep_their_order(ends: tuple[Arena, Arena]) -> None:
    rng = np.random.default_rng(0)
    arrays: list[Array] = [
        rng.random(rng.integers(1, 5, rng.integers(0, 4))).astype(rng.choice(["<f4", "<f8", "|u1"])) for _ in range(200)
    ]
    for array, expected in zip(passed(ends, arrays), arrays, strict=True):
        np.testing.assert_array_equal(array, expected, strict=True)


def test_strided_arrays_pass(ends: tuple[Arena, Arena]) -> None:
    array = np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1)[::-2]
    np.testing.assert_array_equal(passed(ends, [array])[0], array)


def test_like_arrays_lie_together_and_columns_are_aligned() -> None:
    layout = Arena().write({"a": [np.zeros(3, np.uint8)] * 5, "b": [np.ones(2)], "c": []})
    assert layout == {"a": [(5, "|u1", (3,), 0)], "b": [(1, "<f8", (2,), ALIGNMENT)], "c": []}


def test_it_grows_and_the_other_end_follows(ends: tuple[Arena, Arena]) -> None:
    for size in (10, 100_000, 5_000_000, 10):
        array = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
        np.testing.assert_array_equal(passed(ends, [array])[0], array)


def test_both_ends_see_one_memory(ends: tuple[Arena, Arena]) -> None:
    (view,) = passed(ends, [np.zeros(4)])
    ends[0].write({"all": [np.ones(4)]})
    assert view.tolist() == [1, 1, 1, 1]


def test_objects_are_refused(ends: tuple[Arena, Arena]) -> None:
    with pytest.raises(TypeError, match="an array of object cannot be shared"):
        ends[0].write({"all": [np.array([{}])]})


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_it_has_no_name_that_could_be_left_behind() -> None:
    arena = Arena()
    assert os.readlink(f"/proc/self/fd/{arena.fd}").endswith("(deleted)")
    arena.close()


def test_without_files_in_memory_an_unlinked_one_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    writer = Arena()
    (view,) = passed((writer, Arena(os.dup(writer.fd))), [np.arange(100_000)])
    assert view[-1] == 99_999
    assert os.fstat(writer.fd).st_nlink == 0
