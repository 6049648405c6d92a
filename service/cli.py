"""The command line: `unireplknet serve | predict | models | convert | train | backtest | bench`."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from models.checkpoint import CheckpointError, Structure
from models.heads.base import Head
from preprocessors.base import PayloadError, Sample, UnsupportedFormat
from service.bench.cli import bench
from service.console import err, models_table, out, reported_errors, show_answer, show_conversion, show_table
from service.engine.base import model_info
from service.flags import with_settings
from service.json_answer import to_json
from service.pipeline import Pipeline, load_pipelines
from service.settings import EMBEDDED_CHECKPOINTS, Settings
from service.tasks import TASKS
from training.cli import train_app

app = typer.Typer(
    name="unireplknet",
    help="Serve UniRepLKNet models, try them on files, convert published weights, train your own.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)
app.add_typer(train_app, name="train")
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
    with reported_errors():
        pipelines = choose(load(checkpoints), task, model)
        failures = [not predict_file(pipelines, file, top_k, as_json) for file in files]
    raise typer.Exit(1 if any(failures) else 0)


def predict_file(pipelines: list[Pipeline], file: Path, top_k: int, as_json: bool) -> bool:
    """Show the answer for one file; False where the file cannot be used."""
    try:
        pipeline, sample = read_file(pipelines, file.read_bytes())
    except PayloadError as error:
        err.print(f"[red]{escape(str(file))}[/]: {escape(str(error))}", soft_wrap=True)
        return False
    options = head_options(pipeline.head, top_k=top_k)
    pipeline.head.check(options)
    answer = pipeline.head.interpret(pipeline.run(sample.views), options, sample.context)
    if as_json:
        out.out(to_json({"file": str(file), "model": pipeline.name, **known(asdict(answer))}).decode())
    else:
        show_answer(str(file), answer)
    return True


def head_options(head: Head, **given: Any) -> Any:
    """Those of the given options that this head knows."""
    names = {option.name for option in fields(head.option_type)}
    return head.option_type(**{name: value for name, value in given.items() if name in names})


def known(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if value is not None}


def read_file(pipelines: list[Pipeline], payload: bytes) -> tuple[Pipeline, Sample]:
    """The first pipeline that can read the bytes. Raises PayloadError: of the first that knew the format, if any."""
    refusals: list[PayloadError] = []
    for pipeline in pipelines:
        try:
            return pipeline, pipeline.preprocessor.decode(payload, pipeline.preprocessor.option_type())
        except PayloadError as error:
            refusals.append(error)
    raise next((error for error in refusals if not isinstance(error, UnsupportedFormat)), refusals[-1])


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


def load(checkpoints: list[Path]) -> dict[str, Pipeline]:
    with reported_errors():
        return load_pipelines(Settings(checkpoints=tuple(checkpoints)))


def choose(pipelines: dict[str, Pipeline], task: str | None, model: str | None) -> list[Pipeline]:
    """The named model, or the first of the task, or of every task; raises CheckpointError naming those there are."""
    fitting = [p for p in pipelines.values() if task in (None, p.path) and model in (None, p.name)]
    if not fitting:
        known = ", ".join(f"{p.name} ({p.path})" for p in pipelines.values())
        raise CheckpointError(f"no model {model or 'at all'} for the task {task or 'of any kind'}; there is: {known}")
    first = {p.path: p for p in reversed(fitting)}
    return [first[path] for path in TASKS if path in first]
