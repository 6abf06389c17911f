"""Adapters inside the base's own pass: narrow branches beside its modules, zero at the start.

`bottleneck` adds to the outputs of whole blocks, `lora` to those of attention projections. Unlike
the side adapter they change the inputs of the base's later blocks. The price is a second pass
through the base, with gradients, which no cache saves; and they offer no maps of other strides.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.adapters.adapter import Adapter, RunBase
from kivfm_core.adapters.inner_plan import InnerPlan
from kivfm_core.errors import UsageError
from kivfm_core.layers.trunk_output import TrunkOutput
from kivfm_core.spec import Attachment


class Bottleneck(nn.Module):
    """A branch that is added to a block's output."""

    def __init__(self, block: Attachment, rank: int) -> None:
        super().__init__()
        self.layout = block.layout
        self.norm = nn.LayerNorm(block.channels)
        self.down = nn.Linear(block.channels, rank)
        self.up = nn.Linear(rank, block.channels)

    def forward(self, x: Tensor) -> Tensor:
        """From the block's output to what is added, both in the block's own layout."""
        if self.layout == "NCHW":
            x = x.movedim(1, -1)
        y = self.up(F.gelu(self.down(self.norm(x))))
        return y.movedim(-1, 1) if self.layout == "NCHW" else y


class LowRank(nn.Module):
    """A branch that is added to a linear map's output."""

    def __init__(self, inputs: int, rank: int, outputs: int) -> None:
        super().__init__()
        self.down = nn.Linear(inputs, rank, bias=False)
        self.up = nn.Linear(rank, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """From the map's input `[..., inputs]` to what is added, `[..., outputs]`."""
        return self.up(self.down(x))


class InnerAdapter(Adapter):
    """Branches that are part of a base's pass while they are attached."""

    def __init__(self, plan: InnerPlan, trunk: nn.Module | None = None) -> None:
        super().__init__(plan)
        self.plan = plan
        self.paths: list[str] = []
        self.branches = nn.ModuleList()
        for block in plan.blocks:
            for path, branch in self._branches(block):
                self.paths.append(path)
                self.branches.append(branch)
        self.forget()

    def forget(self) -> None:
        """Adds nothing, as at the start."""
        for branch in self.branches:
            for parameter in branch.get_submodule("up").parameters():
                nn.init.zeros_(parameter)

    def adapt(self, canvas: Tensor, trunk: TrunkOutput, run_base: RunBase) -> dict[str, Tensor]:
        """`x` and `V` of a second pass through the base, with the branches."""
        return run_base(self._encode).features

    def _encode(self, trunk: nn.Module, x: Tensor) -> Mapping[str, Tensor]:
        with self.attached(trunk):
            return trunk(x)

    @contextmanager
    def attached(self, trunk: nn.Module) -> Generator[None]:
        """Makes the branches part of the base's pass; afterwards the base is as before.

        Raises:
            UsageError: If the base has no such modules, or its pass does not go through them.
        """
        reached: set[str] = set()
        with ExitStack() as stack:
            for path, branch in zip(self.paths, self.branches, strict=True):
                add = partial(self._hook, branch, partial(reached.add, path))
                stack.callback(self._module(trunk, path).register_forward_hook(add).remove)
            yield
        # Some models read a module's weights, as timm's EVA and BEiT do, and never call it.
        for path in self.paths:
            if path not in reached:
                raise self._no_place(f"its pass does not go through {path}")

    def _module(self, trunk: nn.Module, path: str) -> nn.Module:
        try:
            return trunk.get_submodule(path)
        except AttributeError as error:
            raise self._no_place(f"it has no module {path}") from error

    def _no_place(self, why: str) -> UsageError:
        return UsageError(
            f"{self.plan.kind} branches have no place in this base: {why}",
            f"--set student.adapter={self.plan.other}, or another --base",
        )

    def _branches(self, block: Attachment) -> Iterator[tuple[str, nn.Module]]:
        """The branches at a block, each with the path of the module that it stands beside."""
        raise NotImplementedError

    @staticmethod
    def _hook(
        branch: nn.Module, reach: Callable[[], None], module: nn.Module, args: Any, output: Tensor
    ) -> Tensor:
        """Adds a branch to a module's output; a forward hook once the first two are bound."""
        raise NotImplementedError


class BottleneckAdapter(InnerAdapter):
    """Branches that read and change the outputs of blocks."""

    def _branches(self, block: Attachment) -> Iterator[tuple[str, nn.Module]]:
        yield block.module, Bottleneck(block, self.plan.rank)

    @staticmethod
    def _hook(
        branch: nn.Module, reach: Callable[[], None], module: nn.Module, args: Any, output: Tensor
    ) -> Tensor:
        reach()
        return output + branch(output)


class LoraAdapter(InnerAdapter):
    """Branches that read the inputs of attention projections, and change their outputs."""

    def _branches(self, block: Attachment) -> Iterator[tuple[str, nn.Module]]:
        for name, outputs in (("qkv", 3 * block.channels), ("proj", block.channels)):
            branch = LowRank(block.channels, self.plan.rank, outputs)
            yield f"{block.module}.attn.{name}", branch

    @staticmethod
    def _hook(
        branch: nn.Module, reach: Callable[[], None], module: nn.Module, args: Any, output: Tensor
    ) -> Tensor:
        reach()
        return output + branch(args[0])
