"""One optimizer step: gradients in as many passes as memory asks for, and one update."""

from __future__ import annotations

from itertools import combinations
from typing import Any, cast

import torch
import torch.nn.functional as F
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer  # pyright: ignore
from torch import Tensor

from kivfm_core.data.canvas import normalize
from kivfm_core.distillation.context import RunContext
from kivfm_core.distillation.inputs.targets import Targets
from kivfm_core.distillation.processes.sharding import gather, reshard
from kivfm_core.distillation.training.module import Distillation
from kivfm_core.distillation.training.schedule import readout_share, set_learning_rate
from kivfm_core.layers.out_of_memory import BatchSplitter
from kivfm_core.objectives.balancing import draw
from kivfm_core.processes.launch import all_reduce


class Step:
    """Makes steps.

    Args:
        context: The run.
        module: A `Distillation`, as Fabric wrapped it.
        optimizer: As Fabric wrapped it.
    """

    def __init__(
        self, context: RunContext, module: _FabricModule, optimizer: _FabricOptimizer
    ) -> None:
        config, self.fabric = context.config, context.fabric
        self.module, self.optimizer = module, optimizer
        self.contract = context.composition.trunk.input
        self.clip, self.seed, self.steps = config.optim.clip, config.seed, config.optim.steps
        # Processes wait for each other's gradients, so one cannot halve its portions alone.
        alone = self.fabric.world_size == 1
        smaller = "a smaller --image-size"
        if config.engine.precision == "32-true":
            smaller = f"--precision bf16-mixed, or {smaller}"
        self.splitter = BatchSplitter(
            "training the student", smaller, context.log, config.optim.micro_batch, alone
        )

    def __call__(
        self, canvas: Tensor, targets: Targets, step: int, lr: float
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Makes a step, or skips it if its gradient is not finite.

        Args:
            canvas: `[B, 3, H, W]` in [0, 1].
            targets: The teachers' levels.
            step: Its number.
            lr: Learning rate.

        Returns:
            The loss; each teacher's loss; and whether the step was made, or skipped only since
            float16's gradient scale was too large. All are scalars on the device.
        """
        set_learning_rate(self.optimizer, lr)
        start = self._inner.recipe.readout_start
        self._inner.readout_share.fill_(readout_share(step, self.steps, start))
        fabric, teachers = self.fabric, len(self._inner.student.composition.learned)
        shape = teachers, len(canvas)
        draws = draw(self.seed, step, shape, fabric.global_rank, fabric.world_size)
        draws = draws.to(canvas.device, non_blocking=True)
        loss, losses = self.splitter.run(
            len(canvas), lambda parts: self._gradients(canvas, targets, draws, parts)
        )
        norm = self.fabric.clip_gradients(
            self.module, self.optimizer, max_norm=self.clip, error_if_nonfinite=False
        )
        assert norm is not None
        finite = gather(norm).isfinite()
        self._update(finite)
        self.optimizer.zero_grad()
        return loss, losses, finite | self._overflowed(loss)

    def _overflowed(self, loss: Tensor) -> Tensor | bool:
        """Whether a gradient that is not finite only shows that the gradient scale is too large.

        The scaler lowers it then. It is no such case if a loss is not finite, or if the scale is
        below 1, where nothing is scaled up any more.
        """
        scaler = getattr(self.fabric.strategy.precision, "scaler", None)
        # Reading the scale costs no wait for the device: the scaler itself has waited.
        if scaler is None or scaler.get_scale() < 1:
            return False
        return all_reduce(self.fabric)((~loss.isfinite()).float()) == 0

    def _update(self, finite: Tensor) -> None:
        """Changes the parameters and the optimizer's state if the gradient is finite."""
        inner: Any = self.optimizer.optimizer
        # The fused optimizers, and ours, read this flag on the device, so that nobody waits for it.
        # Where gradients are scaled, the scaler sets it.
        inner.found_inf = (~finite).float()
        self.optimizer.step()

    def compare_gradients(self, canvas: Tensor, targets: Targets) -> dict[str, Tensor]:
        """How strongly each teacher's loss acts on the features, and how far two teachers agree.

        All processes have to call it, each with its own share of the step.

        Args:
            canvas: `[B, 3, H, W]` in [0, 1]; only the images of a first pass are used.
            targets: The teachers' levels.

        Returns:
            Norms of the teachers' gradients by name, and the cosines between two teachers' by
            `A, B`: scalars on the device.
        """
        part = slice(self.splitter.size)
        with self.fabric.autocast():
            pixels = normalize(canvas[part], self.contract)
            gradients = self._inner.teacher_gradients(pixels, targets.rows(part))
        names = [spec.name for spec in self._inner.student.composition.learned]
        units = F.normalize(gradients, dim=1)
        return dict(zip(names, gradients.norm(dim=1), strict=True)) | {
            f"{names[i]}, {names[j]}": units[i] @ units[j]
            for i, j in combinations(range(len(names)), 2)
        }

    def has_finite_features(self, canvas: Tensor, targets: Targets) -> bool:
        """Whether the student's features are finite for any image; all processes have to call it.

        Not for every image: a teacher that fails at one is no fault of the student.

        Args:
            canvas: `[B, 3, H, W]` in [0, 1]; only the images of a first pass are used.
            targets: The teachers' levels.
        """
        part = slice(self.splitter.size)
        with self.fabric.autocast():
            pixels = normalize(canvas[part], self.contract)
            finite = self._inner.finite_features(pixels, targets.rows(part))
        reshard(self._inner)
        return bool(finite.any())

    @property
    def _inner(self) -> Distillation:
        return cast(Distillation, self.module.module)

    def _gradients(
        self, canvas: Tensor, targets: Targets, draws: Tensor, parts: list[slice]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Adds up the gradients of the parts of a batch; returns the loss, and each teacher's."""
        # A try that ran out of memory has left some.
        self.optimizer.zero_grad()
        total, shares = torch.zeros((), device=canvas.device), dict[str, Tensor]()
        for part in parts:
            share = len(canvas[part]) / len(canvas)
            # Processes exchange their gradients once, with the last part.
            with self.fabric.no_backward_sync(self.module, enabled=part is not parts[-1]):
                pixels = normalize(canvas[part], self.contract)
                loss, losses = self.module(pixels, targets.rows(part), draws[:, part])
                # Gradients may be finite although the loss is not: make them NaN on all processes,
                # so that the step is skipped.
                self.fabric.backward(loss * share * torch.where(loss.isfinite(), 1.0, torch.nan))
            total = total + share * loss.detach()
            for name, value in losses.items():
                shares[name] = shares.get(name, 0.0) + share * value.detach()
        return total, shares
