"""Masks of what words name: the places that fit them best are clicks for another decoder."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import masks_to_boxes

from kivfm_core.aligners.joint_plan import PLACES
from kivfm_core.geometry import Frame
from kivfm_core.layers.distinct_masks import distinct_masks
from kivfm_core.predictions import Instances
from kivfm_core.student.words import WordDecoders
from kivfm_core.tasks.promptable_segmentation import PROMPTABLE_SEGMENTATION
from kivfm_core.teacher import Decoders, Levels

# So many places are clicked on for a word, at most, the best first.
CLICKS = 8
# Of an image so many are clicked on at most, as many as detectors find objects; so many at once.
MOST, AT_ONCE = 300, 64
# Of two masks of one word that overlap by more (IoU), the better one stays.
SAME = 0.5


class TextMaskDecoders(Decoders):
    """Words find places, and a decoder of clicks gives the object at each.

    Args:
        words: Finds the places.
        clicked: The decoders of the teacher that takes clicks.
    """

    def __init__(self, words: WordDecoders, clicked: Decoders) -> None:
        nn.Module.__init__(self)  # its parts are others'
        self.spec, self.words, self.clicked = words.spec, words, clicked

    def prompt(self, task: str, **raw: Any) -> Tensor:
        """The words' directions in the shared coordinates."""
        return self.words.prompt(task, **raw)

    def decode(self, task: str, levels: Levels, prompt: Any = None) -> Instances:
        """The objects of each word, the best first; scores are above 0.5 where a word fits."""
        with torch.no_grad():
            places = Levels({PLACES: levels[PLACES]}, levels.frames)
            fits = self.words.decode(task, places, prompt).logits
            own = {name: level for name, level in levels.items() if name != PLACES}
            found = [
                self._objects(fits[i], {n: x[i : i + 1] for n, x in own.items()}, frame)
                for i, frame in enumerate(levels.frames)
            ]
        boxes, scores, labels, masks = (list(parts) for parts in zip(*found, strict=True))
        return Instances(boxes, scores, labels, masks, region="canvas")

    def _objects(
        self, fits: Tensor, levels: dict[str, Tensor], frame: Frame
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Boxes `[N, 4]`, scores, labels and masks of one image, from scores `[L, h, w]`."""
        label, y, x = peaks(fits)
        scores = fits[label, y, x].sigmoid()
        best = scores.argsort(descending=True, stable=True)[:MOST]
        label, y, x, scores = label[best], y[best], x[best], scores[best]
        height, width = frame.canvas
        at = torch.stack([(x + 0.5) * width / fits.shape[2], (y + 0.5) * height / fits.shape[1]], 1)
        given = Levels(levels, [frame])
        logits = torch.cat([self._masks(given, part) for part in at.split(AT_ONCE)])
        keep = _distinct(logits > 0, label)
        label, scores, logits = label[keep], scores[keep], logits[keep]
        scale = torch.tensor([width / logits.shape[-1], height / logits.shape[-2]]).repeat(2)
        ends = torch.tensor([0.0, 0.0, 1.0, 1.0])  # torchvision's boxes end at the last pixel
        boxes = (masks_to_boxes(logits > 0) + ends) * scale
        return boxes, scores, label, logits.sigmoid()

    def _masks(self, levels: Levels, clicks: Tensor) -> Tensor:
        """Logits `[N, h, w]` of the masks at clicks `[N, 2]`, of one image."""
        task = PROMPTABLE_SEGMENTATION.name
        prompt = self.clicked.prompt(task, points=[clicks])
        return cast(Any, self.clicked.decode(task, levels, prompt)).logits[0]


def peaks(fits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The best places of each word, where it fits: labels, rows and columns `[N]`.

    Args:
        fits: `[L, h, w]`, above 0 where a word fits.
    """
    highest = F.max_pool2d(fits[None], 3, stride=1, padding=1)[0]
    good = torch.where((fits == highest) & (fits > 0), fits, 0.0).flatten(1)
    best, places = good.topk(min(CLICKS, good.shape[1]), dim=1)
    label, rank = (best > 0).nonzero(as_tuple=True)
    place = places[label, rank]
    return label, place // fits.shape[2], place % fits.shape[2]


def _distinct(masks: Tensor, labels: Tensor) -> Tensor:
    """Indices of bool masks `[N, h, w]`, best first, that are not empty and no better one's."""
    there = masks.flatten(1).any(1)
    kept: list[int] = []
    for label in labels.unique():
        own = ((labels == label) & there).nonzero()[:, 0]
        kept += own[[*distinct_masks(masks[own], SAME)]].tolist()
    return torch.tensor(sorted(kept), dtype=torch.long)
