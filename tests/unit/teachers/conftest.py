"""Random networks saved as upstream saves them, and random pictures."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from kivfm_core.geometry import Frame, plan_frame
from kivfm_core.spec import TeacherSpec


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def save(state: nn.Module | dict[str, Tensor], name: str = "weights.pth") -> Path:
        path = tmp_path / name
        torch.save(state.state_dict() if isinstance(state, nn.Module) else state, path)
        return path

    return save


@pytest.fixture
def scramble() -> Callable[[nn.Module], nn.Module]:
    """Moves every value off its initial one: zeros and ones would hide what is not connected."""

    def scramble(model: nn.Module) -> nn.Module:
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                noise = 0.02 * torch.randn(tensor.shape)
                tensor.add_(noise.abs() if name.endswith("running_var") else noise)
        return model.eval()

    return scramble


@pytest.fixture
def canvases() -> Callable[..., tuple[Tensor, list[Frame]]]:
    def canvases(spec: TeacherSpec, side: int, batch: int = 2) -> tuple[Tensor, list[Frame]]:
        contract = spec.input.model_copy(update={"size": side, "resize": None})
        return torch.rand(batch, 3, side, side), [plan_frame((side, side), contract)] * batch

    return canvases
