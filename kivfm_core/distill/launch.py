"""Devices and processes: Fabric's, and what all processes have to agree on."""

from __future__ import annotations

from collections.abc import Callable

from lightning_fabric import Fabric
from torch import Tensor

from kivfm_core.config import RunConfig
from kivfm_core.errors import UsageError


def launch(config: RunConfig) -> Fabric:
    """Starts all processes of a run.

    Raises:
        UsageError: If the views of a step cannot be shared evenly among them.
    """
    engine = config.engine
    fabric = Fabric(
        devices=engine.devices,
        num_nodes=engine.nodes,
        precision=engine.precision,  # pyright: ignore[reportArgumentType]
        strategy=engine.strategy,
    )
    fabric.launch()
    world, batch = fabric.world_size, config.optim.batch_size
    # Gradients are averaged over processes: each must have as many views as any other.
    if batch % world:
        raise UsageError(
            f"{batch} views a step cannot be shared evenly by {world} processes",
            f"--batch-size {-(-batch // world) * world}",
        )
    return fabric


def summed(fabric: Fabric) -> Callable[[Tensor], Tensor]:
    """Sums a tensor over all processes, wherever it lies."""

    def reduce(tensor: Tensor) -> Tensor:
        if fabric.world_size == 1:
            return tensor
        there = fabric.to_device(tensor.clone())
        total = fabric.all_reduce(there, reduce_op="sum")
        assert isinstance(total, Tensor)
        return total.to(tensor.device)

    return reduce
