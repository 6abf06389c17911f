"""Whose answers are kept, where there is no room for everyone's. Torch-free."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from kivfm_core.planner.networks import Network
from kivfm_core.planner.passes import Passes


@dataclass(frozen=True)
class Demand:
    """What a network is asked in a run.

    Attributes:
        network: It.
        online: Views that it is asked about if nothing is kept.
        cached: Views that it is asked about if its answers are kept.
        bytes: What they add to the cache then.
        first: Views that it is asked about before all others, so that its answers can be encoded.
    """

    network: Network
    online: int
    cached: int
    bytes: int
    first: int = 0


def demand(network: Network, passes: Passes, pictures: int, stored: int = 0) -> Demand:
    """What a network is asked.

    Args:
        network: It.
        passes: The views of the run.
        pictures: How many there are.
        stored: Views of which the cache has its answers already.
    """
    shown, new, distinct = (
        sum(views) if network.size is None else views[network.size]
        for views in (passes.shown, passes.new, passes.distinct)
    )
    asked = max(0, new - stored)
    missing = max(0, distinct - stored)
    first = 0 if stored else min(network.sample, pictures)
    return Demand(network, shown, asked, network.bytes * min(missing, asked), first)


def choose(demands: Collection[Demand], rates: Mapping[str, float], space: int) -> set[str]:
    """Who is kept: first those who spare most for their bytes.

    Each wholly or not at all: of a network that is kept in part, next to no batch would be whole.
    Canvases are kept beside everyone else only, since a picture is decoded for whoever is asked.

    Args:
        demands: Of every network.
        rates: Seconds a view, where they are known; if not all are, estimates take their place.
        space: Bytes that there are.
    """
    measured = all(d.network.rate in rates for d in demands)

    def worth(d: Demand) -> float:
        unit = rates[d.network.rate] if measured else d.network.gmacs
        return (d.online - d.cached) * unit / max(d.bytes, 1)

    kept = set[str]()
    # A canvas is no work to speak of.
    canvases = [d for d in demands if not d.network.gmacs]
    others = [d for d in demands if d.network.gmacs]
    for d in sorted(others, key=worth, reverse=True):
        if d.bytes <= space:
            kept.add(d.network.name)
            space -= d.bytes
    if len(kept) == len(others) and sum(d.bytes for d in canvases) <= space:
        kept |= {d.network.name for d in canvases}
    return kept
