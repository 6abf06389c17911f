"""From file to canvas as upstream's own preprocessing does it, whatever the model asks for."""

from __future__ import annotations

import numpy as np
import open_clip
import pytest
import timm
import torch
from PIL import Image
from torch import Tensor
from torchvision import models

from kivfm_core.data.canvas import make_canvases, normalize, to_tensor
from kivfm_core.registry.registry import get_registry
from kivfm_core.scenes.render import render
from kivfm_core.spec import InputContract

# Gray levels. Upstream resizes in 8 bits: it rounds and clips twice, once across, once along.
LEVELS = 2.5


@pytest.fixture(scope="module", params=[(411, 301), (259, 500)], ids=str)
def picture(request: pytest.FixtureRequest) -> Image.Image:
    """A scene, of odd sides."""
    scene = Image.fromarray(render(0, 3, "paper").image)
    return scene.resize(request.param, Image.Resampling.BICUBIC)


def assert_same(picture: Image.Image, name: str, expected: Tensor) -> None:
    contract: InputContract = get_registry().resolve(name).input
    found = normalize(make_canvases([to_tensor(picture)], contract)[0], contract)[0]
    assert found.shape == expected.shape
    gray = (found - expected) * torch.tensor(contract.std).view(3, 1, 1) * 255 / contract.scale
    assert gray.abs().max() < LEVELS
    assert gray.abs().mean() < 0.5


@pytest.mark.parametrize(
    "name",
    [
        "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
        "vit_base_patch14_reg4_dinov2.lvd142m",
        "resnet18.a1_in1k",
        "convnext_tiny.fb_in22k",
        "mobilenetv3_large_100.ra_in1k",
        "efficientnet_b1.ft_in1k",
        "swin_tiny_patch4_window7_224.ms_in1k",
    ],
)
def test_timm(name: str, picture: Image.Image):
    known = timm.get_pretrained_cfg(name)
    assert known is not None
    config = timm.data.resolve_data_config({}, pretrained_cfg=known.to_dict())
    assert_same(picture, f"timm/{name}", timm.data.create_transform(**config)(picture))


@pytest.mark.parametrize(
    "name",
    [
        "ViT-B-32/laion2b_s34b_b79k",
        "ViT-L-14-336/openai",
        "convnext_base/laion400m_s13b_b51k",
        "ViT-B-16-SigLIP/webli",
        "ViT-B-16-quickgelu/metaclip_400m",
    ],
)
def test_open_clip(name: str, picture: Image.Image):
    model, tag = name.split("/")
    known = open_clip.get_pretrained_cfg(model, tag)
    keys = ("mean", "std", "resize_mode", "interpolation")
    transform = open_clip.image_transform(
        open_clip.get_model_config(model)["vision_cfg"]["image_size"],
        is_train=False,
        **{key: known[key] for key in keys if known.get(key)},
    )
    assert_same(picture, f"open_clip/{name}", transform(picture))


@pytest.mark.parametrize(
    "name",
    ["resnet50", "squeezenet1_0", "vit_b_16", "efficientnet_b0", "deeplabv3_mobilenet_v3_large"],
)
def test_torchvision(name: str, picture: Image.Image):
    transform = models.get_model_weights(name).DEFAULT.transforms()
    assert_same(picture, f"torchvision/{name}", transform(picture))


def test_sam(picture: Image.Image):
    transforms = pytest.importorskip("segment_anything.utils.transforms")
    contract = get_registry().resolve("sam").input
    resized = torch.from_numpy(transforms.ResizeLongestSide(1024).apply_image(np.array(picture)))
    pixels = normalize(resized.permute(2, 0, 1)[None] / 255, contract)[0]
    h, w = pixels.shape[1:]
    # As the authors' model prepares it: zeros beside and below, after normalization.
    assert_same(picture, "sam", torch.nn.functional.pad(pixels, (0, 1024 - w, 0, 1024 - h)))
