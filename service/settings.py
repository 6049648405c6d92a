"""Settings of the server, from the environment (UNIREPLKNET_PORT=9000) and from the command line."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.precision import AUTO, Precision
from service.engine.cpu_limit import cpu_limit
from service.keys import read_keys
from service.logs import LogFormat

EMBEDDED_CHECKPOINTS = Path(__file__).resolve().parent.parent / "checkpoints"
MEGABYTE = 1_000_000


class Settings(BaseSettings):
    """What an operator decides; docs/settings.md is checked against it. What a model needs is in its checkpoint."""

    model_config = SettingsConfigDict(env_prefix="UNIREPLKNET_", extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all interfaces")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one")
    checkpoints: Annotated[tuple[Path, ...], NoDecode] = Field(
        (EMBEDDED_CHECKPOINTS,),
        description="Checkpoint files or folders of them; the first model of a task is the task's default",
    )
    device: str = Field(
        "auto",
        description="Device to compute on: cpu, cuda, cuda:N, or auto (the first CUDA device, otherwise the CPU)",
    )
    precision: str = Field(
        AUTO,
        pattern=f"^({AUTO}|{'|'.join(Precision)})$",
        description="Numeric type of the forward pass: float32, bfloat16, float16, or auto (bfloat16 where the hardware"
        " has it and the model card allows it, otherwise float32)",
    )
    runtime: str = Field(
        "auto",
        pattern="^(auto|openvino|torch)$",
        description="Inference runtime: torch, openvino, or auto (openvino on a CPU where it is installed)",
    )
    engine: str = Field(
        "process",
        pattern="^(process|thread)$",
        description="Where models run. process: isolated, restarted on failure; thread: inside the server",
    )
    engine_hang_timeout_s: float = Field(
        30.0, gt=0, description="Seconds a batch may take before the inference process is considered hung and restarted"
    )
    engine_start_timeout_s: float = Field(
        600.0, gt=0, description="Seconds the inference process may take to start and load all models"
    )
    engine_recovery_timeout_s: float = Field(
        300.0, gt=0, description="Seconds to replace a lost inference process; beyond this, liveness fails"
    )
    tuning_s: float = Field(
        120.0, ge=0, description="Seconds of GPU kernel tuning per start; resumes at the next start; 0 disables it"
    )
    cache_folder: Path | None = Field(
        None,
        description="Folder for the kernel-tuning cache; by default unireplknet in $XDG_CACHE_HOME or ~/.cache",
    )
    channels_last: bool | None = Field(
        None, description="Use the channels-last memory format; by default chosen by device"
    )
    threads: int = Field(0, ge=0, description="CPU threads per forward pass; 0 uses all CPUs of the container")
    max_batch_size: int = Field(16, ge=1, description="Maximum samples per forward pass")
    max_batch_elements: int = Field(
        1 << 26, ge=1, description="Maximum input values (pixels, audio samples, coordinates) per forward pass"
    )
    max_queue: int = Field(256, ge=1, description="Maximum samples queued or in progress; beyond this, 429")
    max_queue_bytes: int = Field(
        1_000 * MEGABYTE, ge=1, description="Maximum bytes queued or in progress; beyond this, 429"
    )
    max_queue_wait_s: float = Field(
        10.0, gt=0, description="Maximum predicted seconds of waiting in the queue; beyond this, 429"
    )
    request_timeout_s: float = Field(
        60.0, gt=0, description="Seconds to answer a request without X-Request-Timeout-Ms; beyond this, 504"
    )
    max_request_timeout_s: float = Field(
        300.0, gt=0, description="Maximum seconds that X-Request-Timeout-Ms can ask for; larger values are capped"
    )
    body_timeout_s: float = Field(30.0, gt=0, description="Seconds to receive a request body; beyond this, 408")
    drain_notice_s: float = Field(
        0.0, ge=0, description="Seconds to keep serving after SIGTERM while readiness fails, so that proxies notice"
    )
    drain_timeout_s: float = Field(
        30.0, ge=0, description="Seconds for open requests to finish at shutdown; beyond this, 504"
    )
    max_items: int = Field(32, ge=1, description="Maximum files per request; beyond this, 413")
    max_body_bytes: int = Field(32 * MEGABYTE, ge=1, description="Maximum bytes of a request body; beyond this, 413")
    decode_workers: int = Field(
        default_factory=lambda: min(8, cpu_limit()),
        ge=1,
        description="Processes that decode files, plus one reserved for small files; by default the CPU count, up to 8",
    )
    decode_timeout_s: float = Field(10.0, gt=0, description="Seconds to decode one file; beyond this, 422")
    decode_memory_bytes: int = Field(
        2_000 * MEGABYTE, gt=0, description="Maximum bytes of memory for decoding one file; beyond this, 413"
    )
    decoders: str = Field(
        "",
        pattern=r"^(\w+=\w+(,\w+=\w+)*)?$",
        description="Decoding libraries to use instead of the built-in ones, such as video=decord,pointcloud=open3d",
    )
    api_keys: str = Field(
        "",
        repr=False,
        description="Keys accepted as bearer tokens, comma-separated or @FILE with one per line; empty admits everyone",
    )
    admin_keys: str = Field(
        "",
        repr=False,
        description="Keys allowed to load and unload models, in the same form; empty disables loading and unloading",
    )
    rate_limit: str = Field(
        "",
        pattern=r"^([1-9]\d*/(s|min|h))?$",
        description="Maximum request rate per API key, such as 100/s or 1000/h; empty for no limit",
    )
    log_format: LogFormat = Field(LogFormat.TEXT, description="Log format: text for people, json for programs")
    log_level: str = Field(
        "info",
        pattern="^(debug|info|warning|error|critical)$",
        description="Least severe level that is logged: debug, info, warning, error or critical",
    )

    def decoder(self, modality: str) -> str | None:
        """The library that was chosen to decode a modality."""
        return dict(pair.split("=") for pair in self.decoders.split(",") if pair).get(modality)

    @property
    def warm_up_sizes(self) -> list[int]:
        """Batches to run before a model is seen: requests must not pay for what only a first pass costs."""
        return sorted({1, self.max_batch_size})

    @property
    def keys(self) -> tuple[str, ...]:
        return read_keys(self.api_keys)

    @property
    def administrators(self) -> tuple[str, ...]:
        return read_keys(self.admin_keys)

    @field_validator("checkpoints", mode="before")
    @classmethod
    def _split_checkpoints(cls, places: object) -> object:
        """The environment gives one text, separated as PATH is."""
        return places.split(os.pathsep) if isinstance(places, str) else places

    @field_validator("api_keys", "admin_keys")
    @classmethod
    def _check_keys(cls, text: str) -> str:
        read_keys(text)
        return text

    @field_validator("rate_limit")
    @classmethod
    def _check_rate(cls, text: str, info: ValidationInfo) -> str:
        if text and not info.data.get("api_keys"):
            raise ValueError("the rate limit applies per API key: set api_keys too")
        return text
