"""Training batches through a cache, and who was asked for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from kivfm_core.composition.compose import compose
from kivfm_core.config import RunConfig
from kivfm_core.data.unlabeled import Images, find_images
from kivfm_core.distillation.assemble import assemble
from kivfm_core.distillation.inputs.stream import Stream
from kivfm_core.distillation.processes.launch import resolve_precision
from kivfm_core.student.student import Student
from kivfm_core.teacher import LoadedTeacher

CPU = Fabric(accelerator="cpu", devices=1)
STEPS = 9
"""Twice twelve pictures at four a step, and half as much again."""


def with_cache(config: RunConfig, path: Path | None, views=2, **more) -> RunConfig:
    values = config.model_dump(by_alias=True, exclude_none=True)
    values["data"] |= {"views": views, "image_size": [64]}
    values["cache"] = {"path": str(path), **more} if path else more
    return RunConfig.model_validate(values)


class Asked:
    """Counts the pictures that are decoded, and those that each network sees."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.counts = dict.fromkeys(("decoded", "trunk", "teacher"), 0)
        self._count(patch, Images, "open", "decoded", lambda *_: 1)
        self._count(patch, Student, "run_trunk", "trunk", lambda _, x: len(x))
        self._count(patch, LoadedTeacher, "encode", "teacher", lambda _, x, __: len(x))

    def _count(self, patch, where, name: str, what: str, size: Callable[..., int]) -> None:
        real = getattr(where, name)

        def counted(*args):
            self.counts[what] += size(*args)
            return real(*args)

        patch.setattr(where, name, counted)

    def since(self) -> dict[str, int]:
        """What was asked since the last time."""
        counts, self.counts = self.counts, dict.fromkeys(self.counts, 0)
        return counts


def stream(config: RunConfig, fabric: Fabric = CPU) -> Stream:
    config = resolve_precision(config)
    composition = compose(config)
    models = assemble(config, composition, CPU.device, lambda _: None)
    images = find_images(Path(str(config.data.path)))
    return Stream(config, composition, models.frozen, images, fabric, print)


def batches(config: RunConfig) -> list[dict[str, torch.Tensor]]:
    return [
        {"canvas": canvas, **targets.named()}
        for canvas, targets, _ in stream(config).steps(0, STEPS)
    ]


def same(one: list[dict[str, torch.Tensor]], two: list[dict[str, torch.Tensor]]) -> bool:
    return all(
        a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
        for a, b in zip(one, two, strict=True)
    )
