"""Devices and processes: Fabric's, and what all processes have to agree on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from lightning_fabric import Fabric
from torch import Tensor

from kivfm_core.config import RunConfig
from kivfm_core.errors import UsageError


def settle(config: RunConfig) -> RunConfig:
    """The configuration with the precision that `auto` comes to on this machine."""
    if config.engine.precision != "auto":
        return config
    engine = config.engine.model_copy(update={"precision": auto_precision()})
    return config.model_copy(update={"engine": engine})


def auto_precision() -> str:
    """What `engine.precision = "auto"` comes to on this machine."""
    cuda = torch.cuda
    fast = cuda.is_available() and cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if fast else "32-true"


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
