"""A training job of any modality: read, learn, judge, and leave a checkpoint that the server can load."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Subset

from models.checkpoint import Checkpoint
from models.config import BackboneConfig
from models.description import ModelCard, Structure
from models.perception import PerceptionModel
from models.predictor import resolve_device
from models.reparam import reparameterize
from models.rounding import bfloat16_error
from models.unireplknet import UniRepLKNet
from training.fit import Progress, fit
from training.lesson import Lesson, Score
from training.recipe import Recipe
from training.report import write_report
from training.run import Run
from training.subject import Subject

ROUNDED_SAMPLES = 64  # enough to meet every class; a processor without bfloat16 takes a minute for that many pictures


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
    subject: Subject
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
        return {**asdict(self.recipe), **self.subject.settings}


def train(job: Job, progress: Progress) -> Path:
    """Run or resume the job; returns the servable checkpoint.

    The folder `out` receives model.safetensors (deploy form), training.safetensors (to fine-tune from), metrics.json,
    curve.png and state.pt (to resume from).
    """
    job.out.mkdir(parents=True, exist_ok=True)
    # All files are read before anything is learned: one that cannot be used shall not be found hours later
    lesson = job.subject.lesson(job.data, job.recipe, job.backbone)
    run = Run(initial_model(job, lesson), job.recipe, resolve_device(job.device), job.settings)
    state = job.out / "state.pt"
    if state.exists():
        run.resume(state)
    fit(run, lesson, state, progress, job.stop_after)
    scores = {name: lesson.judge(run.best_model, data, run.device) for name, data in lesson.judged.items()}
    write_report(job.out, run.history, scores, lesson.splits, job.settings)
    if lesson.illustrate is not None:
        lesson.illustrate(run.best_model, job.out)
    return write_checkpoints(job, lesson, run, scores)


def initial_model(job: Job, lesson: Lesson) -> PerceptionModel:
    torch.manual_seed(job.recipe.seed)
    config = network(job)
    backbone = UniRepLKNet(config)
    backbone.checkpoint_gradients = job.recipe.checkpoint_gradients
    head = job.subject.head_type(**lesson.head)
    embedding = job.subject.embedding_type(**lesson.material.embedding) if job.subject.embedding_type else None
    if job.initial is not None:
        backbone.load_state_dict(pretrained_backbone(job.initial, config))
    model = PerceptionModel(backbone, head, embedding)
    if lesson.prepare is not None:
        lesson.prepare(model)
    return model


def network(job: Job) -> BackboneConfig:
    return replace(job.backbone, drop_path=job.recipe.drop_path, in_chans=job.subject.in_chans)


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


def write_checkpoints(job: Job, lesson: Lesson, run: Run, scores: Mapping[str, Score]) -> Path:
    model = run.best_model
    assert isinstance(model, PerceptionModel)
    deployed = reparameterize(model)
    card = model_card(job, lesson, run, scores)
    card = replace(card, bfloat16_error=bfloat16_error(deployed, served_batches(lesson, run.device)))
    forms: dict[Structure, PerceptionModel] = {Structure.DEPLOY: deployed, Structure.TRAINING: model}
    files = {Structure.DEPLOY: job.out / "model.safetensors", Structure.TRAINING: job.out / "training.safetensors"}
    for structure, form in forms.items():
        checkpoint = Checkpoint(
            task=job.subject.task,
            preprocessor=asdict(lesson.material.preprocessor),  # type: ignore[call-overload]
            backbone=asdict(network(job)),
            head=lesson.head,
            structure=structure,
            card=card,
            state_dict=form.state_dict(),
            embedding=lesson.material.embedding,
        )
        stored = checkpoint.in_half() if job.half and structure is Structure.DEPLOY else checkpoint
        stored.save(files[structure])
    return files[Structure.DEPLOY]


def served_batches(lesson: Lesson, device: torch.device) -> Iterator[torch.Tensor]:
    """A sample of the validation split, from all of its classes, as the model will be served it."""
    data: Any = lesson.judged["validation"]
    chosen = range(0, len(data), math.ceil(len(data) / ROUNDED_SAMPLES) or 1)
    for batch, _ in DataLoader(Subset(data, chosen), batch_size=8):
        yield lesson.material.preprocessor.transform(batch.to(device))


def model_card(job: Job, lesson: Lesson, run: Run, scores: Mapping[str, Score]) -> ModelCard:
    sizes = {name: size for name, size in lesson.splits.items() if name != "origin"}
    shown = {f"{split}_{name}": value for split, score in scores.items() for name, value in score.metrics.items()}
    return ModelCard(
        name=job.name,
        description=lesson.description,
        data=job.source or job.data.name,
        licence=job.licence,
        split=f"{', '.join(f'{size} {name}' for name, size in sizes.items())} ({lesson.splits['origin']})",
        metrics={name: round(value, 4) for name, value in shown.items() if not name.endswith("_loss")},
        training={
            **asdict(job.recipe),
            **vars(job.subject),
            "epochs_trained": len(run.history),
            "initial": job.initial.name if job.initial else None,
        },
    )
