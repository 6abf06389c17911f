"""What decoders say before they choose: the same of the same levels, and gradients reach them."""

from __future__ import annotations

import pytest
import torch

from kivfm_core.objectives.losses import readout_distance
from kivfm_core.registry.registry import get_registry
from kivfm_core.teacher import Decoders

CANVAS = (256, 320)
NAMES = (
    "detector/nano",
    "segmenter/nano",
    "yolox/nano",
    "deeplab/mnv2-voc",
    "timm/resnet18.a1_in1k",
    "torchvision/squeezenet1_0",
    "torchvision/lraspp_mobilenet_v3_large",
    "torchvision/deeplabv3_mobilenet_v3_large",
    "torchvision/fasterrcnn_mobilenet_v3_large_320_fpn",
    "torchvision/retinanet_resnet50_fpn",
    "torchvision/fcos_resnet50_fpn",
    "torchvision/ssdlite320_mobilenet_v3_large",
)


@pytest.mark.parametrize("name", NAMES)
def test_decoders_say_what_their_levels_make_them_say(name: str):
    torch.manual_seed(0)
    spec = get_registry().resolve(name)
    decoders = Decoders(spec).eval().requires_grad_(False)
    read = {level for task in spec.tasks for level in task.levels}

    def levels() -> dict[str, torch.Tensor]:
        return {
            level.name: torch.randn(
                2, level.channels, *(level.grid(CANVAS) if level.kind == "dense" else ())
            )
            for level in spec.levels
        }

    own, other = levels(), {k: v.requires_grad_() for k, v in levels().items()}
    meant = decoders.readout(own)
    assert meant and all(len(said.values) == 2 for said in meant)
    assert float(readout_distance(decoders.readout(own), meant).mean()) == pytest.approx(
        0, abs=1e-3
    )
    distance = readout_distance(decoders.readout(other), meant)
    assert distance.isfinite().all() and (distance > 0).all()
    distance.sum().backward()
    for level in read:
        assert other[level].grad is not None and other[level].grad.abs().max() > 0, level


def test_what_cannot_tell_is_silent():
    spec = get_registry().resolve("sam/nano")
    level = spec.level("dense")
    assert Decoders(spec).readout({"dense": torch.rand(1, level.channels, 8, 8)}) == []
