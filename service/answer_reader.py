"""What a decode worker may send. It parses hostile files, and may be under their control: its pickles are read with a
list of what they can name, so that they are data and nothing that is run."""

import io
import math
import pickle
from collections.abc import Sequence
from dataclasses import is_dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from preprocessors.base import Array, PayloadError, Sample

PREPROCESSORS = "preprocessors"
NUMBERS = "buifc"  # kinds of dtype: what a model can be given
ARRAYS = {  # how numpy pickles arrays and numbers, in its versions
    "numpy": ("ndarray", "dtype"),
    "numpy.core.numeric": ("_frombuffer",),
    "numpy._core.numeric": ("_frombuffer",),
    "numpy.core.multiarray": ("_reconstruct", "scalar"),
    "numpy._core.multiarray": ("_reconstruct", "scalar"),
}


def _unfilled(*_: Any) -> Array:
    """What numpy makes before it is told shape, dtype and content. By itself it has no room for what was there."""
    return np.empty(0, np.uint8)


# Called with a shape, the true ones would give as much of this process's memory as they are asked for, as it is
STAND_INS: dict[str, Any] = {"_reconstruct": _unfilled, "ndarray": "numpy.ndarray"}


class AnswerReader:
    """module: of the preprocessor that was asked. Its dataclasses may be in answers, beside those of the package
    `preprocessors`; the others that a worker has imported may not. most_bytes: that a worker has memory for."""

    def __init__(self, module: str = PREPROCESSORS, most_bytes: float = math.inf) -> None:
        self._module, self._most_bytes = module, most_bytes

    def read(self, pickled: bytes | bytearray, buffers: Sequence[Any] = ()) -> Sample | PayloadError | None:
        """Raises UnpicklingError, and whatever else a pickle that is broken leads to."""
        answer = _Unpickler(self._module, pickled, buffers).load()
        if not _is_answer(answer):
            raise pickle.UnpicklingError(f"a decode worker sent a {type(answer).__name__}, expected a Sample")
        if isinstance(answer, Sample):
            self.check_size(sum(view.nbytes for view in answer.views))  # what was sent may repeat itself
        return answer

    def check_size(self, size: int) -> None:
        """Raises UnpicklingError for more bytes than a worker can have."""
        if size > self._most_bytes:
            raise pickle.UnpicklingError(f"a decode worker sent {size} bytes, and has memory for {self._most_bytes}")


class _Unpickler(pickle.Unpickler):
    def __init__(self, module: str, pickled: bytes | bytearray, buffers: Sequence[Any]) -> None:
        super().__init__(io.BytesIO(pickled), buffers=buffers)
        self._module = module

    def find_class(self, module: str, name: str) -> Any:
        return _found(self._module, module, name)


@lru_cache(maxsize=1024)
def _found(asked: str, module: str, name: str) -> Any:
    if name in ARRAYS.get(module, ()):
        return STAND_INS.get(name) or getattr(import_module(module), name)
    if module == asked or module.startswith(f"{PREPROCESSORS}."):
        found = vars(import_module(module)).get(name)  # no way by dots to what the module imports
        if isinstance(found, type) and found.__module__ == module and is_dataclass(found):
            return found
    detail = f"a decode worker sent {module}.{name}; expected arrays and dataclasses of {asked} or {PREPROCESSORS}"
    raise pickle.UnpicklingError(detail)


def _is_answer(answer: Any) -> bool:
    if not isinstance(answer, Sample):
        return answer is None or isinstance(answer, PayloadError)
    views: Any = answer.views
    return isinstance(views, tuple) and all(isinstance(v, np.ndarray) and v.dtype.kind in NUMBERS for v in views)
