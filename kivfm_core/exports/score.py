"""The score of an export beside its model's, on someone's data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from kivfm_core.data.sources import formats_of, load_data, parse_source
from kivfm_core.errors import DataError, KivfmError
from kivfm_core.evaluation.measure import measure
from kivfm_core.exports.exported import Exported, Run
from kivfm_core.exports.program import Program
from kivfm_core.registry.registry import find_task

# A score in full precision may differ by this much.
TOLERANCE = 0.002


@dataclass(frozen=True)
class Scores:
    """What a task scores, by PyTorch and by the export.

    Attributes:
        metric: What the score is called.
        data: Where it was measured.
        images: How many.
        own: The model's on canvases of its own, as `kivfm evaluate` measures it; in 0..1.
        pytorch: The model's on the export's canvases.
        export: The export's.
    """

    metric: str
    data: str
    images: int
    own: float
    pytorch: float
    export: float

    @property
    def kept(self) -> float:
        """The share of the model's score that the export has."""
        return self.export / self.pytorch


def score(program: Program, run: Run, source: str, limit: int | None = None) -> Scores:
    """Measures an export and its model on the same canvases, and the model on its own.

    Args:
        program: What was exported.
        run: What runs the export.
        source: `[FORMAT:]PATH`.
        limit: At most so many images.

    Raises:
        UsageError: If the export has no score.
        DataError: If the data has nothing for the task, or the model scores nothing on it.
    """

    def torch_run(
        canvases: np.ndarray[Any, Any], prompt: Mapping[str, Any] | None = None
    ) -> dict[str, np.ndarray[Any, Any]]:
        asked = {name: torch.from_numpy(value) for name, value in (prompt or {}).items()}
        found = program.run(torch.from_numpy(canvases), asked)
        return {name: value.numpy() for name, value in found.items()}

    models = [Exported(program, one) for one in (torch_run, run)]
    task, solver = models[0].solved.task, models[0].solved.solver
    record = find_task(task)
    formats = [kind.name for kind in formats_of(record)]
    data = load_data(parse_source(source, formats), record, limit)
    found = measure(models, {task: data})[task]
    own = measure([solver], {task: data})[task].values[0]
    right, exported = found.values
    if not right:
        raise DataError(f"the model itself scores nothing on {source}", "give other data")
    return Scores(record.metric, source, found.images, own, right, exported)


def check_score(found: Scores, precision: str, keep: float) -> None:
    """Refuses an export that loses too much.

    Raises:
        KivfmError: If it scores otherwise than its model in full precision, or keeps too little.
    """
    said = f"{found.metric} {found.export:.4f}, by PyTorch {found.pytorch:.4f}"
    if precision == "fp32" and abs(found.export - found.pytorch) > TOLERANCE:
        raise KivfmError(f"the export has {said}: more than {TOLERANCE} off; nothing is written")
    if found.kept < keep:
        raise KivfmError(
            f"in {precision} the export has {said}: it keeps {found.kept:.3f}, less than {keep:g};"
            " nothing is written",
            f"--keep {int(found.kept * 100) / 100:g}, if that is enough",
        )
