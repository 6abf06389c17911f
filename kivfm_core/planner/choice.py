"""Chooses which outputs to cache: most time saved per byte first. Torch-free."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from kivfm_core.planner.networks import Network
from kivfm_core.planner.passes import Passes


@dataclass(frozen=True)
class Demand:
    """How many outputs of a network a run needs.

    Attributes:
        network: The network.
        online: Views that it is run on if its outputs are not cached.
        cached: Views that it is run on if they are.
        bytes: Bytes that its outputs then add to the cache.
        first: Views that it is run on before all others, to fit the encoding of its outputs.
    """

    network: Network
    online: int
    cached: int
    bytes: int
    first: int = 0


def demand(network: Network, passes: Passes, images: int, stored: int = 0) -> Demand:
    """Counts the views that a network is run on.

    Args:
        network: The network.
        passes: The views of the run.
        images: Number of training images.
        stored: Views for which the cache has its outputs already.
    """
    shown, new, distinct = (
        sum(views) if network.size is None else views[network.size]
        for views in (passes.shown, passes.new, passes.distinct)
    )
    computed = max(0, new - stored)
    missing = max(0, distinct - stored)
    first = 0 if stored else min(network.sample, images)
    return Demand(network, shown, computed, network.bytes * min(missing, computed), first)


def choose(demands: Collection[Demand], rates: Mapping[str, float], space: int) -> set[str]:
    """Chooses which outputs to cache, by the networks' names: most time saved per byte first.

    The outputs of a network are cached for all views or for none: with a part of them, hardly any
    batch would be cached as a whole, and only whole batches are read from the cache. Canvases are
    cached only if all networks' outputs are, since an image has to be decoded anyway as long as
    any network is run on it.

    Args:
        demands: What the run needs of every network.
        rates: Measured seconds per view; unless all are known, estimates of the work are compared.
        space: Bytes that the cache may take.
    """
    measured = all(d.network.rate in rates for d in demands)

    def worth(d: Demand) -> float:
        unit = rates[d.network.rate] if measured else d.network.gmacs
        return (d.online - d.cached) * unit / max(d.bytes, 1)

    cached = set[str]()
    # Making a canvas takes no work worth counting.
    canvases = [d for d in demands if not d.network.gmacs]
    others = [d for d in demands if d.network.gmacs]
    for d in sorted(others, key=worth, reverse=True):
        if d.bytes <= space:
            cached.add(d.network.name)
            space -= d.bytes
    if len(cached) == len(others) and sum(d.bytes for d in canvases) <= space:
        cached |= {d.network.name for d in canvases}
    return cached
