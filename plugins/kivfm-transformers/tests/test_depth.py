"""Depth estimators decode what their originals give."""

import pytest
import torch
import transformers as hf

from kivfm_core.data.canvas import make_canvases, normalize
from kivfm_core.errors import UsageError
from kivfm_core.registry.registry import get_registry
from kivfm_transformers.depth_anything import normalized

NAME = "transformers/org/tiny"
LAYERS = {"num_hidden_layers": 4, "num_attention_heads": 2}
NECK = {"neck_hidden_sizes": [8, 12, 16, 20], "fusion_hidden_size": 16}


def dinov2():
    return hf.Dinov2Config(
        **LAYERS,
        hidden_size=24,
        patch_size=14,
        image_size=70,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
    )


def processor(**settings):
    return hf.DPTImageProcessor(
        **{"size": {"height": 64, "width": 64}, "do_resize": True, **settings}
    )


def depth_anything(kind="relative"):
    config = hf.DepthAnythingConfig(
        backbone_config=dinov2(),
        reassemble_hidden_size=24,
        **NECK,
        head_hidden_size=8,
        depth_estimation_type=kind,
        max_depth=20 if kind == "metric" else 1,
    )
    size = {"size": {"height": 70, "width": 70}}
    return hf.DepthAnythingForDepthEstimation(config), processor(
        **size, keep_aspect_ratio=True, ensure_multiple_of=14
    )


def metric():
    return depth_anything("metric")


def dpt(readout="project"):
    config = hf.DPTConfig(
        **LAYERS,
        **NECK,
        hidden_size=24,
        intermediate_size=48,
        image_size=64,
        patch_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        readout_type=readout,
    )
    return hf.DPTForDepthEstimation(config), processor()


def adding():
    return dpt("add")


def ignoring():
    return dpt("ignore")


def dpt_dinov2():
    config = hf.DPTConfig(
        backbone_config=dinov2(),
        hidden_size=24,
        **NECK,
        readout_type="project",
    )
    return hf.DPTForDepthEstimation(config), processor(
        do_resize=False, size_divisor=14, do_pad=True
    )


ALL = [depth_anything, metric, dpt, adding, ignoring, dpt_dinov2]


@pytest.mark.parametrize("make", ALL)
def test_depth_as_the_original(make, publish, encoded):
    original, processor = make()
    teacher = publish(original, processor)
    assert [level.kind for level in teacher.spec.levels] == ["dense"] * 4
    x, frame, levels = encoded(teacher)
    if make in (dpt, adding, ignoring):
        assert x.shape[2] == x.shape[3]  # the original takes no other
    with torch.no_grad():
        expected = original(x).predicted_depth
    found = teacher.decode("depth", levels)
    assert found.depth.std() > 0
    torch.testing.assert_close(found.depth, expected)
    assert found.kind == ("metric" if make in (metric, dpt_dinov2) else "relative")
    (there,) = found.to_original([frame])
    assert there.depth.shape == frame.original


def test_dpt_says_itself_if_it_is_metric(publish):
    original, processor = dpt()
    original.config.depth_estimation_type = "metric"
    teacher = publish(original, processor)
    assert teacher.decoders.parts["depth"].kind == "metric"


@pytest.mark.parametrize("make", ALL)
def test_readouts_have_no_scale_of_their_own(make, publish, encoded, read_out):
    original, processor = make()
    teacher = publish(original, processor)
    x, _, levels = encoded(teacher)
    (numbers,) = read_out(teacher, levels)
    with torch.no_grad():
        depth = original(x).predicted_depth
    wanted = depth.log() if make in (metric, dpt_dinov2) else normalized(depth)
    torch.testing.assert_close(numbers.values[..., 0], wanted, rtol=1e-3, atol=1e-3)


def test_normalized_maps_do_not_know_scale_and_shift():
    depth = torch.rand(2, 5, 7)
    torch.testing.assert_close(normalized(3 * depth + 2), normalized(depth), rtol=1e-4, atol=1e-4)
    assert normalized(torch.ones(1, 3, 3)).eq(0).all()


@pytest.mark.parametrize(
    ("make", "size"),
    [(depth_anything, (105, 168)), (depth_anything, (70, 98)), (dpt, (90, 120)), (dpt, (91, 127))],
)
def test_canvases_are_the_image_processors(make, size, publish, same_canvas):
    original, processor = make()
    assert same_canvas(publish(original, processor), processor, size)


def test_where_the_long_side_is_no_multiple_it_is_padded(publish):
    original, processor = depth_anything()
    teacher = publish(original, processor)
    image = torch.randint(0, 256, (3, 90, 120), dtype=torch.uint8)
    x, (frame,) = make_canvases([image], teacher.spec.input)
    assert (frame.resized, frame.canvas) == ((70, 93), (70, 98))
    assert normalize(x, teacher.spec.input)[..., 93:].abs().max() < 1e-5  # the mean
    theirs = processor(images=image, return_tensors="pt")["pixel_values"]
    assert theirs.shape[2:] == (70, 98)  # stretched


@pytest.mark.parametrize("make", ALL)
def test_the_kit_finds_nothing(make, publish, findings):
    original, processor = make()
    assert findings(publish(original, processor)) == {}


def hybrid():
    backbone = hf.BitConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8], depths=[1, 1, 1], num_groups=2,
        out_features=["stage1", "stage2", "stage3"],
    )  # fmt: skip
    config = hf.DPTConfig(
        is_hybrid=True, backbone_config=backbone, backbone_featmap_shape=[1, 8, 4, 4],
        **LAYERS, **NECK, hidden_size=24, image_size=64, patch_size=16,
    )  # fmt: skip
    return hf.DPTForDepthEstimation(config)


def test_other_backbones_are_refused_naming_those_that_are_not(publish, folder):
    with pytest.raises(UsageError, match="the backbone bit") as caught:
        publish(hybrid(), processor())
    assert caught.value.hint == "supported backbones: its own, dinov2"
    with pytest.raises(UsageError, match="the backbone bit"):
        get_registry().resolve(NAME)
