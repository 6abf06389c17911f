"""The plan of a run, and what it will cost. Torch-free.

Sizes follow from the specs, seconds from what earlier runs measured on the same device. Where
something was not measured yet, no time is predicted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kivfm_core.cache.meta import free_space
from kivfm_core.composition.composition import Composition
from kivfm_core.composition.summary import WORK
from kivfm_core.config import RunConfig
from kivfm_core.planner.choice import Demand, choose, demand
from kivfm_core.planner.networks import list_networks
from kivfm_core.planner.passes import Passes, count_passes
from kivfm_core.planner.placement import NetworkPlacement
from kivfm_core.planner.rates import Rates
from kivfm_core.text import duration

# The work beside the networks': decoding images, fitting the aligners, and the student's steps.
DECODING, FITTING, LEARNING = "pictures", "fitting", "learning"


@dataclass(frozen=True)
class Cost:
    """The cost of one part of a run's work. The names of the fields are keys of `costs.json`.

    Attributes:
        name: Key of a source of outputs, or `pictures`, `fitting`, `learning`.
        rate: The key of its measured seconds per view.
        views: Views that are processed; None if their number is not known.
        seconds: Seconds for all of them; None if the number or the rate is not known.
        answers: Whether a network's outputs are `cached` or `online`; empty for other work.
        view_bytes: Bytes of the outputs for a view in a cache.
        bytes: Bytes that the run adds to its cache; None if the number of images is not known.
        batch: Views that a network is run on at once, at most; None if the machine is not known,
            0 for other work.
        device: Kind of device where its weights lie; None if not known, empty for other work.
        memory: Estimated bytes of the machine's memory that it takes while it runs.
    """

    name: str
    rate: str
    views: int | None
    seconds: float | None
    answers: str = ""
    view_bytes: int = 0
    bytes: int | None = 0
    batch: int | None = 0
    device: str | None = ""
    memory: int | None = 0


@dataclass(frozen=True)
class RunPlan:
    """What a run will do.

    Attributes:
        costs: The networks' costs, then those of the other work.
        space: Bytes that its cache may take; None if it has no cache.
        device: The device on which the seconds were measured.
        why: Why no time is predicted; empty if one is.
    """

    costs: tuple[Cost, ...]
    space: int | None
    device: str | None
    why: str

    @property
    def online(self) -> tuple[str, ...]:
        """The sources whose outputs are computed anew for every view."""
        return tuple(cost.name for cost in self.costs if cost.answers == "online")

    @property
    def seconds(self) -> float | None:
        """Predicted seconds from the first batch to the last step; None if not predicted."""
        return None if self.why else sum(cost.seconds or 0.0 for cost in self.costs)

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "device": self.device,
            "space": self.space,
            "bytes": sum(cost.bytes or 0 for cost in self.costs),
            "predicted_seconds": self.seconds,
            "why": self.why,
            "costs": [asdict(cost) for cost in self.costs],
        }


def make_plan(
    config: RunConfig,
    composition: Composition,
    images: int | None,
    rates: Rates,
    stored: Mapping[str, int] | None = None,
    first: int | None = None,
    placements: Mapping[str, NetworkPlacement] | None = None,
) -> RunPlan:
    """Plans a run.

    Args:
        config: The run's.
        composition: The student's plan.
        images: Number of training images, if that is known.
        rates: What was measured on the device.
        stored: Views for which the cache has outputs already, by source.
        first: The step from which a resumed run continues.
        placements: Where the networks lie, if the machine is known.
    """
    space, networks, stored = _space(config), list(list_networks(config, composition)), stored or {}
    passes = count_passes(config, len(composition.image_size), images, first)
    demands: list[Demand] = []
    if passes:
        count = images or 0
        demands = [demand(n, passes, count, stored.get(n.name, 0)) for n in networks]
    chosen: set[str] = set()
    if space is not None:
        known = {network.name for network in networks}
        chosen = choose(demands, rates.seconds, space) if passes else known

    costs: list[Cost] = []
    for i, network in enumerate(networks):
        cached = network.name in chosen
        views = None
        if passes:
            views = demands[i].first + (demands[i].cached if cached else demands[i].online)
        added = (demands[i].bytes if cached else 0) if passes else None
        answers = "cached" if cached else "online"
        facts = {"answers": answers, "view_bytes": network.bytes, "bytes": added}
        if network.working:
            facts |= _placed((placements or {}).get(network.name))
        costs.append(_cost(rates, network.name, network.rate, views, **facts))
    views = (None, None, None)
    if passes:
        views = _decoded(demands, chosen, passes), passes.fitting, passes.learning
    keys = _other_rates(config, composition, rates.precision)
    costs += [_cost(rates, *pair, count) for pair, count in zip(keys.items(), views, strict=True)]
    return RunPlan(tuple(costs), space, rates.device, _why(config, costs))


def _cost(rates: Rates, name: str, rate: str, views: int | None, **more: Any) -> Cost:
    """What some work on some views costs; its seconds are None if they cannot be told."""
    unit = rates.seconds.get(rate)
    seconds = None if views is None or (views and unit is None) else views * (unit or 0.0)
    return Cost(name, rate, views, seconds, **more)


def _placed(placement: NetworkPlacement | None) -> dict[str, Any]:
    known = asdict(placement) if placement else {}
    return {key: known.get(key) for key in ("batch", "device", "memory")}


def _decoded(demands: Sequence[Demand], cached: Collection[str], passes: Passes) -> int:
    """Views whose images are decoded: those that any source of outputs needs."""
    if len(cached) < len(demands):
        return sum(passes.shown)
    # By canvas size, the source that needs most views; teachers (None) see the views of all sizes.
    needed: dict[int | None, int] = {}
    for d in demands:
        needed[d.network.size] = max(needed.get(d.network.size, 0), d.cached)
    return max(needed.pop(None, 0), sum(needed.values()))


def _space(config: RunConfig) -> int | None:
    """Bytes that a run's cache may take; None if it has no cache."""
    if not config.data.views:
        return None
    if config.cache.path is None:
        return int(config.data.memory * 2**30)
    return max(0, free_space(Path(config.cache.path), config.cache.limit)[0])


def _other_rates(config: RunConfig, composition: Composition, auto: str | None) -> dict[str, str]:
    """Keys of the rates of the other work: it takes as long for equal images and students."""
    data, optim = config.anchored().data, config.optim
    precision = auto if config.engine.precision == "auto" else config.engine.precision
    sides = [composition.side(spec) for spec in composition.teachers]
    decoding = [data.path, data.smallest, data.whole, data.mosaic, data.workers]
    decoding += [composition.image_size, sides]
    engine = config.engine
    student = [composition.model_dump(mode="json"), config.recipe, precision]
    student += [optim.batch_size, optim.micro_batch, optim.optimizer]
    student += [engine.compile, engine.activation_checkpointing]
    facts: dict[str, Sequence[Any]] = {DECODING: decoding, FITTING: student, LEARNING: student}
    return {name: f"{name} {_digest(known)}" for name, known in facts.items()}


def _digest(facts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _why(config: RunConfig, costs: Sequence[Cost]) -> str:
    if (config.engine.devices, config.engine.nodes) != (1, 1):
        return "a run on several devices is not predicted"
    if any(cost.views is None for cost in costs):
        return "the number of images is not known"
    unknown = [WORK.get(cost.name, cost.name) for cost in costs if cost.seconds is None]
    return f"not measured here yet: {', '.join(unknown)}" if unknown else ""


def compared(predicted: float | None, took: float) -> str:
    """The time that a run took and the time that was predicted, in words."""
    words = "not predicted" if predicted is None else f"predicted {duration(predicted)}"
    return f"{words}, took {duration(took)}"
