"""What a decode worker may send. It parses hostile files, and may be under their control: its pickles are read with a
list of what they can name, so that they are data and nothing that is run."""

import io
import pickle
from collections.abc import Sequence
from dataclasses import is_dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from preprocessors.base import PayloadError, Sample

PREPROCESSORS = "preprocessors"
ARRAYS = {  # how numpy pickles arrays and numbers, in its versions
    "numpy": ("ndarray", "dtype"),
    "numpy.core.numeric": ("_frombuffer",),
    "numpy._core.numeric": ("_frombuffer",),
    "numpy.core.multiarray": ("_reconstruct", "scalar"),
    "numpy._core.multiarray": ("_reconstruct", "scalar"),
}


class AnswerReader:
    """module: of the preprocessor that was asked. Its dataclasses may be in answers, beside those of the package
    `preprocessors`; the others that a worker has imported may not."""

    def __init__(self, module: str = PREPROCESSORS) -> None:
        self._module = module

    def read(self, pickled: bytes, buffers: Sequence[Any] = ()) -> Sample | PayloadError | None:
        """Raises UnpicklingError, and whatever else a pickle that is broken leads to."""
        answer = _Unpickler(self._module, pickled, buffers).load()
        if not _is_answer(answer):
            raise pickle.UnpicklingError(f"a decode worker sent a {type(answer).__name__}, expected a Sample")
        return answer


class _Unpickler(pickle.Unpickler):
    def __init__(self, module: str, pickled: bytes, buffers: Sequence[Any]) -> None:
        super().__init__(io.BytesIO(pickled), buffers=buffers)
        self._module = module

    def find_class(self, module: str, name: str) -> Any:
        return _found(self._module, module, name)


@lru_cache(maxsize=1024)
def _found(asked: str, module: str, name: str) -> Any:
    if name in ARRAYS.get(module, ()):
        return getattr(import_module(module), name)
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
    return isinstance(views, tuple) and all(isinstance(v, np.ndarray) and not v.dtype.hasobject for v in views)
