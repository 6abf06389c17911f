"""Devices and processes: Fabric's, and what all processes have to agree on."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager

import torch
from lightning_fabric import Fabric
from torch import Tensor

from kivfm_core.config import RunConfig
from kivfm_core.distillation.processes.interrupt import Interrupted
from kivfm_core.distillation.processes.sharding import sharding
from kivfm_core.errors import UsageError
from kivfm_core.planner.placement import Machine, host_memory


def resolve_precision(config: RunConfig) -> RunConfig:
    """The configuration with the precision that `auto` comes to on this machine."""
    if config.engine.precision != "auto":
        return config
    precision = auto_precision(config.engine.accelerator)
    engine = config.engine.model_copy(update={"precision": precision})
    return config.model_copy(update={"engine": engine})


def auto_precision(accelerator: str) -> str:
    """What `engine.precision = "auto"` comes to on this machine."""
    cuda = torch.cuda
    there = accelerator in ("auto", "gpu", "cuda") and cuda.is_available()
    fast = there and cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if fast else "32-true"


def find_machine(device: torch.device) -> Machine:
    """What networks are asked on: a GPU with its memory, or else this computer."""
    if device.type == "cuda":
        return Machine(device.type, torch.cuda.mem_get_info(device)[1])
    return Machine(device.type, host_memory())


@contextmanager
def launched(config: RunConfig) -> Generator[Fabric]:
    """Starts all processes of a run; those that this one started do not outlive its failure.

    What every process would say alike, the first one says.

    Raises:
        UsageError: If there are no such devices, or the views of a step cannot be shared evenly.
    """
    fabric = _make(config)
    try:
        with warnings.catch_warnings():
            # Of channels-last gradients; gathering them takes a copy.
            warnings.filterwarnings("ignore", "Grad strides do not match")
            fabric.launch()
            yield fabric
    except BaseException as error:
        started = getattr(fabric.strategy.launcher, "procs", [])
        orphans = [*started]
        started.clear()  # else Fabric's watch over them would kill this process, too
        for process in orphans:
            process.kill()  # they would wait for this one
        if fabric.global_rank and isinstance(error, Interrupted | UsageError):
            raise SystemExit(error.exit_code) from error
        raise


def _make(config: RunConfig) -> Fabric:
    engine = config.engine
    # One process has nothing to share.
    alone = "auto" if engine.strategy == "fsdp" else engine.strategy
    try:
        fabric = Fabric(
            accelerator=engine.accelerator,
            devices=engine.devices,
            num_nodes=engine.nodes,
            precision=engine.precision,  # pyright: ignore[reportArgumentType]
            strategy=sharding() if engine.sharded else alone,
        )
    except (ValueError, RuntimeError, ImportError) as error:
        raise UsageError(
            f"no such devices here: {error}", "--devices 1 --set engine.accelerator=auto"
        ) from error
    world, batch = fabric.world_size, config.optim.batch_size
    # Gradients are averaged over processes: each must have as many views as any other.
    if batch % world:
        raise UsageError(
            f"{batch} views a step cannot be shared evenly by {world} processes",
            f"--batch-size {-(-batch // world) * world}",
        )
    return fabric


def is_first() -> bool:
    """Whether this process speaks for all of its run."""
    group = torch.distributed
    return not (group.is_available() and group.is_initialized() and group.get_rank())


def rank_logger(fabric: Fabric, say: Callable[[str], None]) -> Callable[[str], None]:
    """Says what a process alone knows: the first one as ever, any other on stderr, by its rank."""
    rank = fabric.global_rank
    return (lambda text: print(f"rank {rank}: {text}", file=sys.stderr)) if rank else say


def all_reduce(fabric: Fabric) -> Callable[[Tensor], Tensor]:
    """Sums a tensor over all processes, wherever it lies."""

    def reduce(tensor: Tensor) -> Tensor:
        if fabric.world_size == 1:
            return tensor
        there = fabric.to_device(tensor.clone())
        total = fabric.all_reduce(there, reduce_op="sum")
        assert isinstance(total, Tensor)
        return total.to(tensor.device)

    return reduce
