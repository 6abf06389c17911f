"""Measures that only agreement has: the share of pixels, and masks of the same clicks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kivfm_core.evaluation.agreement.own_labels import OwnClicks
from kivfm_core.geometry import Frame
from kivfm_core.task import Chance, Prompter, weighted_means
from kivfm_core.tasks.meters.promptable_segmentation import PromptableSegmentation
from kivfm_core.tasks.meters.semantic_segmentation import SemanticSegmentation


class PixelAgreement(SemanticSegmentation):
    """The share of pixels of the same class."""

    def compute(self) -> float:
        """The share over all images."""
        return float(self.right.sum() / self.true.sum())

    def resample(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """The shares of the images drawn."""
        return weighted_means(counts, self.right.sum(axis=1), self.true.sum(axis=1))

    def chance(self) -> Chance | None:
        """One class at every pixel: the most frequent."""
        true = self.true.sum(axis=0)
        return Chance(float(true.max() / true.sum())) if true.any() else None


class ClickAgreement(PromptableSegmentation):
    """Mean IoU of the masks of the same clicks."""

    def __init__(self, data: OwnClicks, space: tuple[str, ...] | None) -> None:
        super().__init__(data, space)
        self.clicked = data.clicks

    def prompt(self, teacher: Prompter, indices: Sequence[int], frames: Sequence[Frame]) -> Any:
        """The clicks that the teacher's masks are of."""
        points = [
            torch.tensor([frame.to_canvas(*point) for point, _ in self.clicked[index]])
            .reshape(-1, 2)
            .to(torch.float32)
            for index, frame in zip(indices, frames, strict=True)
        ]
        return teacher.prompt("promptable-segmentation", points=points)
