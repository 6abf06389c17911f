"""Whether a run can fit into a machine at all. Torch-free."""

from __future__ import annotations

from kivfm_core.composition.composition import Composition
from kivfm_core.composition.memory import FLOAT
from kivfm_core.config import RunConfig
from kivfm_core.errors import UsageError
from kivfm_core.planner.networks import list_networks
from kivfm_core.planner.placement import Machine, host_memory, outputs_of_view, share_of
from kivfm_core.text import size


def check_fits(config: RunConfig, composition: Composition, machine: Machine | None) -> None:
    """Refuses a run that certainly needs more memory than there is, before anything is built.

    What is counted can neither be split nor left on a disk: the student's weights, and a process's
    share of a step's outputs. Activations and optimizer come on top.

    Args:
        config: The run's.
        composition: The student's plan.
        machine: The machine that the run is planned for; the computer's own memory is there, too.

    Raises:
        UsageError: If it needs more, saying how much of what.
    """
    there = max(host_memory(), machine.memory if machine is not None else 0)
    share = share_of(config)
    outputs = share * outputs_of_view(composition, list(list_networks(config, composition)))
    needed = FLOAT * composition.total + outputs
    if needed > there:
        raise UsageError(
            f"the run needs at least {size(needed)} of memory, and there are {size(there)}: "
            f"{size(FLOAT * composition.total)} for the student's weights, {size(outputs)} for the "
            f"outputs of {share} views at {max(composition.image_size)} pixels",
            "fewer views at once (--batch-size), smaller images (--image-size), or a smaller "
            "student",
        )
