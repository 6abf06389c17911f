"""What a teacher predicted, in the place of labels; in original pixels, and small in memory."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from faster_coco_eval.core import mask as codec
from numpy.typing import NDArray

from kivfm_core.data.labeled_images import pick
from kivfm_core.geometry import Size
from kivfm_core.task import LabeledImages


@dataclass(frozen=True)
class OwnImages(LabeledImages):
    """Images without labels."""

    paths: tuple[Path, ...]

    def pick(self, indices: Sequence[int]) -> Self:
        """The images of these indices."""
        return replace(self, paths=pick(self.paths, indices))


@dataclass(frozen=True)
class OwnMaps(LabeledImages):
    """A class at every pixel.

    Attributes:
        paths: The images.
        classes: The teacher's own label space.
        maps: Of each image that was seen its size, and its packed map of indices.
    """

    paths: tuple[Path, ...]
    classes: tuple[str, ...]
    maps: dict[int, tuple[Size, bytes]]

    def semantic(self, index: int, space: tuple[str, ...]) -> NDArray[np.int64]:
        """An image's map `[H, W]`; the space is the teacher's own."""
        size, packed = self.maps[index]
        return np.frombuffer(zlib.decompress(packed), np.int32).reshape(size).astype(np.int64)


def pack_map(indices: NDArray[Any]) -> tuple[Size, bytes]:
    """Packs a map `[H, W]` for `OwnMaps`."""
    height, width = indices.shape
    return (height, width), zlib.compress(indices.astype(np.int32).tobytes(), 1)


@dataclass(frozen=True)
class OwnClicks(LabeledImages):
    """A mask for each of some clicks.

    Attributes:
        paths: The images.
        clicks: Of each image that was seen, the points `(x, y)` and the packed mask of each.
    """

    paths: tuple[Path, ...]
    clicks: dict[int, list[tuple[tuple[float, float], Any]]]

    def instances(self, index: int) -> list[Any]:
        """The packed masks of an image."""
        return [packed for _, packed in self.clicks[index]]

    def mask(self, index: int, annotation: Any) -> NDArray[np.bool_]:
        """One of them, `[H, W]`."""
        return codec.decode(annotation) > 0


def pack_masks(masks: NDArray[np.bool_]) -> list[Any]:
    """COCO's compressed run lengths of masks `[N, H, W]`."""
    columns = np.asfortranarray(masks.astype(np.uint8).transpose(1, 2, 0))
    return list(codec.encode(columns)) if len(masks) else []
