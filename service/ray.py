"""The same application on Ray Serve, for fleets of machines: `serve run service.ray:app`.

Ray places replicas, routes to the one with fewer open requests, adds and removes them by load, and replaces those that
fail. Everything else is the application's own, in every replica: its limits, its batches, its engine, its drain.
"""

from collections.abc import Mapping
from typing import Any

import ray
from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig, BackpressureConfig
from starlette.types import ASGIApp

from service.app import create_app
from service.settings import Settings

BATCHES_IN_HAND = 2  # of a busy replica: one that is computed, and one that fills meanwhile
DRAIN_MARGIN_S = 10.0  # on top of the drain: engine and decode workers end too
HEALTH_PERIOD_S = 5.0


class Perception:
    """A replica. settings: the operator's; what they leave open follows the share of the machine that Ray granted."""

    def __init__(self, settings: Settings) -> None:
        self.settings = fitted(settings, ray.get_runtime_context().get_assigned_resources())

    def __serve_build_asgi_app__(self) -> ASGIApp:
        app = create_app(self.settings)
        self.runtime = app.state.runtime
        return app

    async def check_health(self) -> None:
        """Ray asks once before the replica is given requests, and every few seconds from then on.

        Raises where the models cannot be loaded, and while the engine cannot compute.
        """
        await self.runtime.loaded()
        await self.runtime.check_engine()


def app(settings: Settings) -> Application:
    """What a configuration file or `serve run` starts; its arguments are the server's settings."""
    return deployment(settings).bind(settings)


def deployment(settings: Settings) -> serve.Deployment:
    """Ray's side of the settings; a configuration file may override each option.

    Requests are refused by the replicas, who know how long they would wait. Ray lets twice as many through as they
    admit, so its own queue is for the moments in which there is no replica.
    """
    return serve.deployment(
        serve.ingress()(Perception),
        name="Perception",
        ray_actor_options=share(settings),
        max_ongoing_requests=2 * settings.max_queue,
        max_queued_requests=settings.max_queue,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=1),
        autoscaling_config=AutoscalingConfig(
            min_replicas=1, max_replicas=8, target_ongoing_requests=BATCHES_IN_HAND * settings.max_batch_size
        ),
        health_check_period_s=HEALTH_PERIOD_S,
        graceful_shutdown_timeout_s=settings.drain_timeout_s + DRAIN_MARGIN_S,
    )


def share(settings: Settings) -> dict[str, float]:
    """What a replica takes of a machine: a GPU where the models compute on one, else the cores of a forward pass."""
    import torch

    on_gpu = settings.device.startswith("cuda") or (settings.device == "auto" and torch.cuda.is_available())
    return {"num_cpus": settings.threads or 1, "num_gpus": float(on_gpu)}


def fitted(settings: Settings, granted: Mapping[str, Any]) -> Settings:
    """Settings for a replica to which so many `CPU` and `GPU` were granted. It sees no other GPU than its own."""
    cores = max(1, int(granted.get("CPU", 1)))
    on_gpu = settings.device.startswith("cuda") or (settings.device == "auto" and bool(granted.get("GPU")))
    changes: dict[str, Any] = {"device": "cuda" if on_gpu else "cpu", "threads": settings.threads or cores}
    if "decode_workers" not in settings.model_fields_set:
        changes["decode_workers"] = cores
    return settings.model_copy(update=changes)
