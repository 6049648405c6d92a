"""A task with a checkpoint loaded: bytes in, the task's answer out."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models.checkpoint import Checkpoint
from models.description import CheckpointError, ModelCard, Structure
from models.perception import PerceptionModel
from models.postprocessors.base import Postprocessor, Row
from models.precision_choice import choose_precision
from models.predictor import Predictor, resolve_device
from models.reparam import reparameterize
from preprocessors.base import Array, Preprocessor
from service.checkpoint_files import HUB, find_checkpoints
from service.engine.cpu_limit import cpu_limit
from service.settings import Settings
from service.tasks import TASKS, Task

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pipeline:
    """One served model. `path` is its task's URL. source: what it was read from, see `read_checkpoint`."""

    path: str
    task: Task
    card: ModelCard
    version: str
    preprocessor: Preprocessor[Any]
    postprocessor: Postprocessor
    predictor: Predictor
    source: str | None = None

    @property
    def name(self) -> str:
        return self.card.name

    def run(self, views: Sequence[Array]) -> list[Row]:
        """One forward pass. Called on the device's thread."""
        return self.predictor(self.preprocessor.collate(views))

    def warm_up_at(self, size: int) -> None:
        """Run a batch of this size, so that no request pays for what only the first pass costs."""
        self.run([self.preprocessor.blank()] * size)


def read_checkpoint(source: str) -> Checkpoint:
    """source: a file's path, or `hub:` and a name that the authors published. Raises CheckpointError."""
    if source.startswith(HUB):
        return _published(source.removeprefix(HUB))
    try:
        return Checkpoint.load(Path(source))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{source} does not describe a model as this version does: convert it again") from error


def _published(name: str) -> Checkpoint:
    from models.hub import HubError  # these bring the hub's client, which serving does not need
    from models.source import open_source

    try:
        return open_source(name).checkpoint(name)
    except HubError as error:
        raise CheckpointError(str(error)) from error


def load_pipeline(source: str | Path, settings: Settings) -> Pipeline:
    """Build what a checkpoint describes, in deploy form, on the device. Raises CheckpointError."""
    file = str(source)
    checkpoint = read_checkpoint(file)
    if checkpoint.task not in TASKS:
        raise CheckpointError(f"{file} is for the task {checkpoint.task!r}, expected one of {', '.join(TASKS)}")
    task = TASKS[checkpoint.task]
    try:
        preprocessor = task.preprocessor(**{**checkpoint.preprocessor, **_operators_choice(task, settings)})
        model: PerceptionModel = checkpoint.build(*task.networks())
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{file} does not fit this version of the service: {error}") from error
    if checkpoint.structure is Structure.TRAINING:
        model = reparameterize(model)
    device = resolve_device(settings.device)
    predictor = Predictor(
        model,
        preprocessor.transform,
        device,
        choose_precision(settings.precision, checkpoint.card, device),
        settings.channels_last,
        settings.runtime,
    )
    log.info("%s runs on %s in %s", checkpoint.card.name, predictor.runtime, predictor.precision)
    about = (checkpoint.task, task, checkpoint.card, checkpoint.version)
    return Pipeline(*about, preprocessor, model.head.postprocessor, predictor, file)


def _operators_choice(task: Task, settings: Settings) -> dict[str, str]:
    """Constructor arguments that are the operator's to decide, not the checkpoint's."""
    decoder = settings.decoder(task.modality)
    return {"decoder": decoder} if decoder else {}


def load_pipelines(settings: Settings) -> dict[str, Pipeline]:
    """Every checkpoint of the settings by model name, in their order. Raises CheckpointError for a name used twice."""
    torch.set_num_threads(settings.threads or cpu_limit())
    pipelines: dict[str, Pipeline] = {}
    for file in find_checkpoints(settings.checkpoints):
        pipeline = load_pipeline(file, settings)
        if pipeline.name in pipelines:
            raise CheckpointError(f"{file}: a model named {pipeline.name!r} is loaded already; rename one in its card")
        pipelines[pipeline.name] = pipeline
    return pipelines
