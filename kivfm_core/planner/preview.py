"""`kivfm_core.compose`: what a run will make and cost, before any weight is touched. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kivfm_core.composition import compose as composing
from kivfm_core.composition.composition import Composition
from kivfm_core.composition.summary import Summary, summarize
from kivfm_core.config import RunConfig
from kivfm_core.data.remote.url import is_url
from kivfm_core.errors import KivfmError
from kivfm_core.planner.placement import place, planned_machine
from kivfm_core.planner.plan import RunPlan, make_plan
from kivfm_core.planner.rates import read_rates
from kivfm_core.run_files import RunFiles
from kivfm_core.scenes import TRAIN


@dataclass(frozen=True)
class Preview:
    """What a configuration leads to.

    Attributes:
        config: The run's configuration.
        composition: What the student will be: enough to build it.
        plan: What the run will do, and what each part of its work costs.
    """

    config: RunConfig
    composition: Composition
    plan: RunPlan

    def summary(self) -> Summary:
        """All that `kivfm compose` prints: `print(preview.summary())`, or `.as_dict()`."""
        config, composition = self.config, self.composition
        files = set(composing.assign_weights(config.weights, composition.teachers))
        if config.student.weights is not None and composition.trunk not in composition.teachers:
            files.add(composition.trunk.name)
        views = config.optim.micro_batch or config.optim.batch_size
        data = summarize(composition, files, views) | {"plan": self.plan.as_dict()}
        if config.student.start is not None:
            earlier = RunFiles(Path(config.student.start))
            data["round_trip"] = earlier.environment.get("round_trip", {})
        note, cache = "", config.cache.path
        if cache is not None and Path(cache).is_dir():
            note = f"what {cache} has already is not counted here; a run counts it"
        return Summary(data, note)


def compose(config: RunConfig) -> Preview:
    """Plans a student and its run. Needs no weights and no network.

    Args:
        config: The run's configuration.

    Raises:
        UsageError: If a name is unknown, there is no base, or settings do not go together.
        PluginError: If a selected teacher's plugin is missing or broken.
    """
    composition, rates = composing.compose(config), read_rates()
    placements = place(config, composition, planned_machine(config, rates.machine))
    images = _count_images(config)
    return Preview(
        config, composition, make_plan(config, composition, images, rates, placements=placements)
    )


def _count_images(config: RunConfig) -> int | None:
    """How many images a run will see; None if that is not known, or does not matter."""
    if not config.data.views:
        return None
    if config.data.path is None:
        return TRAIN  # the demo data's, which need not be drawn for this
    from kivfm_core.data.unlabeled import find_images  # imports Pillow, which plans do without

    if is_url(config.data.path):
        return None  # a plan makes no requests
    try:
        return len(find_images(Path(config.data.path)))
    except KivfmError:
        return None
