"""What a run is planned to cost, and what it did cost."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable

import torch
from lightning_fabric import Fabric

from kivfm_core.cache.disk import DiskCache
from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig
from kivfm_core.distillation.inputs.stream import Stream
from kivfm_core.distillation.processes.launch import auto_precision, find_machine
from kivfm_core.files import write_text
from kivfm_core.planner.plan import RunPlan, compared, make_plan
from kivfm_core.planner.rates import Rates, read_rates, save_rates
from kivfm_core.runs.run import Run


def device_name(device: torch.device) -> str:
    """What rates are measured on: a GPU's name, or the processor and its number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"


def follow(
    config: RunConfig,
    composition: Composition,
    stream: Stream,
    fabric: Fabric,
    say: Callable[[str], None],
    first: int | None = None,
) -> RunPlan:
    """Plans a run, and has its stream keep what the plan keeps.

    Args:
        config: The run's.
        composition: The student's plan.
        stream: Of its batches.
        fabric: Devices and processes.
        say: Told who is asked anew, offloaded or asked in portions, for want of room.
        first: The step that a resumed run goes on from.
    """
    stored = stream.cache.count(config.data.views) if isinstance(stream.cache, DiskCache) else {}
    rates = read_rates(device_name(fabric.device)) if fabric.world_size == 1 else Rates()
    placements = stream.frozen.networks.placements
    plan = make_plan(config, composition, len(stream.dataset), rates, stored, first, placements)
    if plan.space is not None and plan.online:
        say(f"asked anew for every view, for want of room to keep it: {', '.join(plan.online)}")
    if away := [name for name, placement in placements.items() if placement.offloaded]:
        say(f"weights on the CPU but for their turns, for want of memory: {', '.join(away)}")
    share = config.optim.batch_size // fabric.world_size
    small = [f"{name} {p.batch}" for name, p in placements.items() if p.batch < share]
    if small:
        say(f"views at once, for want of memory: {', '.join(small)}")
    if stream.frozen.cached is not None:
        stream.frozen.cached.online = plan.online
    return plan


def account(run: Run, plan: RunPlan, stream: Stream, say: Callable[[str], None]) -> None:
    """Writes what a run took beside what was predicted, and keeps its rates for later plans."""
    watch, record = stream.stopwatch, plan.as_dict()
    took = watch.total
    for cost in record["costs"]:
        cost["took_views"] = watch.views.get(cost["name"], 0)
        cost["took_seconds"] = watch.seconds.get(cost["name"], 0.0)
        portions = stream.frozen.splitters.get(cost["name"])
        cost["took_batch"] = portions.size if portions else None
    facts = {"schema": 1, "took_seconds": took, **record}
    write_text(run.path / "costs.json", json.dumps(facts, indent=1))
    say(compared(plan.seconds, took))
    remember(plan, stream, say)


def remember(plan: RunPlan, stream: Stream, say: Callable[[str], None]) -> None:
    """Keeps the rates that a run measured, as far as it came."""
    watch, auto = stream.stopwatch, auto_precision(stream.config.engine.accelerator)
    if plan.device is not None:
        done = [cost for cost in plan.costs if watch.views.get(cost.name)]
        measured = {c.rate: watch.seconds[c.name] / watch.views[c.name] for c in done}
        try:
            save_rates(Rates(plan.device, measured, auto, find_machine(stream.fabric.device)))
        except OSError as error:
            say(f"what was measured cannot be kept for later plans: {error}")
