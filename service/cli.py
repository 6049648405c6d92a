"""The command line: `unireplknet serve | predict | models | convert | train | backtest | measure-bfloat16 | bench`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from models.description import Structure
from service.bench.cli import bench
from service.console import err, models_table, out, reported_errors, show_bfloat16, show_conversion, show_table
from service.flags import with_settings
from service.json_answer import to_json
from service.settings import EMBEDDED_CHECKPOINTS, Settings
from service.tasks import TASKS


class WithTraining(TyperGroup):
    """Imports the training code only when it is asked for: it brings torch, which `serve` does not need."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), "train"]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name != "train":
            return super().get_command(ctx, cmd_name)
        from training.cli import train_app

        return typer.main.get_command(train_app)


app = typer.Typer(
    name="unireplknet",
    cls=WithTraining,
    help="Serve UniRepLKNet models, run them on files, convert published weights, train your own.",
    no_args_is_help=True,
    rich_markup_mode=None,  # its tables cut off the names of flags in narrow terminals
    pretty_exceptions_show_locals=False,
)
app.command()(bench)

Checkpoints = Annotated[
    list[Path],
    typer.Option(
        "--checkpoints", "-c", help="Checkpoint file or folder; may be repeated", show_default="the included models"
    ),
]


@app.command()
@with_settings
def serve(settings: Settings) -> None:
    """Start the HTTP server.

    Without flags it serves the small models included in this project. Every flag has an environment variable:
    UNIREPLKNET_PORT=9000 is the same as --port 9000.
    """
    from service.server import run_server

    run_server(settings)


@app.command()
def models(checkpoints: Checkpoints = [EMBEDDED_CHECKPOINTS]) -> None:  # noqa: B006 (typer reads it)
    """List the models that `serve` would load, with their test metrics."""
    from service.engine.model_info import model_info
    from service.prediction import load

    out.print(models_table(map(model_info, load(checkpoints).values())))


@app.command()
def predict(
    files: Annotated[list[Path], typer.Argument(help="Files to classify or forecast", exists=True, dir_okay=False)],
    checkpoints: Checkpoints = [EMBEDDED_CHECKPOINTS],  # noqa: B006 (typer reads it)
    task: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(TASKS)}; by default the first that can read the file")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model to use; by default the task's first")] = None,
    top_k: Annotated[int, typer.Option(help="Labels to show; 0 for all")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line")] = False,
) -> None:
    """Classify or forecast files locally, without a server.

    \b
    Example:
      unireplknet predict photo.jpg word.wav stations.csv --top-k 3
    """
    from service.prediction import choose, load, predict_file

    with reported_errors():
        pipelines = choose(load(checkpoints), task, model)
        failures = [not predict_file(pipelines, file, top_k, as_json) for file in files]
    raise typer.Exit(1 if any(failures) else 0)


@app.command()
def backtest(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of a weather model", exists=True, dir_okay=False)],
    data: Annotated[Path, typer.Argument(help="Weather station history of several months", exists=True)],
    stride: Annotated[int, typer.Option(help="Hours between forecasts", min=1)] = 24,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print all lead times as JSON")] = False,
) -> None:
    """Backtest a weather model against persistence baselines.

    \b
    Example:
      unireplknet backtest checkpoints/brazil-wind.safetensors wind/test.npz
    """
    from training.backtest import COLUMNS, table
    from training.backtest import backtest as run
    from training.dataset_error import DatasetError

    with reported_errors(DatasetError):
        metrics = run(checkpoint, data, stride, device=device)
    if as_json:
        out.out(to_json(metrics.details).decode())
    else:
        show_table(checkpoint.stem, COLUMNS, table(metrics), f"{metrics.count:,} values")


@app.command()
def measure_bfloat16(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint to measure", exists=True, dir_okay=False)],
    data: Annotated[Path, typer.Argument(help="The data that it was trained on, as `train` takes it", exists=True)],
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto")] = "auto",
    write: Annotated[bool, typer.Option("--write", help="Write the result into the checkpoint's model card")] = False,
) -> None:
    """Measure how much bfloat16 changes the outputs of a model.

    `train` and `convert` do so for the checkpoints that they write; this is for those without that number, which
    `serve --precision auto` keeps in float32.

    \b
    Example:
      unireplknet measure-bfloat16 runs/photos/model.safetensors photos/ --write
    """
    from training.bfloat16 import bfloat16_measured
    from training.dataset_error import DatasetError

    with reported_errors(DatasetError):
        measured = bfloat16_measured(checkpoint, data, device)
        if write:
            measured.save(checkpoint)
    show_bfloat16(measured.card)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(help="File of the authors' weights, or the name of a published model")],
    target: Annotated[Path, typer.Argument(help="Checkpoint to write, such as t.safetensors")],
    structure: Annotated[
        Structure, typer.Option(help="deploy: for serving; training: for fine-tuning")
    ] = Structure.DEPLOY,
    name: Annotated[str | None, typer.Option(help="Model name; by default the source's")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Text file with one class name per line; by default ImageNet's classes")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Input size in pixels; by default the published model's, otherwise 224")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store the weights in float16")] = False,
) -> None:
    """Convert published weights into a checkpoint of this service.

    The file is read without executing anything in it, re-parameterized, and verified before it is written.

    \b
    Example:
      unireplknet convert unireplknet_t_in1k t.safetensors
    """
    from models.conversion import convert as run
    from models.hub import HubError

    with reported_errors(HubError):
        report = run(
            source,
            target,
            name=name or Path(source).stem,
            structure=structure,
            labels=labels.read_text().splitlines() if labels else None,
            size=size,
            half=half,
            progress=err.print,
        )
    show_conversion(report)
