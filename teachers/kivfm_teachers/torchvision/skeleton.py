"""torchvision's models without memory for their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def skeleton(name: str, **kwargs: Any) -> Any:
    """The model of this name on the meta device."""
    import torch
    from torchvision.models import get_model

    try:
        with torch.device("meta"):
            return get_model(name, weights=None, **kwargs).eval()
    except NotImplementedError:  # RegNet computes its widths with tensors
        return get_model(name, weights=None, **kwargs).to("meta").eval()


def load_as_torchvision(model: Any, state: Mapping[str, Any]) -> None:
    """Gives a skeleton its values; torchvision itself brings old files' names up to date.

    Raises:
        ValueError: If they are another architecture's.
    """
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as error:  # its message has a line for every key
        lines = [line.strip() for line in str(error).splitlines()]
        raise ValueError(" ".join(lines[:2])[:300]) from error
