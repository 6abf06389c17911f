"""Fills a cache ahead of a run, one network after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lightning_fabric import Fabric

from kivfm_core.cache.key import hash_weights
from kivfm_core.cache.meta import free_space
from kivfm_core.composition.compose import compose
from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig
from kivfm_core.config.assign_weights import assign_weights
from kivfm_core.distillation.assemble import load, make_student
from kivfm_core.distillation.cache_build.estimate import Estimate, describe, estimate, missing
from kivfm_core.distillation.images import find_run_images
from kivfm_core.distillation.inputs.frozen_networks import LoadedNetworks
from kivfm_core.distillation.inputs.stream import Stream
from kivfm_core.distillation.processes.launch import find_machine, resolve_precision
from kivfm_core.errors import KivfmError, UsageError
from kivfm_core.planner.placement import place_alone, planned_machine
from kivfm_core.processes.launch import launched
from kivfm_core.processes.sharing import AGAIN, sharing_fabric
from kivfm_core.progress import Progress, Silent


def build(config: RunConfig, progress: Progress, *, dry_run: bool = False) -> list[Estimate]:
    """Runs every network on the stored views of a run whose outputs are not cached yet.

    Each network is loaded, run and freed before the next is loaded. Several processes share its
    batches. What was stored stays when this is interrupted; the same call goes on.

    Args:
        config: The run's; `cache.path` is the cache, `data.views` the views of an image.
        progress: Where to report, first what it will take.
        dry_run: Whether to report only, and write nothing.

    Returns:
        What was missing, by network.

    Raises:
        UsageError: If no folder is given, or there are no such devices.
        KivfmError: If there is not enough space for all of it, or a process is lost.
    """
    if config.cache.path is None:
        raise UsageError("no cache is given", "--set cache.path=cache --set data.views=4")
    config = resolve_precision(config.anchored())
    composition, engine = compose(config), config.engine
    hashes = hash_weights(config, composition)
    fabric = sharing_fabric(engine.devices, engine.nodes, engine.accelerator, engine.precision)
    # Networks run on the batches of one process, however many there are: outputs stay the same.
    one = engine.model_copy(update={"devices": 1, "nodes": 1})
    config = config.model_copy(update={"engine": one})
    with launched(fabric, AGAIN):
        report = progress if fabric.is_global_zero else Silent()
        images = find_run_images(config, fabric, report)
        for note in images.notes:
            report.message(note)
        here = planned_machine(config, find_machine(fabric.device))
        placements = place_alone(config, composition, here)

        def stream(teacher: str | None) -> Stream:
            # The stream of another network is not referred to any more, so its memory is free.
            loaded = _load(teacher, config, composition, hashes, fabric)
            frozen = replace(loaded, placements=placements)
            return Stream(config, composition, frozen, images, fabric, lambda _: None)

        return _Build(config, fabric, stream, report).run(composition.teachers_to_run, dry_run)


@dataclass(frozen=True)
class _Build:
    """The work of one process.

    Attributes:
        config: The run's.
        fabric: All processes.
        stream: Makes the stream of a teacher; of the trunk for None.
        progress: Where to report; silent in all processes but the first.
    """

    config: RunConfig
    fabric: Fabric
    stream: Callable[[str | None], Stream]
    progress: Progress

    def run(self, to_run: Sequence[str], dry_run: bool) -> list[Estimate]:
        """Says what is missing, and adds it; the first process estimates for all."""
        # None is the trunk: its name could also be a teacher's.
        teachers, found = (None, *to_run), list[Estimate]()
        if self.fabric.is_global_zero:
            found = [estimate(teacher, self.stream(teacher)) for teacher in teachers]
            self._report(found)
            needed = sum(each.bytes for each in found)
            _check_space(Path(str(self.config.cache.path)), needed, self.config.cache.limit)
        estimates = self.fabric.broadcast(found)
        if not dry_run:
            self.progress.start(sum(each.views for each in estimates))
            done = 0
            for teacher, each in zip(teachers, estimates, strict=True):
                if each.views:
                    self._fill(teacher, each, done)
                    done += each.views
        self.fabric.barrier()
        return estimates

    def _report(self, estimates: Sequence[Estimate]) -> None:
        """Reports what the build will take, before anything is written."""
        for each in estimates:
            self.progress.message(f"{each.name}: {describe(each)}")
        total, world = sum(each.bytes for each in estimates) / 2**30, self.fabric.world_size
        minutes = sum(each.seconds for each in estimates) / 60 / world
        by = f" in {world} processes" if world > 1 else ""
        self.progress.message(f"in all {total:.3g} GiB, about {minutes:.1f} minutes{by}")

    def _fill(self, teacher: str | None, each: Estimate, done: int) -> None:
        """Reads each missing batch once, which caches it; batches go to the processes in turn.

        A batch stays whole, since outputs differ in the last bits with what is run at once.

        Args:
            teacher: Whose outputs are missing; None for the trunk.
            each: How many.
            done: Views that were stored for other networks.
        """
        stream, fabric = self.stream(teacher), self.fabric
        # What the first process found missing: others may see what is stored meanwhile.
        batches = fabric.broadcast(missing(teacher, stream) if fabric.is_global_zero else [])
        own = batches[fabric.global_rank :: fabric.world_size]
        stored = 0
        for _, batch in zip(stream.outputs(own), own, strict=True):
            # The other processes are about as far.
            stored = min(stored + len(set(batch)) * fabric.world_size, each.views)
            self.progress.step({"step": done + stored, "what": each.name})


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


def _check_space(path: Path, needed: int, limit: float | None) -> None:
    free, where = free_space(path, limit)
    if needed > free:
        raise KivfmError(
            f"the cache needs {needed / 2**30:.3g} GiB, and {free / 2**30:.3g} GiB are {where}",
            "fewer views: --set data.views=1; or another disk: --set cache.path=ANOTHER",
        )
