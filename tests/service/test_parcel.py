import os
import pickle
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from preprocessors.base import Sample
from service.answer_reader import AnswerReader
from service.engine.arena import Arena
from service.parcel import KEPT, MOST_PARTS, NOTICE, packed, unpacked_answer, unpacked_order

READER = AnswerReader()

Ends = tuple[Arena, Arena]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """The sender's, and the receiver's as another process would open it."""
    sender = Arena()
    receiver = Arena(os.dup(sender.fd))
    yield sender, receiver
    sender.close()
    receiver.close()


def resident(arena: Arena) -> int:
    return 512 * os.fstat(arena.fd).st_blocks


@pytest.mark.parametrize("size", [0, 1, 1000, 1 << 20, 9_000_000])
def test_a_sample_arrives_as_it_was_and_is_the_receivers_own(ends: Ends, size: int) -> None:
    rng = np.random.default_rng(0)
    views = (rng.integers(0, 256, (size, 3), np.uint8), rng.random((3, 5), np.float32).T, np.array(3, np.float32))
    sample = Sample(views, {"bytes": size}, context=rng.random(7))
    found = unpacked_answer(ends[1], packed(ends[0], sample), READER)
    packed(ends[0], Sample((np.full(size + 100, 7, np.uint8),)))  # what comes next does not change it
    for view, expected in zip((*found.views, found.context), (*views, sample.context), strict=True):
        np.testing.assert_array_equal(view, expected, strict=True)
        assert view.flags.writeable
    assert found.description == sample.description


def test_bytes_arrive_as_bytes(ends: Ends) -> None:
    file = b"a file" * 50_000
    for payload in (file, b""):
        found = unpacked_order(ends[1], packed(ends[0], ("any", None, pickle.PickleBuffer(payload))))
        assert found == ("any", None, payload)
        assert type(found[2]) is bytes


def test_what_a_large_one_took_is_given_back_and_the_next_finds_room(ends: Ends) -> None:
    if not os.path.exists("/proc/self"):
        pytest.skip("the system does not know how to")
    for size in (8 * KEPT, 10, 8 * KEPT, 3 * KEPT):
        array = np.random.default_rng(size).integers(0, 256, size, np.uint8)
        found = unpacked_answer(ends[1], packed(ends[0], Sample((array,))), READER).array
        assert resident(ends[0]) >= size
        ends[1].trim(KEPT)
        assert resident(ends[0]) <= KEPT
        np.testing.assert_array_equal(found, array)


def test_neither_end_can_take_the_memory_from_under_the_other(ends: Ends) -> None:
    if not hasattr(os, "memfd_create"):
        pytest.skip("the system does not know how to")
    with pytest.raises(PermissionError):
        os.ftruncate(ends[1].fd, 0)


def test_sizes_that_are_not_true_are_refused(ends: Ends) -> None:
    packed(ends[0], Sample(()))
    ends[0].lay((1 << 40).to_bytes(8, "little"))
    with pytest.raises(ValueError, match="there are"):
        unpacked_answer(ends[1], NOTICE.pack(1), READER)
    ends[0].lay(b"")
    with pytest.raises(ValueError, match="there are"):
        unpacked_order(ends[1], NOTICE.pack(1 << 40))


@pytest.mark.parametrize("count", [0, MOST_PARTS + 1, 1 << 40, (1 << 64) - 1])
def test_more_parts_than_an_answer_can_have_are_refused_before_their_sizes_are_read(ends: Ends, count: int) -> None:
    with pytest.raises(pickle.UnpicklingError, match=f"told of {count} parts"):
        unpacked_answer(ends[1], NOTICE.pack(count), READER)


def test_an_answer_of_many_arrays_passes(ends: Ends) -> None:
    sample = Sample(tuple(np.full(place % 3, place) for place in range(MOST_PARTS - 1)))
    found = unpacked_answer(ends[1], packed(ends[0], sample), READER)
    assert [view.tolist() for view in found.views] == [view.tolist() for view in sample.views]


@pytest.mark.parametrize("sizes", [[1 << 30], [1 << 29, 1 << 29], [1 << 20] * MOST_PARTS])
def test_more_bytes_than_a_worker_can_have_are_refused_before_they_are_copied(ends: Ends, sizes: list[int]) -> None:
    os.ftruncate(ends[0].fd, 1 << 33)  # there is room for them, which costs nothing as long as it is empty
    ends[0].lay(b"".join(size.to_bytes(8, "little") for size in sizes))
    tracemalloc.start()
    try:
        with pytest.raises(pickle.UnpicklingError, match=f"sent {sum(sizes)} bytes, and has memory for {1 << 29}"):
            unpacked_answer(ends[1], NOTICE.pack(len(sizes)), AnswerReader(most_bytes=1 << 29))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
