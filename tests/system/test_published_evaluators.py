"""Scores equal those of timm's and torchvision's own evaluation, on real networks and photos.

The references share no code with kivfm: each library's own model, transforms and loop.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from PIL import Image
from torch import nn

from kivfm_cli.app import main

ASSETS = Path(__file__).parents[2].parent / "shared" / "assets"
DATA = ASSETS / "data/imagenet_photos"
# Every seventh of the 700 photos.
LIMIT = 100

pytestmark = [
    pytest.mark.assets,
    pytest.mark.skipif(not ASSETS.is_dir(), reason="../shared/assets is not here"),
]


def timms() -> tuple[nn.Module, Callable[[Image.Image], Any]]:
    """timm's network, with the transform of its validation."""
    net = timm.create_model("vit_tiny_patch16_224.augreg_in21k_ft_in1k")
    config = timm.data.resolve_model_data_config(net)
    return net, timm.data.create_transform(**config, is_training=False)


def torchvisions() -> tuple[nn.Module, Callable[[Image.Image], Any]]:
    """torchvision's network, with the transform of its weights."""
    net = torchvision.models.squeezenet1_0()
    return net, torchvision.models.SqueezeNet1_0_Weights.DEFAULT.transforms()


@pytest.mark.parametrize(
    ("name", "file", "theirs"),
    [
        (
            "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k",
            "vit_tiny_patch16_224.augreg_in21k_ft_in1k.pth",
            timms,
        ),
        (
            "torchvision/squeezenet1_0",
            "squeezenet1_0.deepcompression_in1k.torchvision.pth",
            torchvisions,
        ),
    ],
    ids=("timm", "torchvision"),
)
def test_top1_is_that_of_the_librarys_own_evaluation(
    capsys: pytest.CaptureFixture[str], name: str, file: str, theirs: Any
):
    weights = ASSETS / "weights" / file
    line = f"evaluate {name} --weights {weights} --data classification={DATA}"
    assert main([*line.split(), "--limit", str(LIMIT), "--accelerator", "cpu", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]

    net, transform = theirs()
    net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    net.eval()
    labels = json.loads((DATA / "labels.json").read_text())
    names = list(labels)
    taken = [names[i * len(names) // LIMIT] for i in range(LIMIT)]
    right = 0
    with torch.inference_mode():
        for photo in taken:
            image = transform(Image.open(DATA / photo).convert("RGB"))
            right += int(net(image[None]).argmax()) == labels[photo]
    assert row["pictures"] == LIMIT
    assert row["teacher_score"] == right / LIMIT
