import pytest
import torch

from training.multi_label_metrics import multi_label_metrics
from training.single_label_metrics import single_label_metrics


def test_accuracy_counts_right_answers_of_all_and_of_every_class() -> None:
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [2.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    found = single_label_metrics(logits, torch.tensor([0, 1, 1, 1]), ("a", "b", "c"))
    assert found.accuracy == 0.75
    assert found.per_class == {"a": 1.0, "b": pytest.approx(2 / 3), "c": None}
    right, wrong = torch.tensor([2.0, 0.0, 0.0]).log_softmax(0)[:2].neg().tolist()
    assert found.loss == pytest.approx((3 * right + wrong) / 4)


def test_the_average_precision_of_a_label_counts_those_ranked_before_it() -> None:
    logits = torch.tensor([[3.0, 0.0, 0.0], [2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 3.0, 0.0]])
    targets = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    found = multi_label_metrics(logits, targets, ("a", "b", "c"))
    assert found.per_class == {"a": pytest.approx((1 + 2 / 3) / 2), "b": pytest.approx(1 / 3), "c": None}
    assert found.average_precision == pytest.approx((5 / 6 + 1 / 3) / 2)
    assert found.loss == pytest.approx(torch.nn.BCEWithLogitsLoss()(logits, targets).item())
