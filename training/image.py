"""Train an image classifier on a folder of class folders; it ends in a checkpoint that the server can load."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn

from models.checkpoint import Checkpoint, ModelCard, Structure
from models.config import BackboneConfig
from models.heads.classification import ClassificationHead
from models.perception import PerceptionModel
from models.predictor import resolve_device
from models.reparam import reparameterize
from models.unireplknet import UniRepLKNet
from preprocessors.image import ImagePreprocessor
from training.augment import BatchAugment
from training.data import Splits, find_splits
from training.fit import Material, Progress, fit
from training.pictures import KEPT_SCALE, SUFFIXES, EvaluationPictures, TrainingPictures, load_pictures
from training.recipe import Recipe
from training.report import write_report
from training.run import Run
from training.scoring import Score, evaluate

TASK = "classify/image"


@dataclass(frozen=True)
class ImageTraining:
    """All that decides one run. train_size: side of the training crops, where it differs from the served size.

    initial: a checkpoint whose backbone training goes on from, with a new head. stop_after: epochs after which to end a
    run early, on the schedule of the whole. half: store the served weights in float16.
    """

    data: Path
    out: Path
    name: str
    backbone: BackboneConfig
    preprocessor: ImagePreprocessor
    recipe: Recipe
    train_size: int | None = None
    initial: Path | None = None
    stop_after: int | None = None
    device: str = "cpu"
    half: bool = False
    data_source: str = ""
    licence: str = ""


def train_image(job: ImageTraining, progress: Progress) -> Path:
    """Run or resume the job; returns the servable checkpoint.

    The folder `out` receives model.safetensors (deploy form), training.safetensors (to fine-tune from), metrics.json,
    curve.png and state.pt (to resume from).
    """
    job.out.mkdir(parents=True, exist_ok=True)
    splits = find_splits(job.data, SUFFIXES, job.recipe.seed)
    run = Run(initial_model(job, splits.labels), job.recipe, resolve_device(job.device))
    state = job.out / "state.pt"
    if state.exists():
        run.resume(state)
    material = learning_material(job, splits)
    fit(run, material, state, progress, job.stop_after)
    judged = {"validation": material.validation, "test": EvaluationPictures(splits.test, job.preprocessor)}
    scores = {
        name: evaluate(run.best_model, data, job.preprocessor.transform, run.device) for name, data in judged.items()
    }
    write_report(job.out, run.history, scores, splits, job.recipe)
    return write_checkpoints(job, run, splits, scores)


def initial_model(job: ImageTraining, labels: tuple[str, ...]) -> PerceptionModel:
    torch.manual_seed(job.recipe.seed)
    config = replace(job.backbone, drop_path=job.recipe.drop_path)
    backbone = UniRepLKNet(config)
    backbone.checkpoint_gradients = job.recipe.checkpoint_gradients
    if job.initial is not None:
        backbone.load_state_dict(pretrained_backbone(job.initial, config))
    return PerceptionModel(backbone, ClassificationHead(config.dims[-1], labels))


def pretrained_backbone(path: Path, config: BackboneConfig) -> dict[str, torch.Tensor]:
    """Backbone weights of a checkpoint in training form; raises ValueError where it is another network's."""
    checkpoint = Checkpoint.load(path)
    if checkpoint.structure is not Structure.TRAINING:
        raise ValueError(f"{path} is in deploy form, which cannot be trained: convert with --structure training")
    stored = BackboneConfig(**checkpoint.backbone)
    # These two may differ: they change no shape.
    found = replace(stored, drop_path=config.drop_path, layer_scale_init=config.layer_scale_init)
    if found != config:
        raise ValueError(f"{path} holds a backbone of {found}, expected {config}: choose the same variant")
    model = checkpoint.build(ClassificationHead)
    return model.backbone.state_dict()


def learning_material(job: ImageTraining, splits: Splits) -> Material:
    size = job.train_size or job.preprocessor.size
    pictures = load_pictures(splits.train, round(KEPT_SCALE * size), job.preprocessor.max_pixels)
    classes = [example.class_id for example in splits.train]
    return Material(
        training=TrainingPictures(pictures, classes, job.recipe, size),
        validation=EvaluationPictures(splits.validation, job.preprocessor),
        augment=BatchAugment(job.recipe, len(splits.labels)),
        normalise=job.preprocessor.normalise,
        transform=job.preprocessor.transform,
    )


def write_checkpoints(job: ImageTraining, run: Run, splits: Splits, scores: Mapping[str, Score]) -> Path:
    model = run.best_model
    assert isinstance(model, PerceptionModel)
    card = ModelCard(
        name=job.name,
        description=f"UniRepLKNet image classifier for {len(splits.labels)} classes",
        data=job.data_source or job.data.name,
        licence=job.licence,
        split=f"{_counts(splits)} ({splits.origin})",
        metrics={f"{name}_accuracy": round(score.accuracy, 4) for name, score in scores.items()},
        training={
            **asdict(job.recipe),
            "epochs_trained": len(run.history),
            "train_size": job.train_size or job.preprocessor.size,
            "initial": job.initial.name if job.initial else None,
        },
    )
    forms: dict[Structure, nn.Module] = {Structure.DEPLOY: reparameterize(model), Structure.TRAINING: model}
    files = {Structure.DEPLOY: job.out / "model.safetensors", Structure.TRAINING: job.out / "training.safetensors"}
    for structure, form in forms.items():
        weights = form.state_dict()
        if job.half and structure is Structure.DEPLOY:
            weights = {key: value.half() for key, value in weights.items()}
        head = {"num_features": job.backbone.dims[-1], "labels": splits.labels}
        Checkpoint(TASK, asdict(job.preprocessor), asdict(job.backbone), head, structure, card, weights).save(
            files[structure]
        )
    return files[Structure.DEPLOY]


def _counts(splits: Splits) -> str:
    parts = Counter(train=len(splits.train), validation=len(splits.validation), test=len(splits.test))
    return ", ".join(f"{count} {name}" for name, count in parts.items())
