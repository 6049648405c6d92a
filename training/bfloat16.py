"""What bfloat16 does to the answers of a finished checkpoint: the number that `train` writes into a card."""

from dataclasses import replace
from pathlib import Path

from models.checkpoint import Checkpoint
from models.description import CheckpointError, Structure
from models.perception import PerceptionModel
from models.predictor import resolve_device
from models.reparam import reparameterize
from models.rounding import bfloat16_error
from training.flags import from_flags
from training.served_batches import served_batches
from training.training_task import TrainingTask
from training.training_tasks import TRAINING_TASKS


def bfloat16_measured(path: Path, data: Path, device: str = "auto") -> Checkpoint:
    """The checkpoint, with `bfloat16_error` in its card and all else as it was.

    data: as `train` reads it; the validation split is used, with the settings that the card names. Raises
    CheckpointError, DatasetError.
    """
    checkpoint, where = Checkpoint.load(path), resolve_device(device)
    kind = task_type(checkpoint.task)
    preprocessor = kind.preprocessor_type(**checkpoint.preprocessor)
    task = from_flags(kind, checkpoint.card.training)
    dataset = task.validation_set(data, preprocessor, checkpoint.card.training.get("seed", 0))
    model = deployed(checkpoint, kind).to(where)
    error = bfloat16_error(model, served_batches(dataset, preprocessor, where))
    return replace(checkpoint, card=replace(checkpoint.card, bfloat16_error=error))


def task_type(name: str) -> type[TrainingTask]:
    """Raises CheckpointError for a task that is not trained here."""
    known = {kind.name: kind for kind in TRAINING_TASKS.values()}
    if name not in known:
        raise CheckpointError(f"the task is {name}, expected one of {', '.join(known)}")
    return known[name]


def deployed(checkpoint: Checkpoint, kind: type[TrainingTask]) -> PerceptionModel:
    model = checkpoint.build(kind.head_type, kind.embedding_type)
    return reparameterize(model) if checkpoint.structure is Structure.TRAINING else model
