"""Starts the processes among which a command's images are divided, by Lightning Fabric."""

from __future__ import annotations

from datetime import timedelta

from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from kivfm_core.processes.launch import make_fabric

# The hint after a loss: these commands keep their results as they are made.
AGAIN = "run the same command again: it goes on"
# The first process to finish waits for the last, whose images may take longer.
PATIENCE = timedelta(days=30)


def sharing_fabric(
    devices: int | str, nodes: int, accelerator: str, precision: str = "32-true"
) -> Fabric:
    """A `Fabric` of processes that share images, and no gradients.

    What they send each other is small and lies in the host's memory, so it goes by gloo.

    Args:
        devices: How many on each node, or `auto`.
        nodes: How many nodes.
        accelerator: Where they compute, as in `engine.accelerator`.
        precision: As in `engine.precision`.

    Raises:
        UsageError: If there are no such devices.
    """
    together = DDPStrategy(process_group_backend="gloo", timeout=PATIENCE)
    return make_fabric(
        "--devices 1",
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        precision=precision,
        strategy="auto" if (devices, nodes) == (1, 1) else together,
    )
