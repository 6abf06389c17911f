"""One step's computation: what Fabric wraps, so that every gradient goes through `forward`."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kivfm_core.distill.frozen import TRUNK
from kivfm_core.distill.readouts import decoders_distance
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
        self.recipe = RECIPES[recipe]
        names = [spec.name for spec in student.composition.teachers]
        self.units = dict(zip(names, student.readout_units, strict=True))

    def forward(self, canvas: Tensor, targets: Targets) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and each teacher's share of it, unweighted.

        Args:
            canvas: The student's normalized canvases `[B, 3, H, W]`.
            targets: Each teacher's levels, and what the frozen base said, under `trunk`; the
                base's own levels are in it.
        """
        trunk = dict(targets[TRUNK]) if TRUNK in targets else self.student.ask_trunk(canvas)
        features = self.student.adapt(canvas, trunk)
        losses = {
            spec.name: self._distance(spec.name, features, targets.get(spec.name, {}), trunk)
            for spec in self.student.composition.teachers
        }
        total = sum(
            (self.weights[name] * loss for name, loss in losses.items()), torch.zeros(()).to(canvas)
        )
        return total, losses

    def _distance(
        self,
        teacher: str,
        features: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        trunk: Mapping[str, Tensor],
    ) -> Tensor:
        """How far the student is from one teacher: mean over its levels, and its decoders."""
        distances: list[Tensor] = []
        levels: dict[str, Tensor] = {}
        for plan in self.student.composition.of(teacher):
            aligner = self.student.aligner(teacher, plan.level.name)
            if plan.kind == "identity":
                target = trunk["x" if plan.level.kind == "global" else "V"]
            else:
                target = targets[plan.level.name]
            grid = (target.shape[-2], target.shape[-1]) if target.ndim == 4 else None
            predicted = aligner.predict(features, grid)
            distances.append(self.recipe.distance(predicted, aligner.to_latent(target)))
            levels[plan.level.name] = aligner.to_level(predicted)
        distance = torch.stack(distances).mean()
        if self.recipe.readout:
            wrong = decoders_distance(self.student.decoders[teacher], levels, targets)
            distance = distance + self.recipe.readout * wrong / self.units[teacher]
        return distance
