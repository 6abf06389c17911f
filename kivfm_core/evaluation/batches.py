"""Batches of canvases: pictures decoded once, those of equal canvas together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from kivfm_core.data.canvas import make_canvases, to_tensor
from kivfm_core.data.labeled_images import ImageReader
from kivfm_core.geometry import Frame, plan_frame
from kivfm_core.spec import InputContract

PIXELS = 2**21
"""Canvas pixels in a batch, at most: what two cores and their memory like."""

Tick = Callable[[int, int], None]
"""Told (pictures done, pictures in all)."""


@dataclass(frozen=True)
class Batch:
    """Canvases of equal size.

    Attributes:
        indices: Which of the paths these are.
        images: Canvases `[B, 3, H, W]`, RGB in [0, 1].
        frames: The canvases' frames.
    """

    indices: list[int]
    images: Tensor
    frames: list[Frame]


def batches(
    paths: Sequence[Path], contract: InputContract, tick: Tick | None = None
) -> Iterator[Batch]:
    """Decodes pictures and makes their canvases; broken ones are skipped.

    Raises:
        DataError: If too many pictures are broken.
    """
    reader = ImageReader(len(paths))
    waiting: dict[tuple[int, int], list[tuple[int, Tensor]]] = {}

    def batch(size: tuple[int, int]) -> Batch:
        indices, pictures = zip(*waiting.pop(size), strict=True)
        return Batch(list(indices), *make_canvases(pictures, contract))

    for index, path in enumerate(paths):
        picture = reader.open(path)
        if picture is not None:
            size = plan_frame((picture.height, picture.width), contract).canvas
            group = waiting.setdefault(size, [])
            group.append((index, to_tensor(picture)))
            if len(group) >= max(1, min(32, PIXELS // (size[0] * size[1]))):
                yield batch(size)
        if tick:
            tick(index + 1, len(paths))
    for size in list(waiting):
        yield batch(size)
    if not reader.read:
        reader.refuse()
