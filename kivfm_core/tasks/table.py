"""The table of tasks: how each is measured, and what its score is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kivfm_core.data.sources import KNN, Data
from kivfm_core.tasks.meter import Meter
from kivfm_core.tasks.meters.classification import Classification
from kivfm_core.tasks.meters.detection import Detection
from kivfm_core.tasks.meters.instance_segmentation import InstanceSegmentation
from kivfm_core.tasks.meters.promptable_segmentation import PromptableSegmentation
from kivfm_core.tasks.meters.semantic_segmentation import SemanticSegmentation
from kivfm_core.tasks.meters.zero_shot import ZeroShot


@dataclass(frozen=True)
class Measure:
    """How a task is measured.

    Attributes:
        metric: What the score is called.
        meter: Builds the meter from the data and the names of the teacher's label space.
    """

    metric: str
    meter: Callable[[Any, tuple[str, ...] | None], Meter]

    def start(self, data: Data, space: tuple[str, ...] | None) -> Meter:
        """A fresh meter."""
        return self.meter(data, space)


MEASURES = {
    "classification": Measure("top-1", Classification),
    "zero-shot": Measure("top-1", ZeroShot),
    "detection": Measure("box AP", Detection),
    "instance-segmentation": Measure("mask AP", InstanceSegmentation),
    "semantic-segmentation": Measure("mIoU", SemanticSegmentation),
    "promptable-segmentation": Measure("one-click mIoU", PromptableSegmentation),
}
"""Tasks that teachers declare."""

KNN_METRIC, PROBE_METRIC = "k-NN top-1", "linear probe top-1"
FIDELITY, FIDELITY_METRIC = "fidelity", "cosine"
TASKS = (*MEASURES, KNN)
"""All that `--tasks` can name."""
