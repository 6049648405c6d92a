"""The checkpoints the authors published: their names, their files on the hub, and the download."""

import re
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import RemoteEntryNotFoundError, RepositoryNotFoundError

REPOSITORY = "DingXiaoH/UniRepLKNet"
LICENCE = "Apache-2.0"
IMAGENET_1K, IMAGENET_22K = "ImageNet-1K", "ImageNet-22K"  # as models.class_names calls them
ACCURACY = re.compile(r"_acc(\d+\.\d+)\.pth$")


class HubError(Exception):
    """A published checkpoint that could not be had."""


@dataclass(frozen=True)
class Published:
    """One published classifier, in training form. size: side of its input in pixels. dataset: whose classes."""

    file: str
    variant: str
    size: int
    dataset: str

    @property
    def accuracy(self) -> float | None:
        """Share of ImageNet-1K validation images answered right, as the file's name states it; None if unstated."""
        stated = ACCURACY.search(self.file)
        return round(float(stated[1]) / 100, 6) if stated else None

    @property
    def data(self) -> str:
        """What it was trained on, in words."""
        return "ImageNet-22K, then ImageNet-1K" if "_in22k_to_in1k_" in self.file else self.dataset


PUBLISHED = {
    "unireplknet_a_in1k": Published("unireplknet_a_in1k_224_acc77.03.pth", "a", 224, IMAGENET_1K),
    "unireplknet_f_in1k": Published("unireplknet_f_in1k_224_acc78.58.pth", "f", 224, IMAGENET_1K),
    "unireplknet_p_in1k": Published("unireplknet_p_in1k_224_acc80.23.pth", "p", 224, IMAGENET_1K),
    "unireplknet_n_in1k": Published("unireplknet_n_in1k_224_acc81.64.pth", "n", 224, IMAGENET_1K),
    "unireplknet_t_in1k": Published("unireplknet_t_in1k_224_acc83.21.pth", "t", 224, IMAGENET_1K),
    "unireplknet_s_in1k": Published("unireplknet_s_in1k_224_acc83.91.pth", "s", 224, IMAGENET_1K),
    "unireplknet_s_in22k": Published("unireplknet_s_in22k_pretrain.pth", "s", 224, IMAGENET_22K),
    "unireplknet_b_in22k": Published("unireplknet_b_in22k_pretrain.pth", "b", 224, IMAGENET_22K),
    "unireplknet_l_in22k": Published("unireplknet_l_in22k_pretrain.pth", "l", 192, IMAGENET_22K),
    "unireplknet_xl_in22k": Published("unireplknet_xl_in22k_pretrain.pth", "xl", 192, IMAGENET_22K),
    "unireplknet_s_in22k_to_in1k_384": Published("unireplknet_s_in22k_to_in1k_384_acc86.44.pth", "s", 384, IMAGENET_1K),
    "unireplknet_b_in22k_to_in1k_384": Published("unireplknet_b_in22k_to_in1k_384_acc87.40.pth", "b", 384, IMAGENET_1K),
    "unireplknet_l_in22k_to_in1k_384": Published("unireplknet_l_in22k_to_in1k_384_acc87.88.pth", "l", 384, IMAGENET_1K),
    "unireplknet_xl_in22k_to_in1k_384": Published(
        "unireplknet_xl_in22k_to_in1k_384_acc87.96.pth", "xl", 384, IMAGENET_1K
    ),
}


def download(name: str, *, endpoint: str | None = None, cache: Path | None = None) -> Path:
    """The file of a published checkpoint, from the cache or the hub; the hub's client shows its progress.

    endpoint: another hub, by default that of HF_ENDPOINT. cache: by default the hub client's folder.
    Raises ValueError for a name that was not published and HubError where the file cannot be had.
    """
    if name not in PUBLISHED:
        raise ValueError(f"{name!r} was not published, expected one of {', '.join(PUBLISHED)}")
    file = PUBLISHED[name].file
    where = f"{endpoint or constants.ENDPOINT}/{REPOSITORY}"
    try:
        return Path(hf_hub_download(REPOSITORY, file, endpoint=endpoint, cache_dir=cache))
    except (RemoteEntryNotFoundError, RepositoryNotFoundError) as error:
        raise HubError(
            f"{where} has no file {file} that can be read without signing in: look for it there, "
            "download it by hand and convert the file"
        ) from error
    except Exception as error:  # the client passes on the errors of whichever HTTP library it was built on
        raise HubError(
            f"{file} could not be downloaded from {where} ({error}): check the connection, set HF_ENDPOINT to a hub "
            "that can be reached, or download the file elsewhere and convert it by its path"
        ) from error
