"""Adapters inside the base's own pass: narrow branches beside its modules, zero at the start.

`bottleneck` adds to what each block gives (Houlsby et al., arXiv 1902.00751), `lora` to what a
transformer block's attention projections give (arXiv 2106.09685). Unlike the side adapter they
change what the base's later blocks see; the price is a second pass through the base, with
gradients, which no cache spares, and no maps of other strides.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.adapters.inner_plan import InnerPlan
from kivfm_core.errors import UsageError
from kivfm_core.spec import Attachment


class Bottleneck(nn.Module):
    """What is added to a block's output."""

    def __init__(self, place: Attachment, rank: int) -> None:
        super().__init__()
        self.layout = place.layout
        self.norm = nn.LayerNorm(place.channels)
        self.down = nn.Linear(place.channels, rank)
        self.up = nn.Linear(rank, place.channels)

    def forward(self, x: Tensor) -> Tensor:
        """Of the output, in the block's own layout."""
        if self.layout == "NCHW":
            x = x.movedim(1, -1)
        y = self.up(F.gelu(self.down(self.norm(x))))
        return y.movedim(-1, 1) if self.layout == "NCHW" else y


class LowRank(nn.Module):
    """What is added to a linear map's output."""

    def __init__(self, inputs: int, rank: int, outputs: int) -> None:
        super().__init__()
        self.down = nn.Linear(inputs, rank, bias=False)
        self.up = nn.Linear(rank, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Of the map's input `[..., inputs]`: `[..., outputs]`."""
        return self.up(self.down(x))


class InnerAdapter(nn.Module):
    """Branches that a base's pass goes through while they are attached."""

    def __init__(self, plan: InnerPlan) -> None:
        super().__init__()
        self.plan = plan
        self.paths: list[str] = []
        self.branches = nn.ModuleList()
        for place in plan.places:
            for path, branch in _branches(plan, place):
                self.paths.append(path)
                self.branches.append(branch)
        self.forget()

    def forget(self) -> None:
        """Adds nothing, as at the start."""
        for branch in self.branches:
            for parameter in branch.get_submodule("up").parameters():
                nn.init.zeros_(parameter)

    @contextmanager
    def attached(self, trunk: nn.Module) -> Generator[None]:
        """The base's pass goes through the branches; when this is left the base is as before.

        Raises:
            UsageError: If the base has no such modules, or its pass does not go through them.
        """
        hook = _add_to_output if self.plan.kind == "bottleneck" else _add_from_input
        reached: set[str] = set()
        with ExitStack() as stack:
            for path, branch in zip(self.paths, self.branches, strict=True):
                add = partial(hook, branch, partial(reached.add, path))
                stack.callback(self._module(trunk, path).register_forward_hook(add).remove)
            yield
        # Some read a module's weights, as timm's EVA and BEiT do, and never call it.
        for path in self.paths:
            if path not in reached:
                raise self._no_place(f"its pass does not go through {path}")

    def _module(self, trunk: nn.Module, path: str) -> nn.Module:
        try:
            return trunk.get_submodule(path)
        except AttributeError as error:
            raise self._no_place(f"it has no module {path}") from error

    def _no_place(self, why: str) -> UsageError:
        other = "bottleneck" if self.plan.kind == "lora" else "side"
        return UsageError(
            f"{self.plan.kind} branches have no place in this base: {why}",
            f"--set student.adapter={other}, or another --base",
        )


def _branches(plan: InnerPlan, place: Attachment) -> Iterator[tuple[str, nn.Module]]:
    if plan.kind == "bottleneck":
        yield place.module, Bottleneck(place, plan.rank)
        return
    for name, outputs in (("qkv", 3 * place.channels), ("proj", place.channels)):
        yield f"{place.module}.attn.{name}", LowRank(place.channels, plan.rank, outputs)


def _add_to_output(
    branch: nn.Module, reach: Callable[[], None], module: nn.Module, args: Any, output: Tensor
) -> Tensor:
    reach()
    return output + branch(output)


def _add_from_input(
    branch: nn.Module, reach: Callable[[], None], module: nn.Module, args: Any, output: Tensor
) -> Tensor:
    reach()
    return output + branch(args[0])
