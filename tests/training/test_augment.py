import pytest
import torch

from training.augment import BatchAugment, picture_augment
from training.image import ImageClassification

UNALTERED = torch.nn.Identity()
CLASSES = torch.tensor([0, 1, 1, 0])
# Every picture is its class, so that a mixed picture shows the share of each.
PICTURES = CLASSES.float().reshape(4, 1, 1, 1).expand(4, 3, 32, 32)


@pytest.mark.parametrize("mix", [{"mixup": 0.0}, {"cutmix": 0.0}])
def test_targets_are_mixed_as_the_pictures_are(mix: dict[str, float]) -> None:
    augment = BatchAugment(ImageClassification(mix_probability=1.0, **mix), 2, UNALTERED)  # type: ignore[arg-type]
    mixed = 0
    for seed in range(20):
        torch.manual_seed(seed)
        pictures, targets = augment(PICTURES.clone(), CLASSES)
        assert torch.allclose(pictures.mean(dim=(1, 2, 3)), targets[:, 1], atol=1e-5)
        assert torch.allclose(targets.sum(dim=1), torch.ones(4))
        mixed += int(((targets > 0) & (targets < 1)).any())
    assert mixed > 5


def test_without_mixing_targets_are_one_hot() -> None:
    augment = BatchAugment(ImageClassification(mixup=0.0, cutmix=0.0, mix_probability=1.0), 2, UNALTERED)
    _, targets = augment(PICTURES.clone(), CLASSES)
    assert torch.equal(targets, torch.nn.functional.one_hot(CLASSES, 2).float())


def test_a_recipe_with_everything_off_leaves_pictures_alone() -> None:
    augment = BatchAugment(ImageClassification(mix_probability=0.0), 2, picture_augment(False, False, 0.0))
    assert torch.equal(augment(PICTURES.clone(), CLASSES)[0], PICTURES)


def test_one_seed_gives_one_batch() -> None:
    augment = BatchAugment(ImageClassification(), 2, picture_augment(True, True, 0.1))
    pictures = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    batches = []
    for _ in range(2):
        torch.manual_seed(5)
        batches.append(augment(pictures.clone(), CLASSES)[0])
    assert torch.equal(*batches)
    assert batches[0].shape == pictures.shape
    assert not torch.equal(batches[0], pictures)


@pytest.mark.parametrize("mix", [{"mixup": 0.0}, {"cutmix": 0.0}])
def test_several_labels_of_a_sample_are_mixed_together(mix: dict[str, float]) -> None:
    augment = BatchAugment(ImageClassification(mix_probability=1.0, **mix), 3, UNALTERED)  # type: ignore[arg-type]
    labels = torch.stack([CLASSES.float(), CLASSES.float(), 1 - CLASSES.float()], dim=1)
    torch.manual_seed(0)
    pictures, targets = augment(PICTURES.clone(), labels)
    share = pictures.mean(dim=(1, 2, 3))
    assert ((targets > 0) & (targets < 1)).any()
    assert torch.allclose(targets, torch.stack([share, share, 1 - share], dim=1), atol=1e-5)
