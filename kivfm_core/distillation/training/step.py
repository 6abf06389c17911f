"""One optimizer step: gradients in as many passes as memory asks for, and one update."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any, cast

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer  # pyright: ignore
from torch import Tensor

from kivfm_core.config import RunConfig
from kivfm_core.data.canvas import normalize
from kivfm_core.distillation.inputs.targets import Targets
from kivfm_core.distillation.processes.launch import summed
from kivfm_core.distillation.processes.sharding import gather
from kivfm_core.distillation.training.module import Distillation
from kivfm_core.distillation.training.schedule import readout_share, set_learning_rate
from kivfm_core.layers.out_of_memory import BatchSplitter
from kivfm_core.objectives.balancing import draw
from kivfm_core.spec import InputContract


class Step:
    """Makes steps.

    Args:
        fabric: Devices and processes.
        module: The student against its teachers, as Fabric wrapped it.
        optimizer: As Fabric wrapped it.
        contract: How the student's canvases are normalized.
        config: The seed, clipping, the micro-batch, and the precision.
        say: Told when memory runs out.
    """

    def __init__(
        self, fabric: Fabric, module: _FabricModule, optimizer: _FabricOptimizer,
        contract: InputContract, config: RunConfig, say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.fabric, self.module, self.optimizer = fabric, module, optimizer
        self.contract, self.clip, self.seed = contract, config.optim.clip, config.seed
        self.steps = config.optim.steps
        alone = fabric.world_size == 1
        smaller = "a smaller --image-size"
        if config.engine.precision == "32-true":
            smaller = f"--precision bf16-mixed, or {smaller}"
        self.splitter = BatchSplitter(
            "training the student", smaller, say, config.optim.micro_batch, alone
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
            The loss, each teacher's, and whether the step was made, or skipped for its scale only:
            scalars on the device.
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
        fine = gather(norm).isfinite()
        self._update(fine)
        self.optimizer.zero_grad()
        return loss, losses, fine | self._overflowed(loss)

    def _overflowed(self, loss: Tensor) -> Tensor | bool:
        """Whether it is a scaler's matter, if a gradient is not finite: it lowers its scale then.

        It is not where a loss is not finite, or the scale that low that nothing is scaled up.
        """
        scaler = getattr(self.fabric.strategy.precision, "scaler", None)
        if scaler is None or scaler.get_scale() < 1:  # no wait: the scaler itself has waited
            return False
        return summed(self.fabric)((~loss.isfinite()).float()) == 0

    def _update(self, fine: Tensor) -> None:
        """Changes what is trained, and what the optimizer remembers, if the gradient is finite.

        Decided on the device, without a wait; where gradients are scaled, the scaler decides.
        """
        inner: Any = self.optimizer.optimizer
        inner.found_inf = (~fine).float()
        self.optimizer.step()

    def pulls(self, canvas: Tensor, targets: Targets) -> dict[str, Tensor]:
        """How hard each teacher pulls at the student's features, and how far two teachers agree.

        All processes have to call it; each looks at its own share of the step.

        Args:
            canvas: `[B, 3, H, W]` in [0, 1]; as many of its pictures as a pass takes are looked at.
            targets: The teachers' levels.

        Returns:
            Norms of the teachers' gradients by name, and the cosines between two teachers' by
            `A, B`: scalars on the device.
        """
        part = slice(self.splitter.size)
        with self.fabric.autocast():
            pixels = normalize(canvas[part], self.contract)
            pulls = self._inner.pulls(pixels, targets.rows(part))
        names = [spec.name for spec in self._inner.student.composition.learned]
        units = F.normalize(pulls, dim=1)
        return dict(zip(names, pulls.norm(dim=1), strict=True)) | {
            f"{names[i]}, {names[j]}": units[i] @ units[j]
            for i, j in combinations(range(len(names)), 2)
        }

    @property
    def _inner(self) -> Distillation:
        return cast(Distillation, self.module.module)

    def _gradients(
        self, canvas: Tensor, targets: Targets, draws: Tensor, parts: list[slice]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        self.optimizer.zero_grad()
        total, shares = torch.zeros((), device=canvas.device), dict[str, Tensor]()
        for part in parts:
            share = len(canvas[part]) / len(canvas)
            with self.fabric.no_backward_sync(self.module, enabled=part is not parts[-1]):
                pixels = normalize(canvas[part], self.contract)
                loss, losses = self.module(pixels, targets.rows(part), draws[:, part])
                # Gradients can be finite where a loss is not; then they shall not be, anywhere.
                self.fabric.backward(loss * share * torch.where(loss.isfinite(), 1.0, torch.nan))
            total = total + share * loss.detach()
            for name, value in losses.items():
                shares[name] = shares.get(name, 0.0) + share * value.detach()
        return total, shares
