"""An export as a `Teacher`, so that it is measured by the code that measures its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kivfm_core.data.canvas import rescale
from kivfm_core.errors import UsageError, printable
from kivfm_core.exports.program import Program
from kivfm_core.geometry import Frame
from kivfm_core.predictions import Detections, Predictions
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task
from kivfm_core.teacher import Levels

# Canvases `[B, 3, H, W]` to outputs by name.
Run = Callable[[np.ndarray[Any, Any]], Mapping[str, np.ndarray[Any, Any]]]
# The sets of outputs that predictions are made of here.
READ = ({"logits"}, {"boxes", "scores"})


class Exported:
    """One task of an export: its outputs are the levels, and decoding is what users do with them.

    Args:
        program: What was exported.
        run: What runs the export, or the program itself.

    Raises:
        UsageError: If nothing here makes predictions of the program's outputs.
    """

    def __init__(self, program: Program, run: Run) -> None:
        if program.solved is None:
            raise UsageError("features have no score", "give --task, or leave --data away")
        if set(program.outputs) not in READ:
            raise UsageError(f"{program.solved.task} is not measured from an export", "no --data")
        self.program, self.run, self.solved = program, run, program.solved
        self.spec = self.solved.solver.spec.model_copy(update={"input": program.contract})

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        """The export's outputs."""
        size = (images.shape[-2], images.shape[-1]) if self.program.dynamic else self.program.size
        found = self.run(rescale(images, size).numpy())
        return Levels({name: torch.from_numpy(value) for name, value in found.items()}, frames)

    def prompt(self, task: str, **raw: Any) -> list[int] | None:
        """Where the data's classes are among the export's.

        Raises:
            UsageError: If the export lacks one.
        """
        if not self.solved.labels:
            return None
        asked = raw["labels"]
        missing = [label for label in asked if label not in self.solved.labels]
        if missing:
            raise UsageError(
                f"the data has the class {printable(missing[0])}, which the export lacks",
                f'--labels "{",".join(printable(label) for label in asked)}"',
            )
        return [self.solved.labels.index(label) for label in asked]

    def decode(self, task: str, levels: Levels, prompt: list[int] | None = None) -> Predictions:
        """Predictions in canvas pixels."""
        if "boxes" in levels:
            boxes = levels["boxes"]
            if not self.program.dynamic:
                (h, w), (ch, cw) = self.program.size, levels.canvas
                boxes = boxes * torch.tensor([cw / w, ch / h] * 2)
            return suppress(boxes, levels["scores"], self.program.facts["suppression"])
        logits = levels["logits"] if prompt is None else levels["logits"][:, prompt]
        return resolve_reference(find_task(task).prediction)(logits)


def suppress(boxes: Tensor, scores: Tensor, rule: Mapping[str, Any]) -> Detections:
    """What remains of candidates, class by class.

    Args:
        boxes: `[B, N, 4]`, xyxy.
        scores: `[B, N, K]`.
        rule: `threshold`, `iou` and `most`, as in the card.
    """
    # Takes a second to import, and only detectors need it.
    from torchvision.ops import batched_nms

    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for box, score in zip(boxes, scores, strict=True):
        place, label = (score > rule["threshold"]).nonzero(as_tuple=True)
        box, score = box[place], score[place, label]
        best = batched_nms(box, score, label, rule["iou"])[: rule["most"]]
        found.append((box[best], score[best], label[best]))
    return Detections(*([one[i] for one in found] for i in range(3)))
