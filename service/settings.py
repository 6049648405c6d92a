"""Settings of the server, from the environment (UNIREPLKNET_PORT=9000) and from the command line."""

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.predictor import Precision

EMBEDDED_CHECKPOINTS = Path(__file__).resolve().parent.parent / "checkpoints"
MEGABYTE = 1_000_000


class Settings(BaseSettings):
    """What an operator decides. What a model needs is in its checkpoint, and never here."""

    model_config = SettingsConfigDict(env_prefix="UNIREPLKNET_", extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for every interface")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 for any free one")
    checkpoints: tuple[Path, ...] = Field(
        (EMBEDDED_CHECKPOINTS,), description="Checkpoint files, or folders of them; the first of a task is its default"
    )
    device: str = Field("auto", description="cpu, cuda, cuda:1, or auto: the first CUDA device, else the CPU")
    precision: Precision = Field(Precision.FLOAT32, description="What the networks compute in")
    channels_last: bool | None = Field(None, description="Memory format of feature maps; by default chosen by device")
    threads: int = Field(0, ge=0, description="CPU threads of a forward pass; 0 leaves the choice to torch")
    max_batch_size: int = Field(16, ge=1, description="Most samples that share a forward pass")
    max_queue: int = Field(256, ge=1, description="Most samples that wait for a device; beyond, requests get 429")
    max_items: int = Field(32, ge=1, description="Most files in one request")
    max_body_bytes: int = Field(32 * MEGABYTE, ge=1, description="Largest request body")
    decode_workers: int = Field(
        default_factory=lambda: max(1, min(8, (os.cpu_count() or 1))), ge=1, description="Processes that decode files"
    )
    decode_timeout_s: float = Field(10.0, gt=0, description="Longest decoding of one file")
    decode_memory_bytes: int = Field(2_000 * MEGABYTE, gt=0, description="Most memory that decoding one file may take")
    decoders: str = Field(
        "",
        pattern=r"^(\w+=\w+(,\w+=\w+)*)?$",
        description="Libraries that decode in place of the built-in ones, such as video=decord,pointcloud=open3d",
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error|critical)$", description="Least severity logged")

    def decoder(self, modality: str) -> str | None:
        """The library that was chosen to decode a modality."""
        return dict(pair.split("=") for pair in self.decoders.split(",") if pair).get(modality)
