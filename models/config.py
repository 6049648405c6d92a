"""The published sizes of UniRepLKNet: one row per variant."""

from dataclasses import dataclass, replace

STAGES = 4
SMALL, LARGE = 3, 13

KernelSizes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class BackboneConfig:
    """Constructor arguments of a backbone; they travel in its checkpoint.

    depths, dims: blocks and channels of the four stages. kernel_sizes: the depthwise kernel of every block, by stage.
    normalized_features: dense-prediction mode; each stage's map leaves through a LayerNorm of its own.
    drop_path: rate at the last block, growing linearly from 0 at the first (training only).
    """

    depths: tuple[int, ...]
    dims: tuple[int, ...]
    kernel_sizes: KernelSizes
    in_chans: int = 3
    normalized_features: bool = False
    drop_path: float = 0.0
    layer_scale_init: float = 1e-6

    def __post_init__(self) -> None:
        # A checkpoint stores JSON, which has lists only.
        object.__setattr__(self, "depths", tuple(self.depths))
        object.__setattr__(self, "dims", tuple(self.dims))
        object.__setattr__(self, "kernel_sizes", tuple(tuple(sizes) for sizes in self.kernel_sizes))
        if len(self.depths) != STAGES or len(self.dims) != STAGES:
            raise ValueError(f"depths {self.depths} and dims {self.dims} must name {STAGES} stages each")
        counts = tuple(len(sizes) for sizes in self.kernel_sizes)
        if counts != self.depths:
            raise ValueError(
                f"kernel_sizes name {counts} blocks per stage, depths say {self.depths}: one size per block"
            )


def default_kernel_sizes(depths: tuple[int, ...]) -> KernelSizes:
    """Kernel size of every block (paper Table 5 and the authors' code).

    Stage 1 is small, stages 2 and 4 are large; of stage 3 every block is large in short networks (up to 8 blocks),
    every second in the 18-block network and every third in the 27-block ones, a large one first.
    """
    every = 1 if depths[2] <= 8 else 2 if depths[2] <= 18 else 3
    third = tuple(SMALL if i % every else LARGE for i in range(depths[2]))
    return ((SMALL,) * depths[0], (LARGE,) * depths[1], third, (LARGE,) * depths[3])


def backbone_config(depths: tuple[int, ...], width: int) -> BackboneConfig:
    """The published rule: stage i has `width * 2**i` channels and default kernel sizes."""
    dims = tuple(width * 2**i for i in range(STAGES))
    return BackboneConfig(depths=depths, dims=dims, kernel_sizes=default_kernel_sizes(depths))


VARIANTS: dict[str, BackboneConfig] = {
    "a": backbone_config((2, 2, 6, 2), 40),
    "f": backbone_config((2, 2, 6, 2), 48),
    "p": backbone_config((2, 2, 6, 2), 64),
    "n": backbone_config((2, 2, 8, 2), 80),
    "t": backbone_config((3, 3, 18, 3), 80),
    "s": backbone_config((3, 3, 27, 3), 96),
    "b": backbone_config((3, 3, 27, 3), 128),
    "l": backbone_config((3, 3, 27, 3), 192),
    "xl": backbone_config((3, 3, 27, 3), 256),
    "h": backbone_config((3, 3, 27, 3), 480),
}


def variant(name: str, **changes: object) -> BackboneConfig:
    """A published size, with fields replaced; raises ValueError for an unknown name and TypeError for a field."""
    if name not in VARIANTS:
        raise ValueError(f"variant {name!r} is unknown, expected one of {', '.join(VARIANTS)}")
    return replace(VARIANTS[name], **changes)  # type: ignore[arg-type]
