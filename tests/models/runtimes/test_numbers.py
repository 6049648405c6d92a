"""The authors' logits by every runtime and in every precision that it computes in."""

import copy
import importlib.util

import pytest
import torch

from models.perception import PerceptionModel
from models.precision import Precision
from models.reparam import reparameterize
from models.rounding import BFLOAT16_LIMIT
from models.runtimes.base import Target
from models.runtimes.registry import RUNTIMES
from tests.conftest import SharedPath
from tests.models.test_oracle import TOLERANCE, classifier
from tests.oracle import Case, relative_error

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def case(shared_path: SharedPath) -> Case:
    return Case.read(shared_path("oracle/a_224.json"))


@pytest.fixture(scope="module")
def deployed(case: Case) -> PerceptionModel:
    return reparameterize(classifier(case.weights()))


@pytest.mark.parametrize(
    ("precision", "tolerance"), [(Precision.FLOAT32, TOLERANCE), (Precision.BFLOAT16, BFLOAT16_LIMIT)]
)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_runtime_gives_the_authors_logits(
    case: Case, deployed: PerceptionModel, runtime: str, precision: Precision, tolerance: float
) -> None:
    if runtime == "openvino" and importlib.util.find_spec("openvino") is None:
        pytest.skip("openvino is not installed")
    compiled = RUNTIMES[runtime].compile(copy.deepcopy(deployed), Target(CPU, precision))
    if compiled.precision is not precision:
        pytest.skip(f"this processor has no {precision}, and {runtime} does not imitate it")
    with torch.inference_mode():
        logits = compiled(case.input())["logits"].float()
    assert relative_error(logits, case.stored["logits_f64"]) < tolerance
