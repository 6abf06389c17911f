"""Where each frozen network lies, and how many views it is asked about at once. Torch-free.

All of it follows from the configuration and the memory that a machine has, never from what is free
at the moment: a network's answers differ in the last bits with the views at once, and the same run
shall come to the same student.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from kivfm_core.composition.composition import Composition
from kivfm_core.composition.memory import FLOAT, activation_bytes
from kivfm_core.config import RunConfig
from kivfm_core.planner.networks import Network, list_networks

USABLE = 0.75
"""Share of the memory that is planned with; the rest is the system's, and what estimates miss."""

ENOUGH = 64
"""Views at once that keep a GPU busy: more are not asked for, where nothing else sets a number."""

DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""NVIDIA's, AMD's, and the one by which Linux within Windows sees its GPU."""


@dataclass(frozen=True)
class Machine:
    """What a run's networks are asked on.

    Attributes:
        kind: Of device, such as `cpu` or `cuda`.
        memory: Bytes that it has.
    """

    kind: str
    memory: int


@dataclass(frozen=True)
class NetworkPlacement:
    """How a network is asked.

    Attributes:
        batch: Views at once, at most.
        device: Kind of device where its weights lie.
        memory: Bytes that it takes of the machine's memory while it is asked.
        offloaded: Whether its weights lie in the host's memory, and come to the machine's for as
            long as it is asked.
    """

    batch: int
    device: str
    memory: int
    offloaded: bool = False


def host_memory() -> int:
    """Bytes of memory that this computer has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def planned_machine(config: RunConfig, known: Machine | None) -> Machine | None:
    """What a run is planned for.

    Args:
        config: The run's; `engine.memory` takes the place of what the machine has.
        known: What is here, if that is known.
    """
    engine = config.engine
    if engine.accelerator == "cpu":
        known = Machine("cpu", host_memory())
    elif engine.accelerator != "auto" and known is not None and known.kind == "cpu":
        known = None
    elif engine.accelerator == "auto" and known is None and _has_no_gpu():
        known = Machine("cpu", host_memory())
    if known is not None and known.kind == "cpu":  # which a node's processes share
        known = Machine("cpu", known.memory // _devices(config))
    if engine.memory is None:
        return known
    return Machine(known.kind if known else engine.accelerator, int(engine.memory * 2**30))


def _has_no_gpu() -> bool:
    """Whether it is certain that there is none; torch alone tells what there is."""
    return sys.platform == "linux" and not any(Path(driver).exists() for driver in DRIVERS)


def place(
    config: RunConfig, composition: Composition, machine: Machine | None
) -> dict[str, NetworkPlacement]:
    """Where the networks of a run lie, by name; of none if the machine is not known.

    All are where the student is. Only where not even a single view could be asked about, or learned
    from, beside all of them, the largest are offloaded: smaller portions cost less time.

    Args:
        config: The run's.
        composition: The student's plan.
        machine: What it is planned for.
    """
    if machine is None:
        return {}
    networks = list(list_networks(config, composition))
    asked = [network for network in networks if network.working]
    share = _share(config)
    free = int(USABLE * machine.memory) - _static(composition, networks, share)
    least = activation_bytes(composition, 1) or 0
    away = _offloaded(asked, free, least) if machine.kind != "cpu" else set[str]()
    free -= sum(n.weights for n in asked if n.size is None and n.name not in away)
    placed: dict[str, NetworkPlacement] = {}
    for n in asked:
        gone = n.name in away
        batch = _largest(share, n.working, free - (n.weights if gone else 0))
        device = "cpu" if gone else machine.kind
        placed[n.name] = NetworkPlacement(batch, device, n.weights + batch * n.working, gone)
    return placed


def place_alone(
    config: RunConfig, composition: Composition, machine: Machine | None
) -> dict[str, NetworkPlacement]:
    """How networks are asked that nothing else lies beside, as when a cache is built.

    On a CPU as in a run, so that answers are the same bit for bit, and since larger batches are no
    faster there. Elsewhere in the largest batches that fit, up to those that keep a GPU busy.
    """
    if machine is None:
        return {}
    networks = {network.name: network for network in list_networks(config, composition)}
    placed: dict[str, NetworkPlacement] = {}
    for name, placement in place(config, composition, machine).items():
        network, batch = networks[name], placement.batch
        free = USABLE * machine.memory - network.weights
        each = network.working + network.answers
        while machine.kind != "cpu" and 2 * batch <= ENOUGH and 2 * batch * each <= free:
            batch *= 2
        memory = network.weights + batch * network.working
        placed[name] = NetworkPlacement(batch, machine.kind, memory)
    return placed


def _devices(config: RunConfig) -> int:
    """Processes of a node, one if it is left open."""
    return 1 if config.engine.devices == "auto" else config.engine.devices


def _share(config: RunConfig) -> int:
    """Views of a step that one process asks about."""
    return -(-config.optim.batch_size // (_devices(config) * config.engine.nodes))


def _static(composition: Composition, networks: Collection[Network], share: int) -> int:
    """What lies in memory throughout a step, beside the teachers: the student, and all answers."""
    student = FLOAT * composition.total + 12 * composition.trainable
    everywhere = sum(n.answers for n in networks if n.size is None)
    sizes = range(len(composition.image_size))
    largest = max(sum(n.answers for n in networks if n.size == size) for size in sizes)
    return student + share * (everywhere + largest)


def _offloaded(networks: Collection[Network], free: int, least: int) -> set[str]:
    """The largest teachers, as many as it takes for one view to be asked about and learned from."""
    away = set[str]()
    teachers = [n for n in networks if n.size is None]
    for teacher in sorted(teachers, key=lambda n: n.weights, reverse=True):
        resident = sum(n.weights for n in teachers if n.name not in away)
        turns = (n.working + (n.weights if n.name in away else 0) for n in networks)
        if resident + max(least, *turns) <= free:
            break
        away.add(teacher.name)
    return away


def _largest(share: int, each: int, free: int) -> int:
    """The largest portion of a share, halved as often as it takes, that fits; at least a view."""
    while share > 1 and share * each > free:
        share = -(-share // 2)
    return share
