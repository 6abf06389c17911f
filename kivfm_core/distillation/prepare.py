"""The first stage of a run: everything is loaded, and nothing is computed yet."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from kivfm_core.distillation.assemble import LoadedModels, assemble
from kivfm_core.distillation.context import RunContext
from kivfm_core.distillation.images import find_run_images
from kivfm_core.distillation.inputs.stream import Stream
from kivfm_core.distillation.processes.launch import find_machine
from kivfm_core.distillation.state.checkpoint import latest_checkpoint
from kivfm_core.distillation.training.compile import compile_all
from kivfm_core.distillation.training.nonfinite import SkippedSteps
from kivfm_core.distillation.training.schedule import make_optimizer
from kivfm_core.planner.fits import check_fits
from kivfm_core.planner.placement import place, planned_machine
from kivfm_core.processes.bfloat16 import computes_bfloat16
from kivfm_core.student.student import Student
from kivfm_core.trackers.table import check_trackers


@dataclass(frozen=True)
class Prepared:
    """What a run trains, with what, and on what.

    Attributes:
        models: The student, and the teachers to run beside it.
        stream: The batches of every step.
        optimizer: Over what is trained.
        skipped: Counts and limits the steps that are not finite.
    """

    models: LoadedModels
    stream: Stream
    optimizer: torch.optim.Optimizer
    skipped: SkippedSteps

    @property
    def student(self) -> Student:
        """The student that is trained."""
        return self.models.student


def prepare(context: RunContext) -> Prepared:
    """Loads the teachers, builds the student, and finds the images.

    Raises:
        UsageError: If a file is given for a teacher that is not selected.
        WeightsError: If a teacher's weights cannot be had, or do not fit.
        DataError: If there are no images.
        PluginError: If the package of a tracker is not installed.
    """
    config, composition, fabric = context.config, context.composition, context.fabric
    check_trackers(config.log)
    context.log(f"on {fabric.device}, precision {config.engine.precision}")
    if config.engine.precision == "bf16-mixed" and not computes_bfloat16(fabric.device):
        context.log(
            f"warning: this {fabric.device.type} only imitates bfloat16, which may take many times"
            " as long; --precision 32-true is faster here"
        )
    # The student's initial weights follow from the seed: nothing random may come before it.
    torch.manual_seed(config.seed)
    machine = planned_machine(config, find_machine(fabric.device))
    check_fits(config, composition, machine)
    placements = place(config, composition, machine)
    # Weights before images: a missing file is reported before a minute of drawing demo scenes.
    checkpoint = latest_checkpoint(context.run.checkpoints)
    models = assemble(
        config, composition, fabric.device, context.log, placements, checkpoint=checkpoint
    )
    if config.engine.compile == "all":
        # Offloaded encoders are called with other tensors for weights, so they are not compiled.
        resident = [t.encoder for n, t in models.teachers.items() if not placements[n].offloaded]
        compile_all(resident, fabric.device)
    images = find_run_images(config, fabric, context.progress)
    stream = Stream(config, composition, models.frozen, images, fabric, context.log)
    optimizer = make_optimizer(models.student, config)
    return Prepared(models, stream, optimizer, SkippedSteps(context, stream))
