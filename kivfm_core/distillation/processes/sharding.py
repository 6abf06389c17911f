"""Fully sharded data parallelism: each process keeps its part of what is trained.

The parts are gathered for a pass, and gradients are summed into parts after it. What is
frozen stays whole: it runs outside of passes, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from lightning_fabric import Fabric
from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer  # pyright: ignore
from torch import Tensor, nn
from torch.optim import Optimizer

from kivfm_core.errors import UsageError
from kivfm_core.student.student import Student


def sharding() -> ModelParallelStrategy:
    """Fabric's strategy for PyTorch's `fully_shard`; Fabric's own `fsdp` is for GPUs only."""
    return ModelParallelStrategy(shard)


def shard(module: nn.Module, mesh: Any) -> nn.Module:
    """Leaves each process its part of what is trained.

    Args:
        module: What a step computes, a `Distillation`: its `student` is sharded block by block.
        mesh: The devices of the run.

    Raises:
        UsageError: If it has parameters that cannot be sharded.
    """
    # Takes a second to import, and most runs are not sharded.
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    student = cast(Student, module.student)
    world = init_device_mesh(mesh.device_type, (mesh.size(),))
    frozen = {p for p in module.parameters() if not p.requires_grad}
    try:
        for part in (*_blocks(student), module):
            fully_shard(part, mesh=world, ignored_params=frozen)
    except (ValueError, NotImplementedError) as error:
        raise UsageError(f"this student cannot be sharded: {error}", "--strategy ddp") from error
    # Its parts have to be gathered there as in `forward`.
    for method in ("teacher_gradients", "finite_features"):
        register_fsdp_forward_method(module, method)
    return module


def _blocks(student: Student) -> Iterator[nn.Module]:
    """Blocks of a trunk that is trained in full, gathered one by one."""
    if student.adapter is None:
        inside: set[nn.Module] = set()
        for sequence in student.trunk.modules():
            if isinstance(sequence, nn.Sequential | nn.ModuleList) and sequence not in inside:
                inside |= set(sequence.modules())
                yield from (b for b in sequence if any(p.requires_grad for p in b.parameters()))


def set_up(
    fabric: Fabric, module: nn.Module, optimizer: Optimizer
) -> tuple[_FabricModule, _FabricOptimizer]:
    """Fabric's `setup`, and the optimizer follows where parameters are replaced by their parts."""
    # Sharding makes new parameters, and an optimizer knows its parameters by identity: its groups
    # and its state are moved to the new ones.
    old = [*module.parameters()]
    wrapped = fabric.setup(module, optimizer)
    instead = dict(zip(old, module.parameters(), strict=True))
    for group in optimizer.param_groups:
        group["params"] = [instead[parameter] for parameter in group["params"]]
    memory = cast(dict[Any, dict[str, Any]], optimizer.state)
    for parameter, state in [*memory.items()]:
        del memory[parameter]
        memory[instead[parameter]] = {
            name: _as(instead[parameter], value) if _shape(value) == parameter.shape else value
            for name, value in state.items()
        }
    return wrapped


def reshard(module: nn.Module) -> None:
    """Leaves each process its parts again, after a pass that no backward pass follows."""
    for part in module.modules():
        if hasattr(part, "reshard"):  # PyTorch's own method of a module that it has sharded
            cast(Any, part).reshard()


def unshard(module: nn.Module) -> None:
    """Gives all processes all parameters for good; the module cannot be trained any more."""
    for part in module.modules():
        for name, parameter in [*part.named_parameters(recurse=False)]:
            if _is_sharded(parameter):
                setattr(part, name, nn.Parameter(gather(parameter.detach())))


def whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, those in parts gathered on the CPU; all processes have to call it."""
    return {k: gather(t).cpu() if _is_sharded(t) else t for k, t in tensors.items()}


def gather(tensor: Tensor) -> Tensor:
    """A tensor, whole where it is in parts; all processes have to call it."""
    return cast(Any, tensor).full_tensor() if _is_sharded(tensor) else tensor


def local(tensor: Tensor) -> Tensor:
    """This process's part of a tensor, to be changed in place."""
    return cast(Any, tensor).to_local() if _is_sharded(tensor) else tensor


def local_of(tensor: Tensor, like: Tensor) -> Tensor:
    """This process's part of a tensor that all have whole, sharded as `like` is."""
    return local(_as(like, tensor))


def _as(like: Tensor, tensor: Tensor) -> Tensor:
    if not _is_sharded(like):
        return tensor
    # As in `shard`.
    from torch.distributed.tensor import distribute_tensor

    its = cast(Any, like)
    return distribute_tensor(tensor, its.device_mesh, its.placements, src_data_rank=None)


def _shape(value: Any) -> Any:
    return getattr(value, "shape", None)  # earlier runs' optimizers remembered flags, too


def _is_sharded(tensor: Tensor) -> bool:
    # PyTorch need not have been built for several processes, so its class may not be there.
    return hasattr(tensor, "full_tensor")
