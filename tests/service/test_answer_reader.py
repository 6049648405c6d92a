"""What a decode worker may send, which a hostile file may have taken over."""

import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy._core import multiarray

from preprocessors.base import PayloadError, Sample, TooLarge, UndecodableInput
from service.answer_reader import AnswerReader
from service.tasks import TASKS
from tests.tiny import TINY

PREPROCESSORS = {task.preprocessor.__module__ for task in TASKS.values()}


def read(item: Any, module: str = "preprocessors.image") -> Any:
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(item, pickle.HIGHEST_PROTOCOL, buffer_callback=buffers.append)
    return AnswerReader(module).read(pickled, [bytearray(buffer.raw()) for buffer in buffers])


class Deadlines:
    """Pickled, it is a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


@pytest.mark.parametrize("task", TINY)
def test_what_every_modality_sends_arrives_as_it_was(task: str) -> None:
    tiny = TINY[task]
    preprocessor = tiny.preprocessor
    sample = preprocessor.decode(tiny.payload(3), preprocessor.option_type())
    found = read(sample, type(preprocessor).__module__)
    assert found.description == sample.description
    assert type(found.context) is type(sample.context)
    for view, expected in zip(found.views, sample.views, strict=True):
        np.testing.assert_array_equal(view, expected, strict=True)


@pytest.mark.parametrize("error", [TooLarge("a", "b", 1, 2), UndecodableInput("a", "b"), PayloadError("a", "b")])
def test_refusals_arrive_as_they_were(error: PayloadError) -> None:
    found = read(error)
    assert (type(found), vars(found)) == (type(error), vars(error))


def test_numbers_of_numpy_and_arrays_that_have_gaps_arrive() -> None:
    gaps = np.arange(12).reshape(3, 4)[:, ::2]
    found = read(Sample((gaps,), {"mean": np.float32(2.5)}))
    np.testing.assert_array_equal(found.array, gaps)
    assert found.description == {"mean": 2.5}


def test_nothing_that_is_sent_is_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for function, argument in ((os.system, f"touch {trace}"), (subprocess.run, ["touch", str(trace)]), (eval, "1")):
        for item in (Deadlines(function, argument), Sample((), {}, Deadlines(function, argument))):
            with pytest.raises(pickle.UnpicklingError, match="a decode worker sent"):
                read(item)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("preprocessors.image", "np.os.system"),  # by way of what a module has imported
        ("preprocessors.base", "pickle"),
        ("preprocessors.histories.history_reader", "read_history"),  # a reader of hostile bytes
        ("preprocessors.base", "Preprocessor"),
        ("preprocessors_of_others", "Sample"),
        ("numpy", "load"),
        ("numpy", "empty"),
        ("service.decode_worker", "WarmUp"),
    ],
)
def test_nothing_but_data_can_be_named(module: str, name: str) -> None:
    pickled = b"\x80\x04" + b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name)) + b"\x93."
    with pytest.raises(pickle.UnpicklingError, match="a decode worker sent"):
        AnswerReader("preprocessors.image").read(pickled)


def test_no_array_is_made_of_what_this_process_had_in_memory() -> None:
    for array in (Deadlines(np.ndarray, (1000,)), Deadlines(np.ndarray, (1000,), np.dtype("u1"), b"a" * 1000, 0, (0,))):
        with pytest.raises(TypeError):
            read(Sample((array,)))  # type: ignore[arg-type]
    unfilled = Deadlines(multiarray._reconstruct, np.ndarray, (1000,), b"b")
    assert read(Sample((unfilled,))).array.nbytes == 0  # type: ignore[arg-type]


def test_views_that_take_more_memory_than_a_worker_has_are_refused() -> None:
    view = np.zeros(1000, np.uint8)
    sample = Sample((view,) * 3)  # one array, three times
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(sample, pickle.HIGHEST_PROTOCOL, buffer_callback=buffers.append)
    assert len(buffers) == 1
    assert AnswerReader(most_bytes=3000).read(pickled, buffers) is not None
    with pytest.raises(pickle.UnpicklingError, match="sent 3000 bytes, and has memory for 2999"):
        AnswerReader(most_bytes=2999).read(pickled, buffers)


@pytest.mark.parametrize(
    "item",
    [
        "text",
        (1, 2),
        Sample(("no array",)),  # type: ignore[arg-type]
        Sample([np.zeros(1)]),  # type: ignore[arg-type]
        Sample((np.array([None]),)),
        Sample((np.array(["text"]),)),
        Sample((np.zeros(1, [("named", "f4")]),)),
    ],
)
def test_what_is_no_sample_and_no_refusal_is_not_passed_on(item: Any) -> None:
    with pytest.raises(pickle.UnpicklingError, match="expected a Sample"):
        read(item)
