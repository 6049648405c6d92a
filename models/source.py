"""A source of weights by the authors, a file or a published name, opened and described."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from models.checkpoint import Checkpoint
from models.class_names import DATASETS, class_names
from models.description import CheckpointError, ModelCard, Options
from models.hub import LICENCE, PUBLISHED, REPOSITORY, Published, download
from models.upstream_file import UpstreamWeights, read_weights
from models.upstream_network import UpstreamNetwork, describe, from_upstream

TASK = "classify/image"
IMAGE_CHANNELS = 3
DEFAULT_SIZE = 224
# The authors' evaluation transform: the fields of ImagePreprocessor, their size aside.
TRANSFORM: Options = {
    "crop": 0.875,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "max_pixels": 40_000_000,
}


@dataclass(frozen=True)
class Source:
    """An image classifier as its file holds it. published: the row of the authors' table that it comes from."""

    path: Path
    weights: UpstreamWeights
    network: UpstreamNetwork
    published: Published | None

    def checkpoint(self, name: str, labels: Sequence[str] | None = None, size: int | None = None) -> Checkpoint:
        """The same weights under our names, in float32 and in the source's structure; see `convert` for the rest."""
        weights = from_upstream(self.weights.tensors, self.network, str(self.path))
        return Checkpoint(
            task=TASK,
            preprocessor={"size": size or (self.published.size if self.published else DEFAULT_SIZE), **TRANSFORM},
            backbone=asdict(self.network.config),
            head={"num_features": self.network.config.dims[-1], "labels": self._labels(labels)},
            structure=self.network.structure,
            card=self._card(name),
            state_dict={key: _single(value) for key, value in weights.items()},
        )

    def _labels(self, given: Sequence[str] | None) -> list[str]:
        classes = self.network.classes or 0
        if given is None and classes not in DATASETS:
            raise CheckpointError(
                f"{self.path} has {classes} classes, which is no ImageNet's number: pass their labels"
            )
        labels = class_names(DATASETS[classes]) if given is None else given
        if len(labels) != classes:
            raise CheckpointError(
                f"{self.path} has {classes} classes, and {len(labels)} labels were given: pass one each"
            )
        return list(labels)

    def _card(self, name: str) -> ModelCard:
        row = self.published
        if row is None:
            return ModelCard(name=name, description=f"UniRepLKNet image classifier converted from {self.path.name}")
        return ModelCard(
            name=name,
            description=f"UniRepLKNet-{row.variant.upper()} image classifier of the authors, {row.size}x{row.size}",
            data=row.data,
            licence=LICENCE,
            split="" if row.accuracy is None else "ImageNet-1K validation, stated by the authors, not measured here",
            metrics={} if row.accuracy is None else {"validation_accuracy": row.accuracy},
            training={"repository": f"https://huggingface.co/{REPOSITORY}", "file": row.file},
        )


def open_source(source: str) -> Source:
    """Download a published name or read a file; raises CheckpointError where it is not an image classifier."""
    path = download(source) if source in PUBLISHED else Path(source)
    published = PUBLISHED.get(source) or next((row for row in PUBLISHED.values() if row.file == path.name), None)
    weights = read_weights(path)
    opened = Source(path, weights, describe(weights.tensors), published)
    check_classifier(opened)
    return opened


def check_classifier(source: Source) -> None:
    network, published = source.network, source.published
    found = f"{source.path} (depths {network.config.depths}, widths {network.config.dims})"
    if published is not None and network.variant != published.variant:
        raise CheckpointError(f"{found} is not of size {published.variant}, as which it was published: get it again")
    if published is not None and DATASETS.get(network.classes or 0) != published.dataset:
        raise CheckpointError(f"{found} has {network.classes} classes, not those of {published.dataset}: get it again")
    if network.classes is None:
        raise CheckpointError(f"{found} has no classifier (head.weight), only a trunk, and {TASK} needs one")
    if network.config.in_chans != IMAGE_CHANNELS:
        raise CheckpointError(f"{found} takes {network.config.in_chans} channels, and {TASK} gives {IMAGE_CHANNELS}")


def _single(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value
