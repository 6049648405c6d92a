"""Answers to files here and now, without a server."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from rich.markup import escape

from models.description import CheckpointError
from models.postprocessors.base import Postprocessor
from preprocessors.base import PayloadError, Sample, UnsupportedFormat
from service.console import err, out, reported_errors, show_answer
from service.json_answer import to_json
from service.pipeline import Pipeline, load_pipelines
from service.settings import Settings
from service.tasks import TASKS


def predict_file(pipelines: list[Pipeline], file: Path, top_k: int, as_json: bool) -> bool:
    """Show the answer for one file; False where the file cannot be used."""
    try:
        pipeline, sample = read_file(pipelines, file.read_bytes())
    except PayloadError as error:
        err.print(f"[red]{escape(str(file))}[/]: {escape(str(error))}", soft_wrap=True)
        return False
    options = known_options(pipeline.postprocessor, top_k=top_k)
    pipeline.postprocessor.check(options)
    answer = pipeline.postprocessor.interpret(pipeline.run(sample.views), options, sample.context)
    if as_json:
        out.out(to_json({"file": str(file), "model": pipeline.name, **known(asdict(answer))}).decode())
    else:
        show_answer(str(file), answer)
    return True


def known_options(postprocessor: Postprocessor, **given: Any) -> Any:
    """Those of the given options that it knows."""
    names = {option.name for option in fields(postprocessor.option_type)}
    return postprocessor.option_type(**{name: value for name, value in given.items() if name in names})


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


def load(checkpoints: list[Path]) -> dict[str, Pipeline]:
    with reported_errors():
        return load_pipelines(Settings(checkpoints=tuple(checkpoints)))


def choose(pipelines: dict[str, Pipeline], task: str | None, model: str | None) -> list[Pipeline]:
    """The named model, or the first of the task, or of every task; raises CheckpointError naming those there are."""
    fitting = [p for p in pipelines.values() if task in (None, p.path) and model in (None, p.name)]
    if not fitting:
        known = ", ".join(f"{p.name} ({p.path})" for p in pipelines.values())
        wanted = (f" named {model!r}" if model else "") + (f" for the task {task!r}" if task else "")
        raise CheckpointError(f"no model{wanted}; available: {known}")
    first = {p.path: p for p in reversed(fitting)}
    return [first[path] for path in TASKS if path in first]
