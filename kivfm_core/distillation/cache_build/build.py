"""Fills a cache ahead of a run, one network after another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from kivfm_core.cache.key import hash_weights
from kivfm_core.cache.meta import free_space
from kivfm_core.composition.compose import compose
from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig
from kivfm_core.config.assign_weights import assign_weights
from kivfm_core.data.unlabeled import find_images
from kivfm_core.distillation.assemble import load, make_student
from kivfm_core.distillation.cache_build.estimate import Estimate, describe, estimate, missing
from kivfm_core.distillation.demo_data import data_path
from kivfm_core.distillation.inputs.frozen_networks import LoadedNetworks
from kivfm_core.distillation.inputs.stream import Stream
from kivfm_core.distillation.processes.launch import find_machine, resolve_precision
from kivfm_core.errors import KivfmError, UsageError
from kivfm_core.planner.placement import place_alone, planned_machine
from kivfm_core.progress import Progress


def build(config: RunConfig, progress: Progress, *, dry_run: bool = False) -> list[Estimate]:
    """Runs every network on the stored views of a run whose outputs are not cached yet.

    Each network is loaded, run and freed before the next is loaded. What was stored stays when
    this is interrupted; the same call goes on.

    Args:
        config: The run's; `cache.path` is the cache, `data.views` the views of an image.
        progress: Where to report, first what it will take.
        dry_run: Whether to report only, and write nothing.

    Returns:
        What was missing, by network.

    Raises:
        UsageError: If no folder is given.
        KivfmError: If there is not enough space for all of it.
    """
    if config.cache.path is None:
        raise UsageError("no cache is given", "--set cache.path=cache --set data.views=4")
    config = resolve_precision(config.anchored())
    composition, path = compose(config), Path(str(config.cache.path))
    hashes = hash_weights(config, composition)
    precision: Any = config.engine.precision
    fabric = Fabric(accelerator=config.engine.accelerator, devices=1, precision=precision)
    images = find_images(data_path(config, progress))
    for note in images.notes:
        progress.message(note)

    here = planned_machine(config, find_machine(fabric.device))
    placements = place_alone(config, composition, here)

    def stream(teacher: str | None) -> Stream:
        # The stream of another network is not referred to any more, so its memory is free.
        loaded = _load(teacher, config, composition, hashes, fabric)
        frozen = replace(loaded, placements=placements)
        return Stream(config, composition, frozen, images, fabric, lambda _: None)

    # None is the trunk: its name could also be a teacher's.
    teachers = (None, *composition.teachers_to_run)
    estimates = [estimate(teacher, stream(teacher)) for teacher in teachers]
    _report(estimates, progress)
    _check_space(path, sum(each.bytes for each in estimates), config.cache.limit)
    if not dry_run:
        progress.start(sum(each.views for each in estimates))
        done = 0
        for teacher, each in zip(teachers, estimates, strict=True):
            if each.views:
                done = _fill(stream(teacher), teacher, each.name, progress, done)
    return estimates


def _load(
    name: str | None,
    config: RunConfig,
    composition: Composition,
    hashes: dict[str, str],
    fabric: Fabric,
) -> LoadedNetworks:
    files = assign_weights(config.weights, composition.teachers)
    wanted = composition.base if name is None else name
    spec = next((spec for spec in composition.teachers if spec.name == wanted), None)
    teacher = load(spec, files.get(spec.name), fabric.device) if spec is not None else None
    if name is not None:
        return LoadedNetworks({name: teacher} if teacher is not None else {}, None, hashes)
    student = make_student(composition, teacher).to(fabric.device)
    return LoadedNetworks({}, student.run_trunk if student.adapter is not None else None, hashes)


def _report(estimates: list[Estimate], progress: Progress) -> None:
    """Reports what the build will take, before anything is written."""
    for each in estimates:
        progress.message(f"{each.name}: {describe(each)}")
    total = sum(each.bytes for each in estimates) / 2**30
    minutes = sum(each.seconds for each in estimates) / 60
    progress.message(f"in all {total:.3g} GiB, about {minutes:.1f} minutes")


def _check_space(path: Path, needed: int, limit: float | None) -> None:
    free, where = free_space(path, limit)
    if needed > free:
        raise KivfmError(
            f"the cache needs {needed / 2**30:.3g} GiB, and {free / 2**30:.3g} GiB are {where}",
            "fewer views: --set data.views=1; or another disk: --set cache.path=ANOTHER",
        )


def _fill(stream: Stream, teacher: str | None, name: str, progress: Progress, done: int) -> int:
    """Reads each missing batch once, which caches it; returns the views done so far."""
    batches = missing(teacher, stream)
    for _, batch in zip(stream.outputs(batches), batches, strict=True):
        done += len(set(batch))
        progress.step({"step": done, "what": name})
    return done
