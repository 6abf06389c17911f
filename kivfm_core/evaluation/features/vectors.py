"""One vector for each image: levels, averaged over their grids."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kivfm_core.data.batches import Tick, batches
from kivfm_core.data.formats.classes import ClassData
from kivfm_core.teacher import Encoder


def read_vectors(
    model: Encoder, data: ClassData, levels: Sequence[str], tick: Tick | None = None
) -> tuple[list[Tensor], Tensor]:
    """A model's levels on images with classes, at its own canvas.

    Args:
        model: The model.
        data: Images with classes.
        levels: Which of its levels.
        tick: Called with (images done, images in all).

    Returns:
        `[N, C]` for every level, and the class indices `[N]` of the images that could be read.
    """
    vectors: list[list[Tensor]] = [[] for _ in levels]
    targets: list[int] = []
    for batch in batches(data.paths, model.spec.input, tick):
        encoded = model.encode(batch.images, batch.frames)
        for name, own in zip(levels, vectors, strict=True):
            level = encoded[name].float().cpu()
            own.append(level if level.ndim == 2 else level.mean(dim=(2, 3)))
        targets += [data.targets[index] for index in batch.indices]
    return [torch.cat(own) for own in vectors], torch.tensor(targets)
