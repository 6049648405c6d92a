"""A training job of any modality: read, learn, judge, and leave a checkpoint that the server can load."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from models.checkpoint import Checkpoint, ModelCard, Structure
from models.config import BackboneConfig
from models.heads.classification import ClassificationHead
from models.perception import PerceptionModel
from models.predictor import resolve_device
from models.reparam import reparameterize
from models.unireplknet import UniRepLKNet
from training.data import Splits, find_splits
from training.fit import Material, Progress, fit
from training.recipe import Recipe
from training.report import write_report
from training.run import Run
from training.samples import EvaluationSamples
from training.scoring import Score, evaluate
from training.subject import Subject


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
    splits = find_splits(job.data, job.subject.suffixes, job.recipe.seed)
    material = job.subject.material(splits, job.recipe)
    preprocessor = material.preprocessor
    run = Run(initial_model(job, material, splits.labels), job.recipe, resolve_device(job.device), job.settings)
    state = job.out / "state.pt"
    if state.exists():
        run.resume(state)
    # All files are read before anything is learned: one that cannot be used shall not be found hours later
    judged = {
        "validation": EvaluationSamples(splits.validation, preprocessor),
        "test": EvaluationSamples(splits.test, preprocessor),
    }
    fit(run, material, judged["validation"], state, progress, job.stop_after)
    scores = {name: evaluate(run.best_model, data, preprocessor.transform, run.device) for name, data in judged.items()}
    write_report(job.out, run.history, scores, splits, job.settings)
    return write_checkpoints(job, material, run, splits, scores)


def initial_model(job: Job, material: Material, labels: tuple[str, ...]) -> PerceptionModel:
    torch.manual_seed(job.recipe.seed)
    config = network(job)
    backbone = UniRepLKNet(config)
    backbone.checkpoint_gradients = job.recipe.checkpoint_gradients
    head = ClassificationHead(**head_options(job, labels))
    embedding = job.subject.embedding_type(**material.embedding) if job.subject.embedding_type else None
    if job.initial is not None:
        backbone.load_state_dict(pretrained_backbone(job.initial, config))
    return PerceptionModel(backbone, head, embedding)


def network(job: Job) -> BackboneConfig:
    return replace(job.backbone, drop_path=job.recipe.drop_path, in_chans=job.subject.in_chans)


def head_options(job: Job, labels: tuple[str, ...]) -> dict[str, Any]:
    width = job.backbone.dims[-1] * job.subject.maps
    return {"num_features": width, "labels": labels, "norm_eps": job.subject.norm_eps}


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


def write_checkpoints(job: Job, material: Material, run: Run, splits: Splits, scores: Mapping[str, Score]) -> Path:
    model = run.best_model
    assert isinstance(model, PerceptionModel)
    forms: dict[Structure, PerceptionModel] = {Structure.DEPLOY: reparameterize(model), Structure.TRAINING: model}
    files = {Structure.DEPLOY: job.out / "model.safetensors", Structure.TRAINING: job.out / "training.safetensors"}
    for structure, form in forms.items():
        checkpoint = Checkpoint(
            task=job.subject.task,
            preprocessor=asdict(material.preprocessor),  # type: ignore[call-overload]
            backbone=asdict(network(job)),
            head=head_options(job, splits.labels),
            structure=structure,
            card=model_card(job, run, splits, scores),
            state_dict=form.state_dict(),
            embedding=material.embedding,
        )
        stored = checkpoint.in_half() if job.half and structure is Structure.DEPLOY else checkpoint
        stored.save(files[structure])
    return files[Structure.DEPLOY]


def model_card(job: Job, run: Run, splits: Splits, scores: Mapping[str, Score]) -> ModelCard:
    modality = job.subject.task.rpartition("/")[2]
    counts = Counter(train=len(splits.train), validation=len(splits.validation), test=len(splits.test))
    return ModelCard(
        name=job.name,
        description=f"UniRepLKNet {modality} classifier for {len(splits.labels)} classes",
        data=job.source or job.data.name,
        licence=job.licence,
        split=f"{', '.join(f'{count} {name}' for name, count in counts.items())} ({splits.origin})",
        metrics={f"{name}_accuracy": round(score.accuracy, 4) for name, score in scores.items()},
        training={
            **asdict(job.recipe),
            **vars(job.subject),
            "epochs_trained": len(run.history),
            "initial": job.initial.name if job.initial else None,
        },
    )
