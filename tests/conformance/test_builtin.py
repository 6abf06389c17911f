"""The built-in teachers as a user names them."""

from pathlib import Path

import pytest
import torch

from kivfm_core.data.canvas import make_canvases
from kivfm_core.errors import UsageError
from kivfm_core.registry.registry import get_registry
from kivfm_core.teacher import load_teacher

DEFAULTS = {
    "clip": "clip/vit-b-16",
    "classifier": "classifier/convnext-base",
    "detector": "detector/maskrcnn-r50",
    "dino": "dino/vit-b-14",
    "dinov3": "dinov3/vit-b-16",
    "eupe": "eupe/vit-b-16",
    "pe": "pe/core-b-16",
    "radio": "radio/vit-so400m-16",
    "sam": "sam/vit-b",
    "segmenter": "segmenter/deeplabv3-r50",
    "siglip": "siglip/vit-b-16",
    "tipsv2": "tipsv2/vit-b-14",
}
ASSETS = Path(__file__).parents[3] / "shared/assets/weights"
FILES = {
    "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k": (
        "vit_tiny_patch16_224.augreg_in21k_ft_in1k.pth"
    ),
    "torchvision/squeezenet1_0": "squeezenet1_0.deepcompression_in1k.torchvision.pth",
}


@pytest.mark.parametrize("family", DEFAULTS)
def test_a_bare_family_is_its_default(family):
    assert get_registry().resolve(family).name == DEFAULTS[family]


@pytest.mark.parametrize("name", ["timm/resnett18", "open_clip/ViT-B-33/openai", "torchvision/x"])
def test_an_unknown_name_under_a_provider_is_a_usage_error(name):
    with pytest.raises(UsageError):
        get_registry().resolve(name)


@pytest.mark.assets
@pytest.mark.parametrize("name", FILES)
def test_real_weights_load_and_classify(name):
    file = ASSETS / FILES[name]
    if not file.is_file():
        pytest.skip(f"no {file}")
    teacher = load_teacher(name, weights=file)
    image = torch.zeros(3, 240, 300, dtype=torch.uint8)
    x, frames = make_canvases([image], teacher.spec.input)
    logits = teacher.decode("classification", teacher.encode(x, frames)).logits
    assert logits.shape == (1, 1000)
    assert logits.isfinite().all()
