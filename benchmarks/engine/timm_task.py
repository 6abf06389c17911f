"""timm.task: its feature distillation, which is of pooled features, without a task's own loss."""

from __future__ import annotations

import torch
from timm.task import FeatureDistillationTask
from torch import Tensor, nn

from benchmarks.engine import work


class Nothing(nn.Module):
    """The loss of labels that there are not."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Zero."""
        return output.new_zeros(())


def main() -> None:
    """Makes the next steps."""
    task = FeatureDistillationTask(
        work.network(work.STUDENT), work.frozen(work.TEACHER), Nothing(),
        distill_loss_weight=1.0, task_loss_weight=0.0,
    )  # fmt: skip
    task.train()
    parameters = list(task.get_clip_parameters())
    optimizer = work.optimizer(parameters)
    labels = torch.zeros(work.BATCH, dtype=torch.long)
    for canvas in work.steps():
        task(work.normalize(canvas), labels)["loss"].backward()
        nn.utils.clip_grad_norm_(parameters, work.CLIP)
        optimizer.step()
        optimizer.zero_grad()


if __name__ == "__main__":
    main()
