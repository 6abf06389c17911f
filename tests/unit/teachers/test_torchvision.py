"""torchvision's models as teachers give what torchvision's models give."""

import pytest
import torch
from torchvision import models

from kivfm_core.data.canvas import make_canvases, normalize
from kivfm_core.reference import resolve_reference
from kivfm_core.teacher import load_teacher
from kivfm_teachers.torchvision.resolve import resolve

SMALL, LARGE = 128, 224  # the canvas's short side, and the limit of its long side
DETECTORS = {
    "maskrcnn_resnet50_fpn": "roi_heads.box_predictor.cls_score",
    "fasterrcnn_mobilenet_v3_large_320_fpn": "roi_heads.box_predictor.cls_score",
    "retinanet_resnet50_fpn": "head.classification_head.cls_logits",
    "fcos_resnet50_fpn": "head.classification_head.cls_logits",
}
FACTOR = 20.0  # on the class scores, so that a random network finds something


def shrunk(spec):
    contract = spec.input.model_copy(update={"size": SMALL, "max_size": LARGE})
    return spec.model_copy(update={"input": contract})


@pytest.fixture
def upstream(monkeypatch, scramble):
    """A detector as torchvision itself builds and loads it, from random weights."""

    def upstream(spec):
        name = spec.config["model"]
        size = {"min_size": SMALL, "max_size": LARGE}
        # As upstream's training saved it: with the names that frozen batch norms have.
        model = scramble(models.get_model(name, weights=None, weights_backbone=None))
        model.get_submodule(DETECTORS[name]).weight.data.mul_(FACTOR)
        if hasattr(model, "roi_heads"):
            model.get_submodule(DETECTORS[name]).bias.data[0] = -1e4  # and no background
        if name.startswith("maskrcnn"):  # whose random features explode
            for weight in model.backbone.fpn.layer_blocks.parameters():
                weight.data.mul_(1e-3)
        state = model.state_dict()
        if "frozen_norm_eps" in spec.config:
            state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
        enum = models.get_model_weights(name)
        monkeypatch.setattr(enum, "get_state_dict", lambda *_a, **_k: dict(state))
        return state, models.get_model(name, weights=enum.DEFAULT, **size).eval()

    return upstream


def pictures():
    """Two sizes that share a canvas, so that one has padding."""
    low = torch.randint(0, 256, (2, 3, 8, 12), dtype=torch.float32)
    return [
        torch.nn.functional.interpolate(x[None], size, mode="bicubic")[0].clamp(0, 255).byte()
        for x, size in zip(low, ((150, 210), (150, 215)), strict=True)
    ]


@pytest.mark.parametrize("name", DETECTORS)
def test_detects_as_the_original(name, save, upstream):
    spec = shrunk(resolve(f"torchvision/{name}"))
    state, original = upstream(spec)
    teacher = load_teacher(spec, weights=save(state))
    images = pictures()
    with torch.no_grad():
        expected = original([image.float() / 255 for image in images])
    x, frames = make_canvases(images, spec.input)
    levels = teacher.encode(x, frames)
    for level in spec.levels:
        assert levels[level.name].shape[1:] == (level.channels, *level.grid(frames[0].canvas))

    # On the same canvas: torchvision's own pieces, one after the other.
    with torch.no_grad():
        maps = original.backbone(normalize(x, spec.input))
    for key, value in spec.config["keys"].items():
        assert torch.equal(levels[key], maps[value])

    # From file to original pixels.
    found = teacher.decode("detection", levels).to_original(frames)
    assert sum(len(f["boxes"]) for f in expected) > 5
    for mine, theirs in zip(found, expected, strict=True):
        assert matched(mine, theirs) > 0.9


def matched(mine, theirs):
    """The share of their detections that we give, too: a random network's scores are near ties."""
    close = (
        (mine["labels"][:, None] == theirs["labels"])
        & ((mine["scores"][:, None] - theirs["scores"]).abs() < 1e-3)
        & ((mine["boxes"][:, None] - theirs["boxes"]).abs().amax(-1) < 0.1)
    )
    found = close.any(0)
    if "masks" in theirs and len(close):
        partner = mine["masks"][close.float().argmax(0)]
        found &= (partner == (theirs["masks"][:, 0] > 0.5)).float().mean((1, 2)) > 0.99
    return found.float().mean().nan_to_num(1.0)


def test_mask_rcnn_on_the_same_canvas_is_the_original_bit_for_bit(save, upstream):
    spec = shrunk(resolve("torchvision/maskrcnn_resnet50_fpn"))
    state, original = upstream(spec)
    teacher = load_teacher(spec, weights=save(state))
    x, frames = make_canvases(pictures()[:1], spec.input)
    h, w = frames[0].content[3], frames[0].content[1] + frames[0].content[2]
    found = teacher.decode("instance-segmentation", teacher.encode(x, frames))
    # A picture of the canvas's own content size is not resized by the original.
    original.transform.min_size, original.transform.max_size = (min(h, w),), max(h, w)
    pasted = original.transform.postprocess
    original.transform.postprocess = lambda result, *_: result  # box masks, not pasted
    with torch.no_grad():
        expected = original([x[0, :, :h, :w]])[0]
    original.transform.postprocess = pasted
    assert len(expected["boxes"]) > 5
    assert torch.equal(found.boxes[0], expected["boxes"])
    assert torch.equal(found.scores[0], expected["scores"])
    assert torch.equal(found.labels[0], expected["labels"])
    assert torch.equal(found.masks[0], expected["masks"][:, 0])


@pytest.mark.parametrize("name", ["ssdlite320_mobilenet_v3_large", "ssd300_vgg16"])
def test_ssd_takes_the_canvas_that_it_was_made_for(name):
    spec = resolve(f"torchvision/{name}")
    with torch.device("meta"):
        encoder = resolve_reference(spec.encoder)(spec)
    side = spec.input.size
    levels = encoder(torch.empty(1, 3, side, side, device="meta"))
    for level in spec.levels:
        assert levels[level.name].shape[1:] == (level.channels, *level.grid((side, side)))
    with pytest.raises(ValueError, match=f"{side} x {side}"):
        encoder(torch.empty(1, 3, 2 * side, 2 * side, device="meta"))


def test_ssd_on_the_same_canvas_is_the_original_bit_for_bit(save, scramble):
    name = "ssdlite320_mobilenet_v3_large"
    spec = resolve(f"torchvision/{name}")
    original = scramble(models.get_model(name, weights=None, weights_backbone=None))
    teacher = load_teacher(spec, weights=save(original))
    x, frames = make_canvases(pictures()[:1], spec.input)
    levels = teacher.encode(x, frames)
    for level in spec.levels:
        assert levels[level.name].shape[1:] == (level.channels, *level.grid((320, 320)))
    found = teacher.decode("detection", levels)
    with torch.no_grad():
        expected = original(list(x))[0]
    assert len(expected["boxes"]) > 5
    for key in ("boxes", "scores", "labels"):
        assert torch.equal(getattr(found, key)[0], expected[key])


@pytest.mark.parametrize(
    "name", models.list_models(module=models.detection) + models.list_models(models.segmentation)
)
def test_every_detector_and_segmenter_has_a_name(name):
    spec = resolve(f"torchvision/{name}")
    assert all(level.kind == "dense" for level in spec.levels)
    assert [task.task for task in spec.tasks][-1] in (
        "detection",
        "instance-segmentation",
        "semantic-segmentation",
    )


def test_takes_files_with_the_names_of_old_versions(save, upstream):
    spec = shrunk(resolve("torchvision/maskrcnn_resnet50_fpn"))
    state, _ = upstream(spec)
    old = {}
    for key, value in state.items():
        key = key.replace("_blocks.0.0.", "_blocks.0.").replace(
            "rpn.head.conv.0.0.", "rpn.head.conv."
        )
        old[key.replace("mask_head.0.0.", "mask_head.mask_fcn1.")] = value
    old["backbone.body.bn1.num_batches_tracked"] = torch.tensor(0)
    assert old.keys() != state.keys()
    load_teacher(spec, weights=save(old))


@pytest.mark.parametrize(
    "name", ["deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large", "fcn_resnet50"]
)
def test_segments_as_the_original(name, save, scramble):
    spec = resolve(f"torchvision/{name}")
    spec = spec.model_copy(update={"input": spec.input.model_copy(update={"size": 97})})
    aux = {} if "lraspp" in name else {"aux_loss": True}
    original = scramble(models.get_model(name, weights=None, weights_backbone=None, **aux))
    teacher = load_teacher(spec, weights=save(original))
    image = pictures()[0]
    x, frames = make_canvases([image], spec.input)
    found = teacher.decode("semantic-segmentation", teacher.encode(x, frames))
    with torch.no_grad():
        expected = original(normalize(x, spec.input))["out"]
    assert torch.equal(found.logits, expected)

    # From file to original pixels: torchvision's preset, and its logits brought back.
    preset = models.get_model_weights(name).DEFAULT.transforms(resize_size=97)
    with torch.no_grad():
        logits = original(preset(image)[None])["out"]
    whole = torch.nn.functional.interpolate(logits, image.shape[1:], mode="bilinear")[0]
    mine = found.to_original(frames)[0]
    assert (mine.argmax(0) == whole.argmax(0)).float().mean() > 0.99


@pytest.mark.parametrize(
    "name",
    ["squeezenet1_1", "resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "regnet_y_400mf"],
)
def test_classifies_as_the_original(name, save, scramble, canvases):
    spec = resolve(f"torchvision/{name}")
    original = scramble(models.get_model(name, weights=None))
    teacher = load_teacher(spec, weights=save(original))
    x, frames = canvases(spec, 224, batch=1)
    levels = teacher.encode(x, frames)
    for level in spec.levels:
        shape = level.grid((224, 224)) if level.kind == "dense" else ()
        assert levels[level.name].shape[1:] == (level.channels, *shape)
    with torch.no_grad():
        expected = original(normalize(x, spec.input))
    assert torch.equal(teacher.decode("classification", levels).logits, expected)


def test_unknown_names_are_answered_with_near_ones():
    with pytest.raises(LookupError, match="resnet18"):
        resolve("torchvision/resnet17")
    with pytest.raises(LookupError, match="timm"):
        resolve("torchvision/inception_v3")
