"""A loop in plain PyTorch: pooled features, a linear projection, squared error."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.engine import work


def main() -> None:
    """Makes the next steps."""
    teacher, student = work.frozen(work.TEACHER), work.network(work.STUDENT).train()
    head = nn.Linear(student.num_features, teacher.num_features)
    parameters = [*student.parameters(), *head.parameters()]
    optimizer = work.optimizer(parameters)
    for canvas in work.steps():
        x = work.normalize(canvas)
        with torch.no_grad():
            target = teacher(x)
        F.mse_loss(head(student(x)), target).backward()
        nn.utils.clip_grad_norm_(parameters, work.CLIP)
        optimizer.step()
        optimizer.zero_grad()


if __name__ == "__main__":
    main()
