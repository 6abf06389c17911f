"""Batches of canvases: each image is decoded once, images of equal canvas size together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from kivfm_core.data.canvas import make_canvases, to_tensor
from kivfm_core.data.labeled_images import ImageReader
from kivfm_core.geometry import Frame, Size, plan_frame
from kivfm_core.spec import InputContract

# Canvas pixels in a batch, at most: larger batches are no faster on two cores, and take memory.
PIXELS = 2**21
# Called with (images done, images in all).
Tick = Callable[[int, int], None]


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
    paths: Sequence[Path],
    contract: InputContract,
    tick: Tick | None = None,
    other: InputContract | None = None,
) -> Iterator[Batch]:
    """Decodes images and makes their canvases; broken ones are skipped.

    Args:
        paths: The images' files.
        contract: How canvases are made.
        tick: Called after each image.
        other: A batch's images have canvases of one size by this contract, too.

    Raises:
        DataError: If too many images are broken.
    """
    reader = ImageReader(len(paths))
    # Images whose batch is not full yet, with their indices, by the sizes of their canvases.
    waiting: dict[tuple[Size, ...], list[tuple[int, Tensor]]] = {}
    contracts = [contract] if other is None else [contract, other]

    def batch(sizes: tuple[Size, ...]) -> Batch:
        indices, images = zip(*waiting.pop(sizes), strict=True)
        return Batch(list(indices), *make_canvases(images, contract))

    for index, path in enumerate(paths):
        image = reader.open(path)
        if image is not None:
            sizes = tuple(plan_frame((image.height, image.width), c).canvas for c in contracts)
            group = waiting.setdefault(sizes, [])
            group.append((index, to_tensor(image)))
            if len(group) >= max(1, min(32, PIXELS // max(h * w for h, w in sizes))):
                yield batch(sizes)
        if tick:
            tick(index + 1, len(paths))
    for sizes in list(waiting):
        yield batch(sizes)
    if not reader.read:
        reader.refuse()
