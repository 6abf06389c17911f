"""One step's computation: what Fabric wraps, so that every gradient goes through `forward`."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kivfm_core.distillation.inputs.targets import Targets
from kivfm_core.distillation.training.agreement import Agreement
from kivfm_core.distillation.training.decoder_loss import decoders_distance
from kivfm_core.distillation.training.hold import hold
from kivfm_core.layers.trunk_output import TrunkOutput
from kivfm_core.objectives.balancing import BALANCES
from kivfm_core.objectives.losses import DISTANCES
from kivfm_core.recipes.table import RECIPES
from kivfm_core.spec import TeacherSpec
from kivfm_core.student.student import Student


class Distillation(nn.Module):
    """The student against its teachers' levels.

    Args:
        student: What is trained.
        recipe: Name of the objective.
        weights: Share of the loss of each teacher to learn from; they sum to 1.

    Attributes:
        readout_share: Factor of the decoders' weight at this step.
    """

    weights: Tensor
    readout_share: Tensor

    def __init__(self, student: Student, recipe: str, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.student = student
        self.recipe = RECIPES[recipe]
        # An earlier run's shared head stays as it is: nothing is left to agree on.
        agrees = self.recipe.agreement and not student.composition.frozen_teachers
        self.agreement = Agreement(student) if agrees else None
        shares = [weights[spec.name] for spec in student.composition.learned]
        self.register_buffer("weights", torch.tensor(shares), persistent=False)
        self.register_buffer("readout_share", torch.ones(()), persistent=False)

    def forward(
        self, canvas: Tensor, targets: Targets, draws: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and each teacher's part of it.

        The parts are unweighted, and the decoders' share in them is the same at every step, so
        that they can be compared over a run.

        Args:
            canvas: The student's normalized canvases `[B, 3, H, W]`.
            targets: Each teacher's levels, and the output of the frozen base, which holds the
                base's own levels.
            draws: Uniform in [0, 1), `[T, B]`, for recipes that draw.
        """
        features, trunk = self._features(canvas, targets)
        pairs = [
            self._distances(spec, features, targets.teachers.get(spec.name, {}), trunk)
            for spec in self.student.composition.learned
        ]
        levels = torch.stack([level for level, _ in pairs])
        readouts = torch.stack([readout.to(levels).expand_as(levels[0]) for _, readout in pairs])
        losses = levels + self.readout_share * readouts
        total = (self._shares(losses.detach(), draws) * losses).sum(0).mean()
        if self.agreement is not None:
            far = self.agreement.distance(features, targets).mean()
            total = total + self.recipe.agreement * far
            if self.recipe.hold:
                total = total + self.recipe.hold * hold(self.agreement, targets)
        each = (levels + readouts).detach().mean(1)
        names = [spec.name for spec in self.student.composition.learned]
        return total, dict(zip(names, each, strict=True))

    def teacher_gradients(self, canvas: Tensor, targets: Targets) -> Tensor:
        """The gradients of each teacher's loss by the student's features, `[T, N]`.

        Nothing is trained by them, and they do not pass through the adapter: all aligners read
        these features, so here teachers can want different things.
        """
        training = self.training
        self.eval()  # so that running statistics do not change
        with torch.no_grad():
            features, trunk = self._features(canvas, targets)
        features = {name: x.detach().requires_grad_() for name, x in features.items()}
        gradients: list[Tensor] = []
        for spec in self.student.composition.learned:
            own = targets.teachers.get(spec.name, {})
            level, readout = self._distances(spec, features, own, trunk)
            gradient = torch.autograd.grad(
                (level + self.readout_share * readout).mean(), list(features.values()),
                allow_unused=True, materialize_grads=True,
            )  # fmt: skip
            gradients.append(torch.cat([part.flatten() for part in gradient]))
        self.train(training)
        return torch.stack(gradients)

    def finite_features(self, canvas: Tensor, targets: Targets) -> Tensor:
        """For which images the student's features are finite, `[B]`; nothing is trained by this."""
        training = self.training
        self.eval()
        with torch.no_grad():
            features, _ = self._features(canvas, targets)
        self.train(training)
        return torch.stack([x.flatten(1).isfinite().all(1) for x in features.values()]).all(0)

    def _features(
        self, canvas: Tensor, targets: Targets
    ) -> tuple[Mapping[str, Tensor], TrunkOutput]:
        """The student's features, and the output of its trunk."""
        trunk = targets.trunk if targets.trunk is not None else self.student.run_trunk(canvas)
        return self.student.adapt(canvas, trunk), trunk

    def _shares(self, losses: Tensor, draws: Tensor) -> Tensor:
        """Each teacher's share of the loss of each image, `[T, B]`."""
        weights = self.weights[:, None].expand_as(losses)
        return BALANCES[self.recipe.balance](losses, weights, draws)

    def _distances(
        self,
        spec: TeacherSpec,
        features: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        trunk: TrunkOutput,
    ) -> tuple[Tensor, Tensor]:
        """How far the student is from one teacher.

        Returns:
            The mean distance of its levels, `[B]`; and that of its decoders, `[B]`, or a scalar
            zero if they have no readout.
        """
        distances: list[Tensor] = []
        levels: dict[str, Tensor] = {}
        for plan in self.student.composition.of(spec.name):
            aligner = self.student.aligner(spec.name, plan.level.name)
            if plan.native:
                target = trunk.level(plan.level.kind)
            else:
                target = targets[plan.level.name]
            grid = (target.shape[-2], target.shape[-1]) if target.ndim == 4 else None
            predicted = aligner.predict(features, grid)
            distance = DISTANCES[self.recipe.match(plan.level.kind).distance]
            far = distance(predicted, aligner.to_latent(target)) / aligner.distance_unit
            distances.append(far + aligner.lost(target))
            if self.recipe.readout:
                levels[plan.level.name] = aligner.to_level(predicted)
        readout = torch.zeros(())
        if self.recipe.readout:
            wrong = decoders_distance(self.student.decoders[spec.name], levels, targets)
            index = self.student.composition.teachers.index(spec)
            readout = self.recipe.readout * wrong / self.student.readout_units[index]
        return torch.stack(distances).mean(0), readout
