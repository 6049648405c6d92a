"""Settings of the server, from the environment (UNIREPLKNET_PORT=9000) and from the command line."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.precision import Precision
from service.engine.cpu_limit import cpu_limit
from service.keys import read_keys
from service.logs import LogFormat

EMBEDDED_CHECKPOINTS = Path(__file__).resolve().parent.parent / "checkpoints"
MEGABYTE = 1_000_000


class Settings(BaseSettings):
    """What an operator decides. What a model needs is in its checkpoint, and never here."""

    model_config = SettingsConfigDict(env_prefix="UNIREPLKNET_", extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for every interface")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 for any free one")
    checkpoints: Annotated[tuple[Path, ...], NoDecode] = Field(
        (EMBEDDED_CHECKPOINTS,), description="Checkpoint files, or folders of them; the first of a task is its default"
    )
    device: str = Field("auto", description="cpu, cuda, cuda:1, or auto: the first CUDA device, else the CPU")
    precision: Precision = Field(Precision.FLOAT32, description="What the networks compute in")
    runtime: str = Field(
        "auto",
        pattern="^(auto|openvino|torch)$",
        description="What computes backbones: torch, openvino, or auto: openvino on a CPU where it is installed",
    )
    engine: str = Field(
        "process", pattern="^(process|thread)$", description="Where models compute: a process that is replaced, or here"
    )
    engine_hang_timeout_s: float = Field(30.0, gt=0, description="A batch that takes longer means a hung engine")
    engine_start_timeout_s: float = Field(600.0, gt=0, description="Longest loading of all models")
    engine_recovery_timeout_s: float = Field(
        300.0, gt=0, description="Time to replace a lost engine; if that has failed by then, liveness fails"
    )
    tuning_s: float = Field(
        120.0,
        ge=0,
        description="Longest measuring of kernels on a GPU at a start; the next goes on. 0 for none",
    )
    cache_folder: Path | None = Field(
        None, description="Where that is kept; by default $XDG_CACHE_HOME/unireplknet, or ~/.cache/unireplknet"
    )
    channels_last: bool | None = Field(None, description="Memory format of feature maps; by default chosen by device")
    threads: int = Field(0, ge=0, description="CPU threads of a forward pass; 0: as many as the container may use")
    max_batch_size: int = Field(16, ge=1, description="Most samples that share a forward pass")
    max_batch_elements: int = Field(
        1 << 26, ge=1, description="Most numbers (pixels, samples, coordinates) in all inputs of a forward pass"
    )
    max_queue: int = Field(256, ge=1, description="Most samples that are admitted at a time; beyond, requests get 429")
    max_queue_bytes: int = Field(1_000 * MEGABYTE, ge=1, description="Most bytes of them; beyond, requests get 429")
    max_queue_wait_s: float = Field(
        10.0, gt=0, description="Longest predicted wait for an answer; beyond, requests get 429"
    )
    request_timeout_s: float = Field(
        60.0, gt=0, description="Time for a request that names none by X-Request-Timeout-Ms; beyond, it gets 504"
    )
    max_request_timeout_s: float = Field(300.0, gt=0, description="Most time that a request may ask for")
    body_timeout_s: float = Field(30.0, gt=0, description="Longest time to receive a request's body; beyond, 408")
    drain_notice_s: float = Field(
        0.0, ge=0, description="Time to serve on when told to end, while probes say that it is not ready"
    )
    drain_timeout_s: float = Field(30.0, ge=0, description="Time for open requests to be answered before shutdown")
    max_items: int = Field(32, ge=1, description="Most files in one request")
    max_body_bytes: int = Field(32 * MEGABYTE, ge=1, description="Largest request body")
    decode_workers: int = Field(
        default_factory=lambda: min(8, cpu_limit()),
        ge=1,
        description="Processes that decode files; one more takes those alone that are quickly decoded",
    )
    decode_timeout_s: float = Field(10.0, gt=0, description="Longest decoding of one file, while it has a core")
    decode_memory_bytes: int = Field(2_000 * MEGABYTE, gt=0, description="Most memory that decoding one file may take")
    decoders: str = Field(
        "",
        pattern=r"^(\w+=\w+(,\w+=\w+)*)?$",
        description="Libraries that decode in place of the built-in ones, such as video=decord,pointcloud=open3d",
    )
    api_keys: str = Field(
        "",
        repr=False,
        description="Keys, separated by commas, or @FILE with one a line; clients send one as bearer token",
    )
    admin_keys: str = Field(
        "", repr=False, description="The same of those who may load and unload models; without any, nobody may"
    )
    rate_limit: str = Field(
        "", pattern=r"^([1-9]\d*/(s|min|h))?$", description="Requests that each key may send, such as 100/s or 1000/h"
    )
    log_format: LogFormat = Field(LogFormat.TEXT, description="text for people, json for programs")
    log_level: str = Field("info", pattern="^(debug|info|warning|error|critical)$", description="Least severity logged")

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
            raise ValueError("rates are limited by key: set api_keys too")
        return text
