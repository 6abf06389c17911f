"""The module of every adapter: what the student calls, whatever the kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from kivfm_core.adapters.plan import AdapterPlan
from kivfm_core.layers.trunk_output import TrunkOutput

# Levels by name from the frozen base and its input `[B, 3, H, W]`.
Encode = Callable[[nn.Module, Tensor], Mapping[str, Tensor]]
# Runs the base on the canvases as an `Encode` says, without attachments.
RunBase = Callable[[Encode], TrunkOutput]


class Adapter(nn.Module):
    """What is trained on a frozen base; this one adds nothing.

    Untrained, every adapter leaves the base's `x` and `V` exactly as they are.
    The base belongs to the student: no adapter holds it, or changes its modules for good.

    Args:
        plan: Of the adapter's kind.
        trunk: The base, for kinds whose parameters follow its own.
    """

    def __init__(self, plan: AdapterPlan, trunk: nn.Module | None = None) -> None:
        super().__init__()

    def adapt(self, canvas: Tensor, trunk: TrunkOutput, run_base: RunBase) -> dict[str, Tensor]:
        """The features that it adds to the base's, or puts in their place, by name.

        Args:
            canvas: Normalized canvases `[B, 3, H, W]`.
            trunk: The frozen base's output, with the maps of the plan's attachments, in its order.
            run_base: Runs the base once more, for adapters that change what it computes.
        """
        return {}

    def forget(self) -> None:
        """Changes nothing, as at the start."""

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Computes activations again for the gradient instead of storing them; timm's name."""
