"""Ours: the loop of `kivfm distill`, metrics, guard and all; its images are in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.engine import work
from kivfm_core.composition.compose import compose
from kivfm_core.config import RunConfig, build_config
from kivfm_core.data.loader import ViewBatch
from kivfm_core.data.unlabeled import find_images
from kivfm_core.distillation.assemble import assemble
from kivfm_core.distillation.context import RunContext
from kivfm_core.distillation.inputs.stream import Stream
from kivfm_core.distillation.inputs.targets import Targets
from kivfm_core.distillation.prepare import Prepared
from kivfm_core.distillation.processes.launch import launched
from kivfm_core.distillation.training.loop import train
from kivfm_core.distillation.training.nonfinite import SkippedSteps
from kivfm_core.distillation.training.schedule import make_optimizer
from kivfm_core.geometry import plan_frame
from kivfm_core.processes.interrupt import Interrupt
from kivfm_core.progress import Silent
from kivfm_core.runs.run import Run


def configuration(weights: Path | None = None) -> RunConfig:
    """The run: a student that is trained in full, and learns levels alone."""
    teacher = f"timm/{work.TEACHER}"
    flags: dict[str, Any] = {
        "recipe": "levels",
        "teachers": teacher,
        "weights": {teacher: str(weights)} if weights is not None else {},
        "student.model": f"timm/{work.STUDENT}",
        "student.weights": "none",
        "student.trunk_size": work.SIDE,
        "data.image_size": work.SIDE,
        "data.teacher_size": work.SIDE,
        "optim": {
            "optimizer": "adamw", "lr": work.LR, "weight_decay": work.WEIGHT_DECAY,
            "clip": work.CLIP, "batch_size": work.BATCH, "steps": 10**6,
            "bad_limit": 0,
        },
        "engine.precision": "32-true",
        "checkpoint.every": 10**6,
    }  # fmt: skip
    return build_config(None, flags)


class Fed(Stream):
    """A stream of canvases that are in memory already; the teacher runs on each."""

    def steps(self, start: int, stop: int) -> Iterator[tuple[Tensor, Targets, float]]:
        """Each step's canvases and targets, and no wait."""
        frames = [plan_frame((work.SIDE, work.SIDE), self.frozen.contract)] * work.BATCH
        for step, canvas in enumerate(work.steps()):
            keys = [(place, step, 0) for place in range(work.BATCH)]
            yield *self.frozen(ViewBatch(canvas, keys, [canvas], [frames], [])), 0.0


def main() -> None:
    """Makes the next steps."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        save_file(timm.create_model(work.TEACHER).state_dict(), folder / "teacher.safetensors")
        (folder / "data").mkdir()
        Image.new("RGB", (work.SIDE, work.SIDE)).save(folder / "data" / "unseen.png")
        config = configuration(folder / "teacher.safetensors")
        composition = compose(config)
        with launched(config) as fabric:
            run = Run(folder / "run")
            run.path.mkdir()
            context = RunContext(fabric, run, config, composition, Silent())
            models = assemble(config, composition, torch.device("cpu"), _say)
            images = find_images(folder / "data")
            stream = Fed(config, composition, models.frozen, images, fabric, _say)
            optimizer = make_optimizer(models.student, config)
            prepared = Prepared(models, stream, optimizer, SkippedSteps(context, stream))
            train(context, prepared, Interrupt(run.path), 0)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
