"""Fills a cache ahead of a run: one network after another, measured before anything is written."""

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
from kivfm_core.distillation.cache_build.estimate import Share, describe, estimate, missing
from kivfm_core.distillation.demo_data import data_path
from kivfm_core.distillation.inputs.frozen_networks import LoadedNetworks
from kivfm_core.distillation.inputs.stream import Stream
from kivfm_core.distillation.processes.launch import find_machine, settle
from kivfm_core.errors import KivfmError, UsageError
from kivfm_core.planner.placement import place_alone, planned_machine
from kivfm_core.progress import Progress


def build(config: RunConfig, watch: Progress, *, dry_run: bool = False) -> list[Share]:
    """Asks everyone about every stored view of a run that is not in its cache yet.

    Each network is loaded, asked and freed before the next is loaded. What was stored stays when
    this is interrupted; the same call goes on.

    Args:
        config: The run's; `cache.path` and `data.views` say where to and how many.
        watch: Told what it will take, and then how far it is.
        dry_run: Say what it would take, and write nothing.

    Returns:
        What was missing.

    Raises:
        UsageError: If no folder is given.
        KivfmError: If there is no room for all of it.
    """
    if config.cache.path is None:
        raise UsageError("no cache is given", "--set cache.path=cache --set data.views=4")
    config = settle(config.anchored())
    composition, path = compose(config), Path(str(config.cache.path))
    hashes = hash_weights(config, composition)
    engine = config.engine
    precision: Any = engine.precision
    fabric = Fabric(accelerator=engine.accelerator, devices=1, precision=precision)
    images = find_images(data_path(config, watch))
    for note in images.notes:
        watch.message(note)

    machine = planned_machine(config, find_machine(fabric.device))
    placements = place_alone(config, composition, machine)

    def stream(teacher: str | None) -> Stream:
        loaded = _load(teacher, config, composition, hashes, fabric)
        networks = replace(loaded, placements=placements)
        return Stream(config, composition, networks, images, fabric, lambda _: None)

    # None is the trunk: a name could also be a teacher's.
    teachers = (None, *composition.teachers_to_run)
    shares = [estimate(teacher, stream(teacher)) for teacher in teachers]
    for share in shares:
        watch.message(f"{share.name}: {describe(share)}")
    total = sum(share.bytes for share in shares)
    seconds = sum(share.seconds for share in shares)
    watch.message(f"in all {total / 2**30:.3g} GiB, about {seconds / 60:.1f} minutes")
    _check_room(path, total, config.cache.limit)
    if not dry_run:
        watch.start(sum(share.views for share in shares))
        done = 0
        for teacher, share in zip(teachers, shares, strict=True):
            if share.views:
                done = _fill(stream(teacher), teacher, share.name, watch, done)
    return shares


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


def _check_room(path: Path, needed: int, limit: float | None) -> None:
    free, where = free_space(path, limit)
    if needed > free:
        raise KivfmError(
            f"the cache needs {needed / 2**30:.3g} GiB, and {free / 2**30:.3g} GiB are {where}",
            "fewer views: --set data.views=1; or another disk: --set cache.path=ANOTHER",
        )


def _fill(stream: Stream, teacher: str | None, name: str, watch: Progress, done: int) -> int:
    batches = missing(teacher, stream)
    for _, batch in zip(stream.outputs(batches), batches, strict=True):
        done += len(set(batch))
        watch.step({"step": done, "what": name})
    return done
