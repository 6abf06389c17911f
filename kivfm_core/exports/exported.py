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
from kivfm_core.exports.prompts import NOTHING, POSITIVE
from kivfm_core.geometry import Frame, Size
from kivfm_core.predictions import Candidates, DepthMaps, Instances, Masks, Predictions
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task
from kivfm_core.teacher import Levels

# Canvases `[B, 3, H, W]`, and a prompt's arrays by name if one is taken, to outputs by name.
Run = Callable[..., Mapping[str, np.ndarray[Any, Any]]]
# The sets of outputs that predictions are made of here.
READ = (
    {"logits"}, {"boxes", "scores"}, {"boxes", "scores", "masks"}, {"logits", "scores"}, {"depth"}
)  # fmt: skip


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
            raise UsageError("features have no score", "give --task, or leave out --data")
        if set(program.outputs) not in READ:
            raise UsageError(f"{program.solved.task} is not measured from an export", "no --data")
        self.program, self.run, self.solved = program, run, program.solved
        self.spec = self.solved.solver.spec.model_copy(update={"input": program.contract})

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        """The export's outputs."""
        size = (images.shape[-2], images.shape[-1]) if self.program.dynamic else self.program.size
        canvases = rescale(images, size)
        if self.program.prompt:  # which is known when it is decoded
            return Levels({"canvas": canvases}, frames)
        found = self.run(canvases.numpy())
        return Levels({name: torch.from_numpy(value) for name, value in found.items()}, frames)

    def prompt(self, task: str, **raw: Any) -> Any:
        """Where the data's classes are among the export's; or clicks, as they are.

        Raises:
            UsageError: If the export lacks a class.
        """
        if self.program.prompt:
            return raw["points"]
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

    def decode(self, task: str, levels: Levels, prompt: Any = None) -> Predictions:
        """Predictions in canvas pixels."""
        facts = self.program.facts
        if self.program.prompt:
            pairs = zip(levels["canvas"], prompt, strict=True)
            return Masks([self._clicked(x[None], points, levels.canvas) for x, points in pairs])
        if "boxes" in levels:
            ch, cw = levels.canvas
            h, w = (ch, cw) if self.program.dynamic else self.program.size
            boxes = levels["boxes"] * torch.tensor([cw / w, ch / h] * 2)
            found, places = Candidates(boxes, levels["scores"], **facts["suppression"]).chosen()
            if "masks" not in levels:
                return found
            masks = [x[place] for x, place in zip(levels["masks"], places, strict=True)]
            return Instances(found.boxes, found.scores, found.labels, masks, **facts["masks"])
        if "depth" in levels:
            return DepthMaps(levels["depth"], **facts["depth"])
        logits = levels["logits"] if prompt is None else levels["logits"][:, prompt]
        return resolve_reference(find_task(task).prediction)(logits)

    def _clicked(self, canvas: Tensor, points: Tensor, size: Size) -> Tensor:
        """Logits `[P, h, w]` of one click each, `[P, 2]` in pixels of a canvas of `size`."""
        if not len(points):
            return torch.zeros(0, 1, 1)
        (h, w), (ch, cw) = canvas.shape[-2:], size
        points = points * torch.tensor([w / cw, h / ch])
        # A click, and nothing: so much is in a prompt without a box.
        pairs = torch.stack((points, torch.zeros_like(points)), dim=1)[None]
        labels = torch.tensor([float(POSITIVE), float(NOTHING)]).expand(1, len(points), 2)
        prompt = {"points": pairs.numpy(), "labels": labels.numpy()}
        return torch.from_numpy(self.run(canvas.numpy(), prompt)["logits"])[0]
