"""`unireplknet train`: one command per modality. What only training needs is imported when one runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from models.checkpoint import CheckpointError
from models.config import VARIANTS, BackboneConfig, backbone_config
from preprocessors.image import ImagePreprocessor
from training.data import DatasetError
from training.recipe import Recipe

train_app = typer.Typer(help="Train a model on your own data; it ends in a checkpoint that `serve` can load.")


@train_app.callback()
def train() -> None:
    """Train a model on your own data; it ends in a checkpoint that `serve` can load."""


@contextmanager
def reported_errors() -> Iterator[None]:
    """End with one line and status 1 for what a user can mend."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise failure(f"{error.name} is missing: pip install -c constraints.txt -e '.[train]'") from error
    except (ValueError, OSError, DatasetError, CheckpointError) as error:
        raise failure(str(error)) from error


def failure(detail: str) -> typer.Exit:
    typer.secho(f"Error: {detail}", err=True, fg=typer.colors.RED)
    return typer.Exit(1)


def numbers(text: str) -> tuple[int, ...]:
    """2,2,6,2 as (2, 2, 6, 2)."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a list of numbers such as 2,2,6,2") from error


def chosen_backbone(variant: str, depths: str | None, width: int | None, layer_scale: float) -> BackboneConfig:
    """A published size, or one of the published shape with other depths or width."""
    if variant not in VARIANTS:
        raise typer.BadParameter(f"variant {variant!r} is unknown, expected one of {', '.join(VARIANTS)}")
    row = VARIANTS[variant]
    config = backbone_config(numbers(depths) if depths else row.depths, width or row.dims[0])
    return replace(config, layer_scale_init=layer_scale)


@train_app.command()
def image(
    data: Annotated[
        Path, typer.Argument(help="Folder of class folders, or of train/, validation/ and test/ with them")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for checkpoints, metrics, curve and state")],
    name: Annotated[str | None, typer.Option(help="Name of the model; by default the data folder's")] = None,
    variant: Annotated[str, typer.Option(help="Published size: a f p n t s b l xl h")] = "a",
    depths: Annotated[str | None, typer.Option(help="Blocks per stage in place of the variant's, as 2,2,6,2")] = None,
    width: Annotated[int | None, typer.Option(help="Channels of the first stage in place of the variant's")] = None,
    size: Annotated[int, typer.Option(help="Side of the square the served model sees")] = 224,
    crop: Annotated[float, typer.Option(help="Share of the short side that the square keeps")] = ImagePreprocessor.crop,
    train_size: Annotated[int | None, typer.Option(help="Side of the training crops; by default size")] = None,
    first_size: Annotated[
        int, typer.Option(help="Side of the first epoch's crops, growing to train-size; 0: off")
    ] = Recipe.first_size,
    epochs: Annotated[int, typer.Option(help="Passes over the training split")] = Recipe.epochs,
    batch_size: Annotated[int, typer.Option(help="Pictures per step")] = Recipe.batch_size,
    learning_rate: Annotated[
        float, typer.Option("--lr", help="At its peak, for this batch size")
    ] = Recipe.learning_rate,
    weight_decay: Annotated[float, typer.Option(help="AdamW's, on weights that multiply")] = Recipe.weight_decay,
    warmup_epochs: Annotated[float, typer.Option(help="Epochs until the learning rate peaks")] = Recipe.warmup_epochs,
    label_smoothing: Annotated[float, typer.Option(help="0 turns it off")] = Recipe.label_smoothing,
    mixup: Annotated[float, typer.Option(help="Largest share of a second picture; 0: off")] = Recipe.mixup,
    cutmix: Annotated[float, typer.Option(help="Alpha of the pasted area's share; 0: off")] = Recipe.cutmix,
    mix_probability: Annotated[float, typer.Option(help="Share of batches that are mixed")] = Recipe.mix_probability,
    erasing: Annotated[float, typer.Option(help="Share of pictures with an erased rectangle")] = Recipe.erasing,
    trivial_augment: Annotated[
        bool, typer.Option(help="One random change of colour or geometry per picture")
    ] = Recipe.trivial_augment,
    smallest_crop: Annotated[
        float, typer.Option(help="Least share of the area that a random crop keeps")
    ] = Recipe.smallest_crop,
    ema_decay: Annotated[
        float, typer.Option(help="Per step, of the averaged weights that are kept; 0: off")
    ] = Recipe.ema_decay,
    drop_path: Annotated[float, typer.Option(help="Rate at the last block")] = Recipe.drop_path,
    layer_scale: Annotated[float, typer.Option(help="Initial layer scale; the paper's is 1e-6")] = 1e-6,
    checkpoint_gradients: Annotated[bool, typer.Option(help="Trade speed for memory")] = Recipe.checkpoint_gradients,
    initial: Annotated[Path | None, typer.Option(help="Training-form checkpoint to fine-tune, with a new head")] = None,
    stop_after: Annotated[int | None, typer.Option(help="End early, after this many epochs of the schedule")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads, 0: torch's choice")] = 0,
    half: Annotated[bool, typer.Option("--half", help="Store the served weights in float16")] = False,
    source: Annotated[str, typer.Option(help="Where the data is from, for the model card")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the data, for the model card")] = "",
    seed: Annotated[int, typer.Option(help="Of everything drawn at random")] = Recipe.seed,
) -> None:
    """Train an image classifier; run the same command again to go on after a kill.

    Example: unireplknet train image photos/ --out runs/photos --variant a --size 112 --epochs 50
    """
    settings = {key: value for key, value in locals().items() if key in Recipe.__dataclass_fields__}
    with reported_errors():
        from training.image import ImageTraining, train_image
        from training.progress import ConsoleProgress

        if threads:
            torch.set_num_threads(threads)
        job = ImageTraining(
            data=data,
            out=out,
            name=name or data.resolve().name,
            backbone=chosen_backbone(variant, depths, width, layer_scale),
            preprocessor=ImagePreprocessor(size=size, crop=crop),
            recipe=Recipe(**settings),
            train_size=train_size,
            initial=initial,
            stop_after=stop_after,
            device=device,
            half=half,
            data_source=source,
            licence=licence,
        )
        with ConsoleProgress(job.recipe.epochs) as progress:
            progress.finished(train_image(job, progress))
