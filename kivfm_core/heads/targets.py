"""From labels in an image's pixels to labels on its canvas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.tv_tensors import Mask

from kivfm_core.geometry import Frame
from kivfm_core.heads.head import Target


class _Classes(Protocol):
    @property
    def targets(self) -> tuple[int, ...]: ...


class _Maps(Protocol):
    def semantic(self, index: int, space: tuple[str, ...]) -> NDArray[np.int64]: ...


def class_target(data: _Classes, index: int, frame: Frame, classes: Sequence[str]) -> Target:
    """The class of an image."""
    return {"label": data.targets[index]}


def map_target(data: _Maps, index: int, frame: Frame, classes: Sequence[str]) -> Target:
    """The classes at every pixel of a canvas, taken where its center lies; -1 on padding."""
    original = torch.from_numpy(data.semantic(index, tuple(classes)))
    (h, w), (ch, cw) = frame.original, frame.canvas
    (sx, sy), (tx, ty) = frame.scale, frame.offset
    x = ((torch.arange(cw) + 0.5 - tx) / sx).floor().long()
    y = ((torch.arange(ch) + 0.5 - ty) / sy).floor().long()
    seen = original[y.clamp(0, h - 1)][:, x.clamp(0, w - 1)]
    outside = ((x < 0) | (x >= w)) | ((y < 0) | (y >= h))[:, None]
    return {"map": Mask(seen.masked_fill(outside, -1).clamp(min=-1))}


def count_classes(target: Target, classes: int) -> Tensor:
    """How often each class occurs in an image's labels `[K]`: as image or as pixels."""
    found = torch.as_tensor(target["map"] if "map" in target else target.get("label")).flatten()
    return torch.bincount(found[found >= 0].long(), minlength=classes)
