"""What an engine tells of a model that it has loaded."""

from service.engine.base import ModelInfo
from service.pipeline import Pipeline


def model_info(pipeline: Pipeline, key: str | None = None) -> ModelInfo:
    """key: by default the model's name."""
    predictor = pipeline.predictor
    return ModelInfo(
        path=pipeline.path,
        task=pipeline.task,
        card=pipeline.card,
        version=pipeline.version,
        preprocessor=pipeline.preprocessor,
        postprocessor=pipeline.postprocessor,
        device=str(predictor.device),
        precision=str(predictor.precision),
        runtime=predictor.runtime,
        parameters=predictor.parameters,
        key=key or pipeline.name,
        source=pipeline.source,
    )
