"""One step's computation: what Fabric wraps, so that every gradient goes through `forward`."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kivfm_core.distill.frozen import TRUNK
from kivfm_core.objectives.recipes import RECIPES
from kivfm_core.student import Student

Targets = Mapping[str, Mapping[str, Tensor]]


class Distillation(nn.Module):
    """The student against its teachers' levels.

    Args:
        student: What is trained.
        recipe: Name of the objective.
        weights: Each teacher's share of the loss; they sum to 1.
    """

    def __init__(self, student: Student, recipe: str, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.student, self.weights = student, dict(weights)
        self.distance = RECIPES[recipe]

    def forward(self, canvas: Tensor, targets: Targets) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and each teacher's share of it, unweighted.

        Args:
            canvas: The student's normalized canvases `[B, 3, H, W]`.
            targets: Each teacher's levels, and what the frozen base said, under `trunk`; the
                base's own levels are in it.
        """
        trunk = dict(targets[TRUNK]) if TRUNK in targets else self.student.ask_trunk(canvas)
        features = self.student.adapt(canvas, trunk)
        losses: dict[str, Tensor] = {}
        for spec in self.student.composition.teachers:
            distances: list[Tensor] = []
            for plan in self.student.composition.of(spec.name):
                aligner = self.student.aligner(spec.name, plan.level.name)
                if plan.kind == "identity":
                    target = trunk["x" if plan.level.kind == "global" else "V"]
                else:
                    target = targets[spec.name][plan.level.name]
                grid = (target.shape[-2], target.shape[-1]) if target.ndim == 4 else None
                predicted = aligner.predict(features, grid)
                distances.append(self.distance(predicted, aligner.to_latent(target)))
            losses[spec.name] = torch.stack(distances).mean()
        total = sum(
            (self.weights[name] * loss for name, loss in losses.items()), torch.zeros(()).to(canvas)
        )
        return total, losses
