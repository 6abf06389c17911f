"""Two processes that share every step learn what one learns alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from apart import distill_together
from steps import first_gradients


@pytest.mark.parametrize(
    ("recipe", "micro_batch"), [("kpu", None), ("kpu-joint-learned", None), ("unic", 1)]
)
def test_two_processes_equal_one(
    values: dict, tmp_path: Path, recipe: str, micro_batch: int | None
):
    values["recipe"] = recipe
    values["optim"] |= {"steps": 1}
    distill_together(values, tmp_path / "one", 1)
    values["engine"] = {"devices": 2, "strategy": "ddp"}
    values["optim"] |= {"micro_batch": micro_batch} if micro_batch else {}
    distill_together(values, tmp_path / "two", 2)
    one, two = first_gradients(tmp_path / "one"), first_gradients(tmp_path / "two")
    scale = max(float(tensor.abs().max()) for tensor in one.values())
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=1e-5 * scale)
