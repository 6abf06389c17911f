"""A run's devices and processes, as its configuration has them."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

import torch
from lightning_fabric import Fabric

from kivfm_core.config import RunConfig
from kivfm_core.distillation.processes.sharding import sharding
from kivfm_core.errors import UsageError
from kivfm_core.planner.placement import Machine, host_memory
from kivfm_core.processes.bfloat16 import computes_bfloat16
from kivfm_core.processes.launch import launched as processes_launched
from kivfm_core.processes.launch import make_fabric


def resolve_precision(config: RunConfig) -> RunConfig:
    """The configuration, with `engine.precision = "auto"` resolved for this machine."""
    if config.engine.precision != "auto":
        return config
    precision = auto_precision(config.engine.accelerator)
    engine = config.engine.model_copy(update={"precision": precision})
    return config.model_copy(update={"engine": engine})


def auto_precision(accelerator: str) -> str:
    """The precision that `auto` stands for on this machine."""
    there = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    fast = there and computes_bfloat16(torch.device("cuda"))
    return "bf16-mixed" if fast else "32-true"


def find_machine(device: torch.device) -> Machine:
    """The machine that networks run on: a GPU with its memory, or else this computer."""
    if device.type == "cuda":
        return Machine(device.type, torch.cuda.mem_get_info(device)[1])
    return Machine(device.type, host_memory())


@contextmanager
def launched(config: RunConfig, run: Path | None = None) -> Generator[Fabric]:
    """Starts all processes of a run, as `kivfm_core.processes.launch.launched` does.

    Args:
        config: The run's.
        run: Its folder, for the hint.

    Raises:
        UsageError: If there are no such devices, or the views of a step cannot be shared evenly.
        KivfmError: If another process is lost.
    """
    fabric = _make(config)
    again = f"kivfm distill --resume {quote(str(run))}" if run is not None else ""
    with warnings.catch_warnings(), processes_launched(fabric, again):
        # Channels-last gradients have other strides; gathering them only takes a copy.
        warnings.filterwarnings("ignore", "Grad strides do not match")
        yield fabric


def _make(config: RunConfig) -> Fabric:
    engine = config.engine
    # A single process has nothing to share, so `fsdp` is of no use to it.
    alone = "auto" if engine.strategy == "fsdp" else engine.strategy
    fabric = make_fabric(
        "--devices 1 --set engine.accelerator=auto",
        accelerator=engine.accelerator,
        devices=engine.devices,
        num_nodes=engine.nodes,
        precision=engine.precision,
        strategy=sharding() if engine.sharded else alone,
    )
    world, batch = fabric.world_size, config.optim.batch_size
    # Gradients are averaged over processes: each must have as many views as any other.
    if batch % world:
        raise UsageError(
            f"{batch} views a step cannot be shared evenly by {world} processes",
            f"--batch-size {-(-batch // world) * world}",
        )
    return fabric
