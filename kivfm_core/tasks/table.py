"""The table of kivfm's own tasks. Torch-free.

Plugins add theirs; `kivfm_core.registry.registry.get_tasks` has them all.
"""

from __future__ import annotations

from kivfm_core.task import Measured, TaskRecord
from kivfm_core.tasks.classification import CLASSIFICATION
from kivfm_core.tasks.depth import DEPTH
from kivfm_core.tasks.detection import DETECTION
from kivfm_core.tasks.instance_segmentation import INSTANCE_SEGMENTATION
from kivfm_core.tasks.promptable_segmentation import PROMPTABLE_SEGMENTATION
from kivfm_core.tasks.semantic_segmentation import SEMANTIC_SEGMENTATION
from kivfm_core.tasks.zero_shot import ZERO_SHOT

TASKS: dict[str, TaskRecord] = {
    task.name: task
    for task in (
        CLASSIFICATION,
        ZERO_SHOT,
        DETECTION,
        INSTANCE_SEGMENTATION,
        SEMANTIC_SEGMENTATION,
        PROMPTABLE_SEGMENTATION,
        DEPTH,
    )
}

# k-NN on a global feature: measured like a task, though no teacher declares it.
KNN = Measured(
    name="knn",
    metric="k-NN top-1",
    formats=("labels", "folder", "csv", "jsonl", "webdataset", "hf-classes"),
)
# Finding an image's texts, and a text's image, among all: measured on image-text pairs alone.
RETRIEVAL = Measured(name="retrieval", metric="recall@1", formats=("pairs",))
PROBE_METRIC = "linear probe top-1"
# What is measured of a teacher that solves no task, on any images.
FIDELITY, FIDELITY_METRIC = "fidelity", "cosine"
