"""Devices and processes: starting them by Fabric, and what all processes have to agree on."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

import torch
from lightning_fabric import Fabric
from torch import Tensor

from kivfm_core.config import RunConfig
from kivfm_core.distillation.processes.interrupt import Interrupted
from kivfm_core.distillation.processes.lost import Family
from kivfm_core.distillation.processes.sharding import sharding
from kivfm_core.errors import KivfmError, UsageError
from kivfm_core.planner.placement import Machine, host_memory


def resolve_precision(config: RunConfig) -> RunConfig:
    """The configuration, with `engine.precision = "auto"` resolved for this machine."""
    if config.engine.precision != "auto":
        return config
    precision = auto_precision(config.engine.accelerator)
    engine = config.engine.model_copy(update={"precision": precision})
    return config.model_copy(update={"engine": engine})


def auto_precision(accelerator: str) -> str:
    """The precision that `auto` stands for on this machine."""
    cuda = torch.cuda
    there = accelerator in ("auto", "gpu", "cuda") and cuda.is_available()
    fast = there and cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if fast else "32-true"


def find_machine(device: torch.device) -> Machine:
    """The machine that networks run on: a GPU with its memory, or else this computer."""
    if device.type == "cuda":
        return Machine(device.type, torch.cuda.mem_get_info(device)[1])
    return Machine(device.type, host_memory())


@contextmanager
def launched(config: RunConfig, run: Path | None = None) -> Generator[Fabric]:
    """Starts all processes of a run, and stops those that it started if this one fails.

    Errors that all processes meet alike are reported by the first one only.

    Args:
        config: The run's.
        run: Its folder, for the hint.

    Raises:
        UsageError: If there are no such devices, or the views of a step cannot be shared evenly.
        KivfmError: If another process is lost.
    """
    fabric = _make(config)
    again = f"kivfm distill --resume {quote(str(run))}" if run is not None else ""
    family = Family(fabric, again)
    try:
        with warnings.catch_warnings(), family:
            # Channels-last gradients have other strides; gathering them only takes a copy.
            warnings.filterwarnings("ignore", "Grad strides do not match")
            fabric.launch()
            yield fabric
    except BaseException as error:
        lost = family.explain(error)
        family.kill()
        if fabric.global_rank and isinstance(error, Interrupted | UsageError):
            raise SystemExit(error.exit_code) from error
        if lost == "":
            raise SystemExit(1) from error
        if lost is not None:
            raise KivfmError(lost, again) from error
        raise


def _make(config: RunConfig) -> Fabric:
    engine = config.engine
    # A single process has nothing to share, so `fsdp` is of no use to it.
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
    """Whether this process reports and writes for all processes of its run."""
    group = torch.distributed
    return not (group.is_available() and group.is_initialized() and group.get_rank())


def rank_logger(fabric: Fabric, log: Callable[[str], None]) -> Callable[[str], None]:
    """Reports what only one process knows: the first by `log`, any other on stderr, by its rank."""
    rank = fabric.global_rank
    return (lambda text: print(f"rank {rank}: {text}", file=sys.stderr)) if rank else log


def all_reduce(fabric: Fabric) -> Callable[[Tensor], Tensor]:
    """A function that sums a tensor over all processes, on any device; all have to call it."""

    def reduce(tensor: Tensor) -> Tensor:
        if fabric.world_size == 1:
            return tensor
        there = fabric.to_device(tensor.clone())
        total = fabric.all_reduce(there, reduce_op="sum")
        assert isinstance(total, Tensor)
        return total.to(tensor.device)

    return reduce
