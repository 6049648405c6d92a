"""A checkpoint is one safetensors file that describes itself: constructor arguments, model card, weights."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from models.config import BackboneConfig
from models.description import (
    FORMAT,
    VERSION,
    CheckpointError,
    ModelCard,
    Options,
    Structure,
    read_description,
    shortened,
)
from models.heads.base import Head
from models.perception import PerceptionModel
from models.reparam import reparameterize
from models.unireplknet import UniRepLKNet


@dataclass(frozen=True)
class Checkpoint:
    """One model of one task: `task` is its URL path, the options are its classes' constructor arguments."""

    task: str
    preprocessor: Options
    backbone: Options
    head: Options
    structure: Structure
    card: ModelCard
    state_dict: dict[str, Tensor]
    embedding: Options = field(default_factory=dict)

    def build(self, head_type: type[Head], embedding_type: type[nn.Module] | None = None) -> PerceptionModel:
        """The network in the stored structure, with the weights in float32, in eval mode."""
        with torch.device("meta"):  # no memory for random weights that would be replaced at once
            embedding = embedding_type(**self.embedding) if embedding_type else None
            backbone = UniRepLKNet(BackboneConfig(**self.backbone))
            model = PerceptionModel(backbone, head_type(**self.head), embedding)
            if self.structure is Structure.DEPLOY:
                model = reparameterize(model)
        weights = {key: value.float() if value.is_floating_point() else value for key, value in self.state_dict.items()}
        check_keys(model.state_dict(), weights, self.card.name)
        model.load_state_dict(weights, assign=True)
        return model.eval()

    def in_half(self) -> "Checkpoint":
        """The same with its weights stored in float16."""
        weights = {k: value.half() if value.is_floating_point() else value for k, value in self.state_dict.items()}
        return replace(self, state_dict=weights)

    def save(self, path: Path) -> None:
        """Write atomically: readers see the old file or the new one, never half of it."""
        described = {
            "format": FORMAT,
            "version": VERSION,
            **{k: v for k, v in asdict(self).items() if k != "state_dict"},
        }
        tensors = {key: value.detach().cpu().contiguous() for key, value in self.state_dict.items()}
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(save(tensors, metadata={"checkpoint": json.dumps(described)}))
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        described = read_description(path)
        with safe_open(path, framework="pt") as file:
            state_dict = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
        structure, card = Structure(described.pop("structure")), ModelCard(**described.pop("card"))
        return cls(**described, structure=structure, card=card, state_dict=state_dict)

    @property
    def version(self) -> str:
        """Hash of the weights: the same for the same answers, whatever the file is called."""
        digest = hashlib.sha256()
        for key, value in sorted(self.state_dict.items()):
            digest.update(key.encode())
            digest.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return f"sha256:{digest.hexdigest()[:16]}"


def check_keys(expected: dict[str, Tensor], found: dict[str, Tensor], name: str) -> None:
    """Raise CheckpointError naming the keys that are missing, left over or of another shape."""
    shared = expected.keys() & found.keys()
    shapes = [f"{k}: {tuple(found[k].shape)}, expected {tuple(expected[k].shape)}" for k in sorted(shared)
              if found[k].shape != expected[k].shape]  # fmt: skip
    problems = {
        "missing": sorted(expected.keys() - found.keys()),
        "not of this network": sorted(found.keys() - expected.keys()),
        "of another shape": shapes,
    }
    told = "; ".join(f"{len(keys)} {kind} ({shortened(keys)})" for kind, keys in problems.items() if keys)
    if told:
        raise CheckpointError(f"the weights of {name} do not fit the network they are meant for: {told}")
