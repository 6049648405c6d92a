"""The command line: `unireplknet serve | predict | models | convert | train | backtest | bench`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from models.description import Structure
from service.bench.cli import bench
from service.console import err, models_table, out, reported_errors, show_conversion, show_table
from service.flags import with_settings
from service.json_answer import to_json
from service.settings import EMBEDDED_CHECKPOINTS, Settings
from service.tasks import TASKS


class WithTraining(TyperGroup):
    """What trains is imported when it is asked for: it brings torch, for which `serve` has no use."""

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
    help="Serve UniRepLKNet models, try them on files, convert published weights, train your own.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)
app.command()(bench)

Checkpoints = Annotated[
    list[Path], typer.Option("--checkpoints", "-c", help="Checkpoint files, or folders of them; may be repeated")
]


@app.command()
@with_settings
def serve(settings: Settings) -> None:
    """Start the HTTP server. Every flag is also an environment variable: UNIREPLKNET_PORT=9000.

    Without flags it serves the small models that come with the project.
    """
    from service.server import run_server

    run_server(settings)


@app.command()
def models(checkpoints: Checkpoints = [EMBEDDED_CHECKPOINTS]) -> None:  # noqa: B006 (typer reads it)
    """List the models that `serve` would serve, with what they were trained on and how well they do."""
    from service.engine.model_info import model_info
    from service.prediction import load

    out.print(models_table(map(model_info, load(checkpoints).values())))


@app.command()
def predict(
    files: Annotated[list[Path], typer.Argument(help="Files to classify or forecast", exists=True, dir_okay=False)],
    checkpoints: Checkpoints = [EMBEDDED_CHECKPOINTS],  # noqa: B006 (typer reads it)
    task: Annotated[
        str | None, typer.Option(help=f"One of: {', '.join(TASKS)}; by default the first that can read the file")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name of the model; by default the task's first")] = None,
    top_k: Annotated[int, typer.Option(help="Labels to show, 0 for all")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs")] = False,
) -> None:
    """Classify or forecast files here and now, without a server.

    Example: unireplknet predict photo.jpg word.wav stations.csv --top-k 3
    """
    from service.prediction import choose, load, predict_file

    with reported_errors():
        pipelines = choose(load(checkpoints), task, model)
        failures = [not predict_file(pipelines, file, top_k, as_json) for file in files]
    raise typer.Exit(1 if any(failures) else 0)


@app.command()
def backtest(
    checkpoint: Annotated[Path, typer.Argument(help="A weather model", exists=True, dir_okay=False)],
    data: Annotated[Path, typer.Argument(help="A history of weather stations, months long", exists=True)],
    stride: Annotated[int, typer.Option(help="Hours from forecast to forecast", min=1)] = 24,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="All lead times, for programs")] = False,
) -> None:
    """Judge a weather model on past weather, beside the forecasts that cost nothing.

    Example: unireplknet backtest checkpoints/brazil-wind.safetensors wind/test.npz
    """
    from training.backtest import COLUMNS, table
    from training.backtest import backtest as run
    from training.data import DatasetError

    with reported_errors(DatasetError):
        score = run(checkpoint, data, stride, device=device)
    if as_json:
        out.out(to_json(score.details).decode())
    else:
        show_table(checkpoint.stem, COLUMNS, table(score), f"{score.count:,} values")


@app.command()
def convert(
    source: Annotated[str, typer.Argument(help="A file of the authors' weights, or a published name")],
    target: Annotated[Path, typer.Argument(help="Where to write the checkpoint, such as t.safetensors")],
    structure: Annotated[
        Structure, typer.Option(help="deploy to serve, training to fine-tune from")
    ] = Structure.DEPLOY,
    name: Annotated[str | None, typer.Option(help="Name of the model; by default the source's")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Text file of class names, a line each, where they are not ImageNet's")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Side of the input; by default the published file's, else 224")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store the weights in float16")] = False,
) -> None:
    """Turn published weights into a checkpoint: read safely, re-parameterize, verify, write.

    Example: unireplknet convert unireplknet_t_in1k t.safetensors
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
