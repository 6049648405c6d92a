"""A training job of any modality: read the data, train, evaluate, and write a checkpoint that the server can load."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from models.checkpoint import Checkpoint
from models.config import BackboneConfig
from models.description import ModelCard, Structure
from models.perception import PerceptionModel
from models.predictor import resolve_device
from models.reparam import reparameterize
from models.rounding import bfloat16_error
from models.unireplknet import UniRepLKNet
from training.fit import Progress, fit
from training.metrics import Metrics
from training.recipe import Recipe
from training.report import write_report
from training.run import Run
from training.served_batches import served_batches
from training.training_setup import TrainingSetup
from training.training_task import TrainingTask


@dataclass(frozen=True)
class Job:
    """All that decides one run.

    initial: a checkpoint whose backbone training goes on from, with a new head. stop_after: epochs after which to end a
    run early, on the schedule of the whole. half: store the served weights in float16.
    """

    data: Path
    out: Path
    name: str
    backbone: BackboneConfig
    task: TrainingTask
    recipe: Recipe
    initial: Path | None = None
    stop_after: int | None = None
    device: str = "cpu"
    half: bool = False
    source: str = ""
    licence: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        """What a resumed run must not change."""
        return {**asdict(self.recipe), **self.task.settings}


def train(job: Job, progress: Progress) -> Path:
    """Run or resume the job; returns the servable checkpoint.

    The folder `out` receives model.safetensors (deploy form), training.safetensors (to fine-tune from), metrics.json,
    curve.png and state.pt (to resume from).
    """
    job.out.mkdir(parents=True, exist_ok=True)
    # All files are read before training starts: one that cannot be used shall not be found hours later
    setup = job.task.setup(job.data, job.recipe, job.backbone)
    run = Run(initial_model(job, setup), job.recipe, resolve_device(job.device), job.settings)
    state = job.out / "state.pt"
    if state.exists():
        run.resume(state)
    fit(run, setup, state, progress, job.stop_after)
    model = run.evaluated_model
    metrics = {name: setup.evaluate(model, data, run.device) for name, data in setup.evaluation_sets.items()}
    write_report(job.out, run.history, metrics, setup.splits, job.settings)
    if setup.plot is not None:
        setup.plot(model, job.out)
    return write_checkpoints(job, setup, run, metrics)


def initial_model(job: Job, setup: TrainingSetup) -> PerceptionModel:
    torch.manual_seed(job.recipe.seed)
    config = network(job)
    backbone = UniRepLKNet(config)
    backbone.checkpoint_gradients = job.recipe.checkpoint_gradients
    head = job.task.head_type(**setup.head)
    embedding = job.task.embedding_type(**setup.training_data.embedding) if job.task.embedding_type else None
    if job.initial is not None:
        backbone.load_state_dict(pretrained_backbone(job.initial, config))
    model = PerceptionModel(backbone, head, embedding)
    if setup.initialise is not None:
        setup.initialise(model)
    return model


def network(job: Job) -> BackboneConfig:
    return replace(job.backbone, drop_path=job.recipe.drop_path, in_chans=job.task.in_chans)


def pretrained_backbone(path: Path, config: BackboneConfig) -> dict[str, torch.Tensor]:
    """Backbone weights of a checkpoint in training form; raises ValueError where it is another network's.

    The first convolution's weights are summed over colours where the new network sees one channel.
    """
    checkpoint = Checkpoint.load(path)
    if checkpoint.structure is not Structure.TRAINING:
        raise ValueError(f"{path} is in deploy form, which cannot be trained: convert with --structure training")
    stored = BackboneConfig(**checkpoint.backbone)
    # These may differ: two change no shape, and the channels are seen to below.
    free: dict[str, Any] = {"drop_path": 0.0, "layer_scale_init": 0.0, "in_chans": 3}
    if replace(stored, **free) != replace(config, **free):
        raise ValueError(f"{path} holds a backbone of {stored}, expected {config}: choose the same variant")
    prefix = "backbone."
    weights = {k.removeprefix(prefix): v.float() if v.is_floating_point() else v
               for k, v in checkpoint.state_dict.items() if k.startswith(prefix)}  # fmt: skip
    if (stored.in_chans, config.in_chans) == (3, 1):
        first = "downsamples.0.0.weight"
        weights[first] = weights[first].sum(dim=1, keepdim=True)
    elif stored.in_chans != config.in_chans:
        raise ValueError(f"{path} sees {stored.in_chans} channels, expected {config.in_chans} or 3")
    return weights


def write_checkpoints(job: Job, setup: TrainingSetup, run: Run, metrics: Mapping[str, Metrics]) -> Path:
    model = run.evaluated_model
    assert isinstance(model, PerceptionModel)
    deployed = reparameterize(model)
    card = model_card(job, setup, run, metrics)
    batches = served_batches(setup.evaluation_sets["validation"], setup.training_data.preprocessor, run.device)
    card = replace(card, bfloat16_error=bfloat16_error(deployed, batches))
    forms: dict[Structure, PerceptionModel] = {Structure.DEPLOY: deployed, Structure.TRAINING: model}
    files = {Structure.DEPLOY: job.out / "model.safetensors", Structure.TRAINING: job.out / "training.safetensors"}
    for structure, form in forms.items():
        checkpoint = Checkpoint(
            task=job.task.name,
            preprocessor=asdict(setup.training_data.preprocessor),  # type: ignore[call-overload]
            backbone=asdict(network(job)),
            head=setup.head,
            structure=structure,
            card=card,
            state_dict=form.state_dict(),
            embedding=setup.training_data.embedding,
        )
        stored = checkpoint.in_half() if job.half and structure is Structure.DEPLOY else checkpoint
        stored.save(files[structure])
    return files[Structure.DEPLOY]


def model_card(job: Job, setup: TrainingSetup, run: Run, metrics: Mapping[str, Metrics]) -> ModelCard:
    sizes = {name: size for name, size in setup.splits.items() if name != "origin"}
    shown = {f"{split}_{name}": value for split, found in metrics.items() for name, value in found.summary.items()}
    return ModelCard(
        name=job.name,
        description=setup.description,
        data=job.source or job.data.name,
        licence=job.licence,
        split=f"{', '.join(f'{size} {name}' for name, size in sizes.items())} ({setup.splits['origin']})",
        metrics={name: round(value, 4) for name, value in shown.items() if not name.endswith("_loss")},
        training={
            **asdict(job.recipe),
            **vars(job.task),
            "epochs_trained": len(run.history),
            "initial": job.initial.name if job.initial else None,
        },
    )
