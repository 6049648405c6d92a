import pytest
import torch

from models.heads.base import InvalidOption
from models.heads.classification import ClassificationHead, ClassificationOptions

ROW = {"logits": torch.tensor([0.0, 2.0, 1.0]), "embedding": torch.zeros(4)}


def test_a_head_of_few_labels_answers_who_asks_for_the_usual_number_with_all_it_has() -> None:
    head = ClassificationHead(4, ("ant", "bee", "cat"))
    options = ClassificationOptions()
    head.check(options)
    assert [item.label for item in head.interpret([ROW], options).predictions] == ["bee", "cat", "ant"]


def test_more_labels_than_there_are_and_than_is_usual_are_refused() -> None:
    head = ClassificationHead(4, ("ant", "bee", "cat"))
    with pytest.raises(InvalidOption, match=r"is 6, expected 0 \(all\) to 3"):
        head.check(ClassificationOptions(top_k=6))
