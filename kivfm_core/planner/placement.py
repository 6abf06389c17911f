"""Where each frozen network lies, and how many views it is run on at once. Torch-free.

Both follow from the configuration and the total memory of a machine, never from the memory that is
free at the moment: the last bits of a network's outputs depend on the batch size, and the same run
has to lead to the same student.
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

# Share of the memory that plans may use. The rest is for the system, and for what estimates miss.
USABLE = 0.75

# A batch size that keeps a GPU busy: no larger one is chosen where nothing else sets the size.
ENOUGH = 64

# Device files of NVIDIA's driver, of AMD's, and of the one for Linux within Windows.
DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


@dataclass(frozen=True)
class Machine:
    """What a run's networks run on.

    Attributes:
        kind: Kind of device, such as `cpu` or `cuda`.
        memory: Bytes of memory that it has.
    """

    kind: str
    memory: int


@dataclass(frozen=True)
class NetworkPlacement:
    """How a network is run.

    Attributes:
        batch: Views at once, at most.
        device: Kind of device where its weights lie.
        memory: Bytes of the machine's memory that it takes while it runs.
        offloaded: Whether its weights lie in the host's memory, and are copied to the machine's
            each time it runs.
    """

    batch: int
    device: str
    memory: int
    offloaded: bool = False


def host_memory() -> int:
    """Bytes of memory that this computer has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def planned_machine(config: RunConfig, known: Machine | None) -> Machine | None:
    """The machine that a run is planned for; None if it is not known.

    Args:
        config: The run's; `engine.memory` replaces the memory that the machine has.
        known: The machine at hand, if it is known.
    """
    engine = config.engine
    if engine.accelerator == "cpu":
        known = Machine("cpu", host_memory())
    elif engine.accelerator != "auto" and known is not None and known.kind == "cpu":
        known = None
    elif engine.accelerator == "auto" and known is None and _has_no_gpu():
        known = Machine("cpu", host_memory())
    if known is not None and known.kind == "cpu":  # a node's processes share its memory
        known = Machine("cpu", known.memory // _devices(config))
    if engine.memory is None:
        return known
    return Machine(known.kind if known else engine.accelerator, int(engine.memory * 2**30))


def _has_no_gpu() -> bool:
    """Whether there is certainly no GPU. Only torch could tell which one there is."""
    return sys.platform == "linux" and not any(Path(driver).exists() for driver in DRIVERS)


def place(
    config: RunConfig, composition: Composition, machine: Machine | None
) -> dict[str, NetworkPlacement]:
    """Plans where the networks of a run lie, by name; empty if the machine is not known.

    Networks lie on the student's device. The largest are offloaded only if otherwise there were no
    memory to process a single view: smaller batches cost less time than offloading.

    Args:
        config: The run's.
        composition: The student's plan.
        machine: The machine that the run is planned for.
    """
    if machine is None:
        return {}
    networks = list(list_networks(config, composition))
    runs = [network for network in networks if network.working]  # a canvas is no network
    share = share_of(config)
    free = int(USABLE * machine.memory) - _static(composition, networks, share)
    least = activation_bytes(composition, 1) or 0
    away = _offloaded(runs, free, least) if machine.kind != "cpu" else set[str]()
    free -= sum(n.weights for n in runs if n.size is None and n.name not in away)
    placed: dict[str, NetworkPlacement] = {}
    for n in runs:
        offloaded = n.name in away
        batch = _largest(share, n.working, free - (n.weights if offloaded else 0))
        device = "cpu" if offloaded else machine.kind
        placed[n.name] = NetworkPlacement(batch, device, n.weights + batch * n.working, offloaded)
    return placed


def place_alone(
    config: RunConfig, composition: Composition, machine: Machine | None
) -> dict[str, NetworkPlacement]:
    """Plans how each network is run alone on the machine, as when a cache is built.

    On a CPU, with the batch size of a run: outputs are then the same bit for bit, and larger
    batches are no faster. On other devices, with the largest batches that fit, up to `ENOUGH`.
    """
    if machine is None:
        return {}
    networks = {network.name: network for network in list_networks(config, composition)}
    placed: dict[str, NetworkPlacement] = {}
    for name, placement in place(config, composition, machine).items():
        network, batch = networks[name], placement.batch
        free = USABLE * machine.memory - network.weights
        each = network.working + network.outputs
        while machine.kind != "cpu" and 2 * batch <= ENOUGH and 2 * batch * each <= free:
            batch *= 2
        memory = network.weights + batch * network.working
        placed[name] = NetworkPlacement(batch, machine.kind, memory)
    return placed


def _devices(config: RunConfig) -> int:
    """Processes per node; one if that is left open."""
    return 1 if config.engine.devices == "auto" else config.engine.devices


def share_of(config: RunConfig) -> int:
    """Views of a step that one process handles."""
    return -(-config.optim.batch_size // (_devices(config) * config.engine.nodes))


def _static(composition: Composition, networks: Collection[Network], share: int) -> int:
    """Bytes in memory throughout a step, teachers aside: the student and all outputs."""
    # Of a trained parameter: its gradient, and two moments of the optimizer.
    student = FLOAT * composition.total + 12 * composition.trainable
    return student + share * outputs_of_view(composition, networks)


def outputs_of_view(composition: Composition, networks: Collection[Network]) -> int:
    """Bytes of the outputs for a view in a training step, on the largest canvases."""
    everywhere = sum(n.outputs for n in networks if n.size is None)
    sizes = range(len(composition.image_size))
    return everywhere + max(sum(n.outputs for n in networks if n.size == size) for size in sizes)


def _offloaded(networks: Collection[Network], free: int, least: int) -> set[str]:
    """The largest teachers, as many as have to be offloaded for a batch of one view to fit."""
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
    """The largest batch that fits: a process's share, halved as often as needed, at least 1."""
    while share > 1 and share * each > free:
        share = -(-share // 2)
    return share
