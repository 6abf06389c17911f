"""Detectors decode what their originals give."""

import pytest
import torch
import transformers as hf

from kivfm_core.data.canvas import normalize, render
from kivfm_core.geometry import Frame

RESNET = {
    "embedding_size": 8,
    "hidden_sizes": [8, 16, 24, 32],
    "depths": [1, 1, 1, 1],
    "layer_type": "basic",
}
DETR = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "num_queries": 7,
    "num_labels": 5,
}
SHORT_SIDE = {"size": {"shortest_edge": 64, "longest_edge": 96}}


def detr():
    backbone = hf.ResNetConfig(**RESNET, out_features=["stage4"])
    config = hf.DetrConfig(**DETR, use_timm_backbone=False, backbone_config=backbone)
    return hf.DetrForObjectDetection(config), hf.DetrImageProcessor(**SHORT_SIDE)


def detr_from_timm():
    """As the hub's own repositories, which name a backbone of timm's."""
    config = hf.DetrConfig(**DETR, use_timm_backbone=True, backbone="resnet18")
    return hf.DetrForObjectDetection(config), hf.DetrImageProcessor(**SHORT_SIDE)


def rt_detr():
    backbone = hf.RTDetrResNetConfig(**RESNET, out_indices=[2, 3, 4])
    config = hf.RTDetrConfig(
        **DETR,
        backbone_config=backbone,
        encoder_hidden_dim=32,
        encoder_in_channels=[16, 24, 32],
        decoder_in_channels=[32, 32, 32],
        anchor_image_size=None,
        num_denoising=3,
    )
    return hf.RTDetrForObjectDetection(config), hf.RTDetrImageProcessor(
        size={"height": 64, "width": 64}
    )


@pytest.mark.parametrize("make", [detr, detr_from_timm, rt_detr])
def test_detects_as_the_original(make, publish, encoded):
    original, processor = make()
    teacher = publish(original, processor)
    x, frame, levels = encoded(teacher)
    found = teacher.decode("detection", levels)
    with torch.no_grad():
        out = original(x)
    content = frame.content
    expected = processor.post_process_object_detection(
        out, threshold=0.0, target_sizes=[(content[3], content[2])]
    )[0]
    assert len(expected["boxes"]) == 7
    torch.testing.assert_close(found.scores[0], expected["scores"])
    assert torch.equal(found.labels[0], expected["labels"])
    torch.testing.assert_close(found.boxes[0], expected["boxes"])
    assert len(teacher.spec.task("detection").labels) == 5


def test_detr_reads_out_its_queries(publish, encoded, read_out):
    original, processor = detr()
    teacher = publish(original, processor)
    x, _, levels = encoded(teacher)
    classes, boxes = read_out(teacher, levels)
    with torch.no_grad():
        out = original(x)
    torch.testing.assert_close(classes.values, out.logits)
    torch.testing.assert_close(boxes.values.sigmoid(), out.pred_boxes)


def test_rt_detr_reads_out_every_place(publish, encoded, read_out):
    original, processor = rt_detr()
    teacher = publish(original, processor)
    x, _, levels = encoded(teacher)
    classes, boxes = read_out(teacher, levels)
    with torch.no_grad():
        out = original(x)
    torch.testing.assert_close(classes.values, out.enc_outputs_class)
    assert boxes.values.shape == (1, 8 * 8 + 4 * 4 + 2 * 2, 4)
    assert boxes.values.isfinite().all() and 0 < boxes.weight.min() < boxes.weight.max() < 1


def test_detr_ignores_padding(publish):
    original, processor = detr()
    teacher = publish(original, processor)
    images = [torch.rand(3, 64, width) for width in (96, 70)]
    # The second's right is padding.
    frames = [Frame((64, w), (0, 0, w, 64), (64, w), (0, 0), (64, 96)) for w in (96, 70)]
    pairs = zip(images, frames, strict=True)
    x = torch.stack([render((255 * i).byte(), f, teacher.spec.input) for i, f in pairs])
    found = teacher.decode("detection", teacher.encode(x, frames))
    mask = torch.ones(2, 64, 96)
    mask[1, :, 70:] = 0
    with torch.no_grad():
        out = original(normalize(x, teacher.spec.input), mask)
    expected = processor.post_process_object_detection(
        out, threshold=0.0, target_sizes=[(64, 96), (64, 70)]
    )
    for boxes, theirs in zip(found.boxes, expected, strict=True):
        torch.testing.assert_close(boxes, theirs["boxes"])


@pytest.mark.parametrize("make", [rt_detr])
def test_canvases_are_the_image_processors(make, publish, same_canvas):
    original, processor = make()
    assert same_canvas(publish(original, processor), processor)


@pytest.mark.parametrize("make", [detr, rt_detr])
def test_the_kit_finds_nothing(make, publish, findings):
    original, processor = make()
    assert findings(publish(original, processor)) == {}
