"""`unireplknet train`: one command per modality. What only training needs is imported when one runs."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import typer

from models.config import VARIANTS, BackboneConfig, backbone_config
from models.description import CheckpointError
from training.dataset_error import DatasetError
from training.flags import flags_of, from_flags
from training.recipe import Recipe
from training.setting import setting
from training.training_task import TrainingTask
from training.training_tasks import TRAINING_TASKS

train_app = typer.Typer(
    name="train", help="Train a model on your own data.", add_completion=False, rich_markup_mode=None
)


@train_app.callback()
def train() -> None:
    """Train a model on your own data.

    The result is a checkpoint that `unireplknet serve --checkpoints` can load.
    """


@dataclass(frozen=True)
class Place:
    """Where a run reads and writes, and on what it computes."""

    out: Path = setting(..., "Output folder: checkpoints, metrics, learning curve, resume state", "--out")
    name: str | None = setting(None, "Model name; by default the name of the data folder")
    initial: Path | None = setting(None, "Training-form checkpoint to fine-tune; its head is replaced")
    stop_after: int | None = setting(None, "Stop after this many epochs, keeping the full schedule")
    device: str = setting("auto", "Device to train on: cpu, cuda, or auto")
    threads: int = setting(0, "CPU threads; 0 leaves the choice to PyTorch")
    half: bool = setting(False, "Store the served checkpoint in float16")
    source: str = setting("", "Source of the data, for the model card")
    licence: str = setting("", "Licence of the data, for the model card")


@dataclass(frozen=True)
class Network:
    """A published size, or one of the published shape with other depths, width or last kernel."""

    variant: str = setting("a", "Published model size: a, f, p, n, t, s, b, l, xl or h")
    depths: str | None = setting(None, "Blocks per stage, such as 2,2,6,2; by default the variant's")
    width: int | None = setting(None, "Channels of the first stage; by default the variant's")
    last_kernel: int | None = setting(None, "Kernel size of the last stage; 11 in the authors' video models")
    layer_scale: float = setting(1e-6, "Initial value of the layer scale")

    def backbone(self) -> BackboneConfig:
        """Raises typer.BadParameter for what cannot be."""
        if self.variant not in VARIANTS:
            raise typer.BadParameter(f"variant {self.variant!r} is unknown, expected one of {', '.join(VARIANTS)}")
        row = VARIANTS[self.variant]
        config = backbone_config(numbers(self.depths) if self.depths else row.depths, self.width or row.dims[0])
        if self.last_kernel:
            sizes = (*config.kernel_sizes[:-1], (self.last_kernel,) * config.depths[-1])
            config = replace(config, kernel_sizes=sizes)
        return replace(config, layer_scale_init=self.layer_scale)


def add_command(modality: str, kind: type[TrainingTask]) -> None:
    """`unireplknet train <modality> DATA`, with a flag for every setting of the task, the recipe and the network."""

    def run(data: Path, **flags: Any) -> None:
        network, place = from_flags(Network, flags), from_flags(Place, flags)
        backbone = network.backbone()
        with reported_errors():
            from training.job import Job
            from training.job import train as run_job
            from training.progress import ConsoleProgress

            if place.threads:
                torch.set_num_threads(place.threads)
            task, recipe = from_flags(kind, flags), from_flags(Recipe, flags)
            about = {key: value for key, value in vars(place).items() if key not in ("name", "threads")}
            job = Job(
                data=data,
                name=place.name or (data.stem if data.is_file() else data.resolve().name),
                backbone=backbone,
                task=task,
                recipe=recipe,
                **about,
            )
            with ConsoleProgress(recipe.epochs) as progress:
                progress.finished(run_job(job, progress))

    where = typer.Argument(help=kind.data_help)
    data = inspect.Parameter("data", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=where, annotation=Path)
    flags = [flag for settings in (Place, kind, Network) for flag in flags_of(settings)]
    register(modality, kind, run, [data, *flags, *flags_of(Recipe, kind.recipe)])


def register(
    modality: str, kind: type[TrainingTask], run: Callable[..., None], parameters: list[inspect.Parameter]
) -> None:
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    article = "an" if kind.noun[0] in "aeiou" else "a"
    about = f"Train {article} {kind.noun}. Rerun the same command to resume."
    example = f"unireplknet train {modality} data/ --out runs/first --variant a --epochs 50"
    train_app.command(modality, help=f"{about}\n\n\b\nExample:\n  {example}")(run)


@contextmanager
def reported_errors() -> Iterator[None]:
    """Turn errors that the user can fix into one line and exit status 1."""
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


for modality, kind in TRAINING_TASKS.items():
    add_command(modality, kind)
