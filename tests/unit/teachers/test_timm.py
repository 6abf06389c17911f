"""timm's models as teachers give what timm's models give."""

import pytest
import timm
import torch
from declared import check

from kivfm_core.data.canvas import make_canvases, normalize
from kivfm_core.reference import resolve_reference
from kivfm_core.teacher import Decoders, load_teacher
from kivfm_teachers.timm.resolve import resolve

NAMES = {
    "vit_tiny_patch16_224": 224,
    "resnet10t": 96,
    "convnext_atto": 96,
    "mobilenetv3_small_050": 64,
    "mobilenetv2_050": 64,
    "swin_tiny_patch4_window7_224": 224,
}


@pytest.mark.parametrize("name", NAMES)
def test_classifies_as_the_original(name, save, scramble, canvases):
    spec = resolve(f"timm/{name}")
    original = scramble(timm.create_model(spec.config["model"], pretrained=False))
    teacher = load_teacher(spec, weights=save(original))
    x, frames = canvases(spec, NAMES[name])
    levels = teacher.encode(x, frames)
    with torch.no_grad():
        expected = original(normalize(x, spec.input))
    assert torch.equal(teacher.decode("classification", levels).logits, expected)


def test_a_head_for_distillation_is_left_out(save, scramble):
    spec = resolve("timm/levit_128s")
    assert not spec.tasks
    original = scramble(timm.create_model(spec.config["model"], pretrained=False))
    teacher = load_teacher(spec, weights=save(original))
    for name, value in teacher.encoder.model.state_dict().items():
        assert torch.equal(value, original.state_dict()[name])


@pytest.mark.parametrize("name", NAMES)
def test_levels_and_attachments_are_as_declared(name):
    spec = resolve(f"timm/{name}")
    encoder = resolve_reference(spec.encoder)(spec).eval()
    check(spec, encoder, NAMES[name], "cpu")


def test_the_base_of_the_real_run():
    spec = resolve("timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k")
    assert [p.module for p in spec.attachments] == [f"model.blocks.{i}" for i in range(12)]
    assert {(v.name, v.channels, v.stride) for v in spec.levels} == {
        ("global", 192, None),
        ("dense", 192, 16),
    }
    assert spec.role == "general"
    assert spec.task("classification").labels == "imagenet-1k"
    assert spec.weights.license == "Apache-2.0"


def test_without_a_tag_the_default_weights_are_named():
    assert resolve("timm/resnet18").name == "timm/resnet18.a1_in1k"


@pytest.mark.parametrize("name", ["resnett18", "resnet18.a1_in2k"])
def test_unknown_names_are_answered_with_near_ones(name):
    with pytest.raises(LookupError, match="resnet18"):
        resolve(f"timm/{name}")


def test_a_vit_takes_canvases_of_other_sizes(save, scramble, canvases):
    spec = resolve("timm/vit_tiny_patch16_224")
    original = scramble(timm.create_model(spec.config["model"], dynamic_img_size=True))
    teacher = load_teacher(spec, weights=save(original))
    x, frames = canvases(spec, 96)
    with torch.no_grad():
        expected = original(normalize(x, spec.input))
    found = teacher.decode("classification", teacher.encode(x, frames)).logits
    assert torch.equal(found, expected)


def test_the_head_stands_without_the_encoder():
    assert sum(p.numel() for p in Decoders(resolve("timm/resnet10t")).parameters()) == 513_000


def test_pictures_become_the_canvases_that_timm_makes():
    from PIL import Image

    from kivfm_core.data.canvas import to_tensor

    spec = resolve("timm/vit_tiny_patch16_224")
    image = Image.radial_gradient("L").resize((411, 300)).convert("RGB")
    model = timm.create_model("vit_tiny_patch16_224")
    config = timm.data.resolve_model_data_config(model)
    expected = timm.data.create_transform(**config)(image)
    found = normalize(make_canvases([to_tensor(image)], spec.input)[0], spec.input)[0]
    # timm resizes in 8 bits, which rounds; 1/255 is 0.008 after normalization
    assert (found - expected).abs().max() < 0.012
