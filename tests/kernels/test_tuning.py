"""Configurations: looked up at any time, measured only when asked to, and kept."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kernels.tuned import TUNED
from tests.kernels.problems import needs_triton

pytestmark = needs_triton

CPU = torch.device("cpu")
DEFAULT, BETTER = {"ROWS": 4}, {"ROWS": 8}
CASE = ("sliding", torch.float16, 1, 2)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from kernels import tuning

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("UNIREPLKNET_CACHE_FOLDER", raising=False)
    tuning.configurations.cache_clear()
    return tmp_path


def rows_first(call: Callable[[], object]) -> float:
    """Pretends that the most rows are the fastest."""
    rows = call()
    assert isinstance(rows, int)
    return -rows


def choice(other: bool = False) -> dict[str, int]:
    from kernels.tuning import launch_config

    return launch_config(("other",) if other else CASE, CPU, [DEFAULT, BETTER], lambda config: config["ROWS"])


def test_unknown_cases_run_with_the_default_and_measure_nothing(home: Path) -> None:
    assert choice() == DEFAULT
    assert not list(home.iterdir())


def test_measured_cases_are_kept_for_the_next_process(home: Path) -> None:
    from kernels import tuning

    with tuning.tuned(rows_first):
        assert choice() == BETTER
    assert choice() == BETTER
    tuning.configurations.cache_clear()
    assert choice() == BETTER
    (path,) = home.rglob("*.json")
    assert json.loads(path.read_text()) == {"sliding torch.float16 1 2": BETTER}


def test_known_cases_are_not_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from kernels import tuning

    monkeypatch.setitem(TUNED, "cpu", {"sliding torch.float16 1 2": {"ROWS": 2}})
    with tuning.tuned(rows_first):
        assert choice() == {"ROWS": 2}


def test_time_that_is_up_leaves_the_rest_for_the_next_start(home: Path) -> None:
    from kernels.tuning import tuned

    now = iter([0.0, 5.0, 10.0]).__next__
    with tuned(rows_first, seconds=10, clock=now):
        assert choice() == BETTER
        assert choice(other=True) == DEFAULT
    with tuned(rows_first):
        assert choice(other=True) == BETTER


def test_no_time_at_all_still_uses_what_is_known(home: Path, tmp_path: Path) -> None:
    from kernels import tuning

    folder = tmp_path / "mounted"
    with tuning.tuned(rows_first, folder=folder):
        choice()
    tuning.configurations.cache_clear()
    assert choice() == DEFAULT
    with tuning.tuned(rows_first, seconds=0, folder=folder):
        assert choice() == BETTER
    assert choice() == BETTER


def test_processes_add_to_each_others_findings(home: Path) -> None:
    from kernels.tuning_cache import TuningCache

    one, other = TuningCache(home), TuningCache(home)
    one.add("cpu", "a", DEFAULT)
    other.add("cpu", "b", BETTER)
    assert one.load("cpu") == {"a": DEFAULT, "b": BETTER}
    assert [path.suffix for path in home.rglob("*.*") if path.is_file()] == [".json"]


def test_devices_and_versions_are_kept_apart(home: Path) -> None:
    import triton

    from kernels.tuning_cache import TuningCache

    cache = TuningCache(home)
    cache.add("NVIDIA A100-SXM4/40GB", "a", DEFAULT)
    assert cache.load("NVIDIA A100-SXM4/80GB") == {}
    (path,) = home.rglob("*.json")
    assert path.parent.parent == home
    assert triton.__version__ in str(path)
    assert torch.__version__.replace("+", "-") in str(path)


def test_a_configuration_of_an_older_kernel_is_left_alone(home: Path) -> None:
    from kernels.tuning_cache import TuningCache, cache_folder

    TuningCache(cache_folder()).add("cpu", " ".join(map(str, CASE)), {"LINES": 4})
    assert choice() == DEFAULT


def test_a_configuration_that_the_compiler_refuses_is_not_chosen() -> None:
    import triton

    from kernels.tuning import median_ms

    def refused() -> None:
        raise triton.OutOfResources(300_000, 232_448, "shared memory")

    def too_large() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    def clock(call: Callable[[], object]) -> float:
        call()
        return 3.0

    assert median_ms(refused, clock) == median_ms(too_large, clock) == float("inf")
    assert median_ms(lambda: None, clock) == 3.0


@pytest.mark.parametrize("kind", [torch.AcceleratorError, TypeError])
def test_errors_of_other_kinds_are_not_taken_for_a_refusal(kind: type[Exception]) -> None:
    from kernels.tuning import median_ms

    def broken() -> None:
        raise kind("CUDA error: an illegal memory access was encountered")

    with pytest.raises(kind):
        median_ms(broken, lambda call: float(call() is None))


def failing(configs: list[dict[str, int]]) -> Callable[[Callable[[], object]], float]:
    from kernels.tuning import median_ms

    def clock(call: Callable[[], object]) -> float:
        rows = call()
        if {"ROWS": rows} in configs:
            raise RuntimeError("PassManager::run failed")
        return 3.0

    return lambda call: median_ms(call, clock)


def test_a_compiler_that_fails_for_one_configuration_leaves_the_others(home: Path) -> None:
    from kernels.tuning import tuned

    with tuned(failing([DEFAULT])):
        assert choice() == BETTER


def test_where_every_configuration_fails_nothing_is_kept(home: Path) -> None:
    from kernels.tuning import tuned

    with tuned(failing([DEFAULT, BETTER])):
        assert choice() == DEFAULT
    assert not list(home.rglob("*.json"))


@pytest.mark.parametrize("content", ["", "[1]", "nonsense", '{"sliding torch.float16 1 2": [4]}'])
def test_an_unreadable_cache_counts_as_empty(content: str) -> None:
    from kernels.tuning_cache import TuningCache, cache_folder

    path = TuningCache(cache_folder()).path("cpu")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert choice() == DEFAULT


def test_a_home_that_cannot_be_written_costs_only_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kernels import tuning

    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    with tuning.tuned(rows_first):
        assert choice() == BETTER
