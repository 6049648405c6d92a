"""POST /v1/timeseries/forecast: KServe's time series protocol, answered by the weather models."""

import time
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from models.postprocessors.forecast import Forecast, ForecastOptions
from preprocessors.histories.weather_options import WeatherOptions
from service.engine.base import ModelInfo
from service.errors import malformed
from service.json_answer import JSON, json_response
from service.json_outline import outline
from service.off_loop import off_loop
from service.openapi import problem_responses
from service.options import ModelOptions, Options, ParsedOptions
from service.payload import Payload
from service.perceiving import Perception, perceive_payload
from service.routes import interpreted
from service.runtime import Runtime

PATH = "forecast/weather"
UNIVARIATE, MULTIVARIATE = "univariate_time_series", "multivariate_time_series"
BODY = {
    "type": "object",
    "properties": {
        "model": {"type": "string"},
        "inputs": {"type": "array", "items": {"type": "object"}, "minItems": 1},
        "options": {"type": "object", "properties": {"horizon": {"type": "integer", "minimum": 1}}},
    },
    "required": ["inputs"],
}

Body = dict[str, Any]


def timeseries_router(runtime: Runtime) -> APIRouter:
    """What the protocol has no field for, such as units and positions, stands in `options` or beside a series."""
    router = APIRouter(tags=["weather"])
    options = Options("TimeseriesOptions", ModelOptions, WeatherOptions)

    def check(model: ModelInfo, parsed: ParsedOptions) -> None:
        model.postprocessor.check(ForecastOptions())

    async def forecast(request: Request) -> Response:
        """The mean forecast, in KServe's time series protocol; quantiles are not supported."""
        started = time.perf_counter()
        runtime.check_ready()
        content = await request.body()
        body = await off_loop(len(content), read_body, content)
        parsed = options.parse({**request.query_params, **({"model": body["model"]} if body.get("model") else {})})
        seen = await perceive_payload(runtime, PATH, Payload([content], {}), parsed, check, started)
        result: Forecast = interpreted(seen, ForecastOptions)[0]
        return json_response(kserve_answer(request.scope["request_id"], seen, body, result), seen.timing_headers())

    router.add_api_route(
        "/v1/timeseries/forecast",
        forecast,
        methods=["POST"],
        operation_id="timeseries_forecast",
        response_model=None,
        responses=problem_responses(),
        openapi_extra={"requestBody": {"required": True, "content": {JSON: {"schema": BODY}}}},
    )
    return router


def read_body(content: bytes) -> Body:
    """All but the numbers, which the decoder reads. Raises Problem 400 for what is not a request of the protocol."""
    try:
        body = orjson.loads(outline(content))
    except orjson.JSONDecodeError as error:
        raise malformed(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict) or not isinstance(body.get("inputs"), list) or not body["inputs"]:
        raise malformed('the body must be an object such as {"model": "...", "inputs": [...], "options": {...}}')
    options = body.get("options")
    if isinstance(options, dict) and options.get("quantiles"):
        raise malformed("quantiles are not supported, only the mean forecast: remove the option")
    return body


def kserve_answer(request_id: str, seen: Perception, body: Body, result: Forecast) -> Body:
    """One content per input: all stations of a multivariate one, or each input its own station."""
    network = len(body["inputs"]) == 1 and isinstance(body["inputs"][0]["series"][0], list)
    columns: list[tuple[str, Any]]
    if network:
        columns = [(MULTIVARIATE, result.forecast.tolist())]
    else:
        columns = [(UNIVARIATE, column.tolist()) for column in result.forecast.T]
    content = [
        {
            "type": kind,
            "name": str(item.get("name") or station),
            "mean_forecast": mean,
            "frequency": result.frequency,
            "start_timestamp": result.start_time,
            "quantiles": None,
            "units": result.units,
        }
        for (kind, mean), item, station in zip(columns, body["inputs"], result.stations, strict=False)
    ]
    output = {"type": "time_series_forecast", "id": f"{request_id}-0", "status": "completed", "content": content}
    return {
        "id": request_id,
        "created_at": int(time.time()),
        "status": "completed",
        "model": seen.model.name,
        "outputs": [{**output, "error": None}],
        "error": None,
        "usage": None,
    }
