"""`unireplknet train`: one command per modality. torch, kornia and matplotlib are imported only when one runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from models.config import BackboneConfig

train_app = typer.Typer(help="Train a model on your own data; it ends in a checkpoint that `serve` can load.")


@train_app.callback()
def train() -> None:
    """Train a model on your own data; it ends in a checkpoint that `serve` can load."""


def numbers(text: str) -> tuple[int, ...]:
    """ "2,2,6,2" -> (2, 2, 6, 2)."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a list of numbers such as 2,2,6,2") from error


def chosen_backbone(variant: str, depths: str | None, width: int | None, layer_scale: float) -> "BackboneConfig":
    """A published size, or one of the published shape with other depths or width."""
    from dataclasses import replace

    from models.config import VARIANTS, backbone_config

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
    train_size: Annotated[int | None, typer.Option(help="Side of the training crops; by default size")] = None,
    first_size: Annotated[int, typer.Option(help="Side of the first epoch's crops, growing to train-size; 0: off")] = 0,
    epochs: Annotated[int, typer.Option(help="Passes over the training split")] = 100,
    batch_size: Annotated[int, typer.Option(help="Pictures per step")] = 64,
    learning_rate: Annotated[float, typer.Option("--lr", help="At its peak, for this batch size")] = 2e-3,
    weight_decay: Annotated[float, typer.Option(help="AdamW's, on weights that multiply")] = 0.05,
    warmup_epochs: Annotated[float, typer.Option(help="Epochs until the learning rate peaks")] = 5.0,
    label_smoothing: Annotated[float, typer.Option(help="0 turns it off")] = 0.1,
    mixup: Annotated[float, typer.Option(help="Largest share of a second picture; 0: off")] = 0.5,
    cutmix: Annotated[float, typer.Option(help="Alpha of the pasted area's share; 0: off")] = 1.0,
    mix_probability: Annotated[float, typer.Option(help="Share of batches that are mixed")] = 0.5,
    erasing: Annotated[float, typer.Option(help="Share of pictures with an erased rectangle")] = 0.1,
    trivial_augment: Annotated[bool, typer.Option(help="One random change of colour or geometry per picture")] = True,
    smallest_crop: Annotated[float, typer.Option(help="Least share of the area that a random crop keeps")] = 0.3,
    ema_decay: Annotated[float, typer.Option(help="Per step, of the averaged weights that are kept; 0: off")] = 0.998,
    drop_path: Annotated[float, typer.Option(help="Rate at the last block")] = 0.05,
    layer_scale: Annotated[float, typer.Option(help="Initial layer scale; the paper's is 1e-6")] = 1e-6,
    checkpoint_gradients: Annotated[bool, typer.Option(help="Trade speed for memory")] = False,
    initial: Annotated[Path | None, typer.Option(help="Training-form checkpoint to fine-tune, with a new head")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads, 0: torch's choice")] = 0,
    half: Annotated[bool, typer.Option("--half", help="Store the served weights in float16")] = False,
    source: Annotated[str, typer.Option(help="Where the data is from, for the model card")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the data, for the model card")] = "",
    seed: Annotated[int, typer.Option(help="Of everything drawn at random")] = 0,
) -> None:
    """Train an image classifier; run the same command again to go on after a kill.

    Example: unireplknet train image photos/ --out runs/photos --variant a --size 112 --epochs 50
    """
    import torch

    from preprocessors.image import ImagePreprocessor
    from training.image import ImageTraining, train_image
    from training.progress import ConsoleProgress
    from training.recipe import Recipe

    settings = {key: value for key, value in locals().items() if key in Recipe.__dataclass_fields__}
    if threads:
        torch.set_num_threads(threads)
    job = ImageTraining(
        data=data,
        out=out,
        name=name or data.resolve().name,
        backbone=chosen_backbone(variant, depths, width, layer_scale),
        preprocessor=ImagePreprocessor(size=size),
        recipe=Recipe(**settings),
        train_size=train_size,
        initial=initial,
        device=device,
        half=half,
        data_source=source,
        licence=licence,
    )
    with ConsoleProgress(job.recipe.epochs) as progress:
        progress.finished(train_image(job, progress))
