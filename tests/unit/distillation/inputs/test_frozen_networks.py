"""The inputs of frozen networks: canvases on the device, shared ones moved once."""

from __future__ import annotations

import pytest
import torch
from cached import stream

from kivfm_core.config import RunConfig


@pytest.mark.parametrize(("size", "times"), [(96, 1), (64, 3)])
def test_a_canvas_that_several_networks_share_is_moved_once(
    config: RunConfig, size: int, times: int, monkeypatch
):
    values = config.model_dump(by_alias=True, exclude_none=True)
    values["data"] |= {"image_size": [size], "teacher_size": 96}
    made = stream(RunConfig.model_validate(values))
    canvas, targets, _ = next(iter(made.steps(0, 1)))
    moved: list[torch.Tensor] = []

    def move(tensor: torch.Tensor) -> torch.Tensor:
        moved.append(tensor)
        return tensor.clone()

    monkeypatch.setattr(made.frozen, "to_device", move)
    again, same, _ = next(iter(made.steps(0, 1)))
    assert len(moved) == times  # once for the canvas, the teacher and the trunk if they share it
    assert torch.equal(canvas, again)
    assert all(torch.equal(x, same.named()[name]) for name, x in targets.named().items())


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_all_images_of_a_mosaic_are_named(config: RunConfig, mosaic: float):
    values = config.model_dump(by_alias=True, exclude_none=True)
    values["data"]["mosaic"] = mosaic
    made = stream(RunConfig.model_validate(values))
    names = [*made.dataset.images]
    for line in made.image_names(0):
        parts = line.split(" + ")
        assert len(parts) == (4 if mosaic else 1) and set(parts) <= set(names)
