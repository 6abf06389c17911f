"""Detectors, segmenters and promptable models: each decodes what its original gives."""

import pytest
import torch
import transformers as hf

from kivfm_core.data.canvas import make_canvases, normalize, render
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
SQUARE = {"size": {"height": 64, "width": 64}}


def encoded(teacher):
    """A normalized canvas, its frame, and levels that are as declared."""
    image = torch.randint(0, 256, (3, 90, 120), dtype=torch.uint8)
    x, frames = make_canvases([image], teacher.spec.input)
    levels = teacher.encode(x, frames)
    for level in teacher.spec.levels:
        assert levels[level.name].shape[1:] == (level.channels, *level.grid(frames[0].canvas))
    return normalize(x, teacher.spec.input), frames, levels


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
    return hf.RTDetrForObjectDetection(config), hf.RTDetrImageProcessor(**SQUARE)


@pytest.mark.parametrize("make", [detr, detr_from_timm, rt_detr])
def test_detects_as_the_original(make, publish):
    original, processor = make()
    teacher = publish(original, processor)
    x, frames, levels = encoded(teacher)
    found = teacher.decode("detection", levels)
    with torch.no_grad():
        out = original(x)
    content = frames[0].content
    expected = processor.post_process_object_detection(
        out, threshold=0.0, target_sizes=[(content[3], content[2])]
    )[0]
    assert len(expected["boxes"]) == 7
    torch.testing.assert_close(found.scores[0], expected["scores"])
    assert torch.equal(found.labels[0], expected["labels"])
    torch.testing.assert_close(found.boxes[0], expected["boxes"])
    assert len(teacher.spec.task("detection").labels) == 5


def test_detr_does_not_look_at_padding(publish):
    original, processor = detr()
    teacher = publish(original, processor)
    images = [torch.rand(3, 64, width) for width in (96, 70)]
    frames = [
        Frame((64, w), (0, 0, w, 64), (64, w), (0, 0), (64, 96)) for w in (96, 70)
    ]  # the second's right is padding
    x = torch.stack(
        [render((255 * i).byte(), f, teacher.spec.input) for i, f in zip(images, frames)]
    )
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


def segformer():
    config = hf.SegformerConfig(
        hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        num_labels=5,
    )
    return hf.SegformerForSemanticSegmentation(config), hf.SegformerImageProcessor(**SQUARE)


def mask2former():
    backbone = hf.SwinConfig(
        embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = hf.Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=32,
        dim_feedforward=32,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=7,
        num_labels=5,
    )
    processor = hf.Mask2FormerImageProcessor(size={"height": 384, "width": 384})
    return hf.Mask2FormerForUniversalSegmentation(config), processor


def test_segformer_segments_as_the_original(publish):
    original, processor = segformer()
    teacher = publish(original, processor)
    x, _, levels = encoded(teacher)
    with torch.no_grad():
        expected = original(x).logits
    assert torch.equal(teacher.decode("semantic-segmentation", levels).logits, expected)


def test_mask2former_segments_as_the_original(publish):
    original, processor = mask2former()
    teacher = publish(original, processor)
    x, frames, levels = encoded(teacher)
    with torch.no_grad():
        out = original(x)
    semantic = teacher.decode("semantic-segmentation", levels).logits
    (expected,) = processor.post_process_semantic_segmentation(out, return_segmentation_scores=True)
    torch.testing.assert_close(semantic[0], expected.segmentation_scores)

    found = teacher.decode("instance-segmentation", levels)
    (theirs,) = processor.post_process_instance_segmentation(
        out, threshold=0.0, return_binary_maps=True
    )
    rank = found.scores[0].argsort(descending=True)
    info = sorted(theirs["segments_info"], key=lambda item: -item["score"])
    assert len(info) > 3
    # transformers rounds scores, and keeps one mask of those that it thinks the same.
    mine = [round(score, 6) for score in found.scores[0][rank].tolist()]
    assert {item["score"] for item in info} <= set(mine)
    for item in info:
        index = rank[mine.index(item["score"])]
        assert found.labels[0][index] == item["label_id"]
        mask = theirs["segmentation"][theirs["segments_info"].index(item)]
        assert torch.equal(found.masks[0][index] > 0.5, mask > 0)
        rows, columns = mask.nonzero(as_tuple=True)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert found.boxes[0][index].tolist() == box


def sam():
    config = hf.SamConfig(
        vision_config={
            "hidden_size": 32, "output_channels": 16, "num_hidden_layers": 2, "image_size": 64,
            "num_attention_heads": 2, "patch_size": 8, "window_size": 4, "mlp_dim": 32,
            "global_attn_indexes": [1], "num_pos_feats": 8,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 8},
        mask_decoder_config={"hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2},
    )  # fmt: skip
    size = {"size": {"longest_edge": 64}, "pad_size": {"height": 64, "width": 64}}
    return hf.SamModel(config), hf.SamImageProcessor(**size)


def sam2():
    hiera = {
        "hidden_size": 8, "image_size": [64, 64], "blocks_per_stage": [1, 1, 1, 1],
        "embed_dim_per_stage": [8, 16, 24, 32], "num_attention_heads_per_stage": [1, 1, 2, 2],
        "window_size_per_stage": [4, 4, 2, 2], "global_attention_blocks": [],
        "window_positional_embedding_background_size": [4, 4],
    }  # fmt: skip
    config = hf.Sam2Config(
        vision_config={
            "backbone_config": {"model_type": "sam2_hiera_det_model", **hiera},
            "backbone_channel_list": [32, 24, 16, 8],
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
            "fpn_hidden_size": 32,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": 64, "patch_size": 16},
        mask_decoder_config={"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2},
    )
    return hf.Sam2Model(config), hf.Sam2ImageProcessor(**SQUARE)


@pytest.mark.parametrize("make", [sam, sam2])
def test_answers_clicks_as_the_original(make, publish):
    original, processor = make()
    teacher = publish(original, processor)
    x, frames, levels = encoded(teacher)
    clicks = torch.tensor([[20.0, 30.0], [50.0, 10.0]])
    prompt = teacher.prompt("promptable-segmentation", points=[clicks])
    found = teacher.decode("promptable-segmentation", levels, prompt).logits[0]
    with torch.no_grad():
        out = original(x, input_points=clicks[None, :, None], multimask_output=True)
    best = out.iou_scores[0].argmax(1)
    expected = torch.nn.functional.interpolate(out.pred_masks[0], (64, 64), mode="bilinear")
    torch.testing.assert_close(found, expected[torch.arange(2), best])
    none = teacher.prompt("promptable-segmentation", points=[torch.zeros(0, 2)])
    assert teacher.decode("promptable-segmentation", levels, none).logits[0].shape == (0, 64, 64)


@pytest.mark.parametrize("make", [sam, sam2, rt_detr, segformer, mask2former])
def test_pictures_become_the_canvases_that_the_image_processor_makes(make, publish):
    original, processor = make()
    teacher = publish(original, processor)
    smooth = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 8), (90, 120), mode="bicubic")
    image = (255 * smooth[0]).clamp(0, 255).byte()
    x, _ = make_canvases([image], teacher.spec.input)
    expected = processor(images=image, return_tensors="pt")["pixel_values"]
    # The original resizes in 8 bits, which rounds; 1/255 is below 0.02 after normalization.
    torch.testing.assert_close(normalize(x, teacher.spec.input), expected, atol=0.02, rtol=0)
