"""torchdistill: its distillation box, with outputs that are pooled features."""

from __future__ import annotations

import torch
from torch import nn
from torchdistill.core.distillation import get_distillation_box

from benchmarks.engine import work

FORWARD = {"forward_proc": "forward_batch_only"}
OUTPUT = {"module_path": ".", "io": "output"}
LOSS = {
    "criterion": {"key": "MSELoss", "kwargs": {"reduction": "mean"}},
    "criterion_wrapper": {
        "key": "SimpleLossWrapper",
        "kwargs": {
            "input": {"is_from_teacher": False, **OUTPUT},
            "target": {"is_from_teacher": True, **OUTPUT},
        },
    },
    "weight": 1.0,
}
OPTIMIZER = {
    "key": "AdamW",
    "kwargs": {
        "lr": work.LR, "weight_decay": work.WEIGHT_DECAY, "betas": work.BETAS, "fused": True,
    },
    "max_grad_norm": work.CLIP,
}  # fmt: skip
CONFIG = {
    "num_epochs": 1,
    "teacher": {**FORWARD, "requires_grad": False},
    "student": FORWARD,
    "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": {"feature": LOSS}}},
    "optimizer": OPTIMIZER,
}


def main() -> None:
    """Makes the next steps."""
    teacher, student = work.frozen(work.TEACHER), work.network(work.STUDENT)
    student = nn.Sequential(student, nn.Linear(student.num_features, teacher.num_features))
    cpu = torch.device("cpu")
    box = get_distillation_box(teacher, student, {}, CONFIG, cpu, None, False, 1)
    student.train()
    for canvas in work.steps():
        loss = box.forward_process(work.normalize(canvas))
        box.post_forward_process(loss)


if __name__ == "__main__":
    main()
