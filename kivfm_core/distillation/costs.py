"""What a run is planned to cost, and what it did cost."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable

import torch

from kivfm_core.distillation.context import RunContext
from kivfm_core.distillation.inputs.stream import Stream
from kivfm_core.distillation.processes.launch import auto_precision, find_machine
from kivfm_core.files import write_text
from kivfm_core.planner.plan import RunPlan, compared, make_plan
from kivfm_core.planner.rates import Rates, read_rates, save_rates


def device_name(device: torch.device) -> str:
    """The device that rates belong to: a GPU's name, or the processor and its number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"


def plan_costs(context: RunContext, stream: Stream, first: int | None = None) -> RunPlan:
    """Plans a run, and makes its stream cache what the plan caches.

    Args:
        context: The run; it reports what runs anew, offloaded or in portions for want of room.
        stream: Its batches.
        first: The step that a resumed run goes on from.
    """
    config, fabric = context.config, context.fabric
    # Rates were measured by single processes, so they predict nothing for several.
    rates = read_rates(device_name(fabric.device)) if fabric.world_size == 1 else Rates()
    placements, images = stream.placements, len(stream.dataset)
    stored = stream.count_cached()
    plan = make_plan(config, context.composition, images, rates, stored, first, placements)
    if plan.space is not None and plan.online:
        context.log(f"run anew for every view, for want of cache space: {', '.join(plan.online)}")
    if away := [name for name, placement in placements.items() if placement.offloaded]:
        context.log(f"weights on the CPU between uses, for want of memory: {', '.join(away)}")
    share = config.optim.batch_size // fabric.world_size
    small = [f"{name} {p.batch}" for name, p in placements.items() if p.batch < share]
    if small:
        context.log(f"views at once, for want of memory: {', '.join(small)}")
    stream.run_online(plan.online)
    return plan


def write_costs(
    context: RunContext, plan: RunPlan, stream: Stream, failed: str | None = None
) -> None:
    """Writes what a run took beside what was predicted, and saves its rates for later plans.

    Args:
        context: The run.
        plan: What was predicted.
        stream: What was measured.
        failed: Why the run failed although it came to its end, if it did.
    """
    watch, record = stream.stopwatch, plan.as_dict()
    took = watch.total
    for cost in record["costs"]:
        cost["took_views"] = watch.views.get(cost["name"], 0)
        cost["took_seconds"] = watch.seconds.get(cost["name"], 0.0)
        cost["took_batch"] = stream.portion_size(cost["name"])
    facts = {"schema": 1, "failed": failed, "took_seconds": took, **record}
    write_text(context.run.costs_file, json.dumps(facts, indent=1))
    context.log(compared(plan.seconds, took))
    save_measured_rates(plan, stream, context.log)


def save_measured_rates(plan: RunPlan, stream: Stream, log: Callable[[str], None]) -> None:
    """Saves the seconds a view that a run measured, as far as it came."""
    watch, auto = stream.stopwatch, auto_precision(stream.config.engine.accelerator)
    if plan.device is not None:
        done = [cost for cost in plan.costs if watch.views.get(cost.name)]
        measured = {c.rate: watch.seconds[c.name] / watch.views[c.name] for c in done}
        try:
            save_rates(Rates(plan.device, measured, auto, find_machine(stream.fabric.device)))
        except OSError as error:
            log(f"what was measured cannot be saved for later plans: {error}")
