"""Segmenters decode what their originals give."""

import pytest
import torch
import transformers as hf


def segformer():
    config = hf.SegformerConfig(
        hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        num_labels=5,
    )
    return hf.SegformerForSemanticSegmentation(config), hf.SegformerImageProcessor(
        size={"height": 64, "width": 64}
    )


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


def test_segformer_segments_as_the_original(publish, encoded):
    original, processor = segformer()
    teacher = publish(original, processor)
    x, _, levels = encoded(teacher)
    with torch.no_grad():
        expected = original(x).logits
    assert torch.equal(teacher.decode("semantic-segmentation", levels).logits, expected)


def test_mask2former_segments_as_the_original(publish, encoded):
    original, processor = mask2former()
    teacher = publish(original, processor)
    x, _, levels = encoded(teacher)
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
    # transformers rounds scores, and drops masks that are nearly equal to another.
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


def test_segformer_reads_out_its_logits(publish, encoded, read_out):
    original, processor = segformer()
    teacher = publish(original, processor)
    x, _, levels = encoded(teacher)
    (classes,) = read_out(teacher, levels)
    with torch.no_grad():
        assert torch.equal(classes.values, original(x).logits.movedim(1, -1))


def test_mask2former_reads_out_its_queries(publish, encoded, read_out):
    original, processor = mask2former()
    teacher = publish(original, processor)
    x, _, levels = encoded(teacher)
    classes, masks = read_out(teacher, levels)
    with torch.no_grad():
        out = original(x)
    torch.testing.assert_close(classes.values, out.class_queries_logits)
    torch.testing.assert_close(masks.values[..., 0], out.masks_queries_logits)
    assert masks.weight.sum() < 7  # a query counts for one at most


@pytest.mark.parametrize("make", [segformer, mask2former])
def test_canvases_are_the_image_processors(make, publish, same_canvas):
    original, processor = make()
    assert same_canvas(publish(original, processor), processor)


@pytest.mark.parametrize("make", [segformer, mask2former])
def test_the_kit_finds_nothing(make, publish, findings):
    original, processor = make()
    assert findings(publish(original, processor)) == {}
