"""Promptable models give their originals' masks for clicks."""

import shutil

import pytest
import torch
import transformers as hf
from PIL import Image

from kivfm_core import distill
from kivfm_core.config import build_config
from kivfm_core.geometry import Click, MaskPrompt
from kivfm_core.prediction.predict import predict


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
    return hf.Sam2Model(config), hf.Sam2ImageProcessor(size={"height": 64, "width": 64})


@pytest.mark.parametrize("make", [sam, sam2])
def test_masks_of_clicks_as_the_original(make, publish, encoded):
    original, processor = make()
    teacher = publish(original, processor)
    x, _, levels = encoded(teacher)
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


CLICKS = (Click(20, 30), Click(50, 10, positive=False), Click(40, 44))
BOX = (10.0, 12.0, 50.0, 60.0)


@pytest.mark.parametrize("make", [sam, sam2])
@pytest.mark.parametrize(
    "prompts",
    [
        [MaskPrompt(CLICKS), MaskPrompt(CLICKS[::-1])],
        [MaskPrompt(box=BOX), MaskPrompt(box=(0.0, 0.0, 30.0, 40.0))],
        [MaskPrompt(CLICKS[:2], BOX)],
    ],
    ids=["signs", "boxes", "clicks and a box"],
)
def test_masks_of_signs_and_boxes_are_the_originals(make, publish, encoded, prompts):
    original, processor = make()
    teacher = publish(original, processor)
    x, _, levels = encoded(teacher)
    prompt = teacher.prompt("promptable-segmentation", prompts=[prompts])
    found = teacher.decode("promptable-segmentation", levels, prompt)
    given = {}
    if prompts[0].clicks:
        clicks = [[[c.x, c.y] for c in p.clicks] for p in prompts]
        given["input_points"] = torch.tensor([clicks])
        given["input_labels"] = torch.tensor(
            [[[int(c.positive) for c in p.clicks] for p in prompts]]
        )
    if prompts[0].box:
        given["input_boxes"] = torch.tensor([[p.box for p in prompts]])
    with torch.no_grad():
        out = original(x, multimask_output=True, **given)
    best = torch.arange(len(prompts)), out.iou_scores[0].argmax(1)
    expected = torch.nn.functional.interpolate(out.pred_masks[0], (64, 64), mode="bilinear")
    torch.testing.assert_close(found.logits[0], expected[best])
    torch.testing.assert_close(found.scores[0], out.iou_scores[0][best].clamp(0, 1))


@pytest.mark.parametrize("make", [sam, sam2])
def test_canvases_are_the_image_processors(make, publish, same_canvas):
    original, processor = make()
    teacher = publish(original, processor)
    for size in ((90, 120), (91, 120), (130, 77)):
        assert same_canvas(teacher, processor, size), size


@pytest.mark.parametrize("make", [sam, sam2])
def test_the_kit_finds_nothing(make, publish, findings):
    original, processor = make()
    assert findings(publish(original, processor)) == {}


@pytest.mark.parametrize("make", [sam, sam2])
def test_its_student_can_be_prompted_without_it(make, publish, folder, tmp_path):
    publish(*make())
    image = tmp_path / "images" / "0.png"
    image.parent.mkdir()
    Image.radial_gradient("L").resize((96, 80)).convert("RGB").save(image)
    flags = {
        "teachers": "dino/nano,transformers/org/tiny",
        "data.path": str(image.parent),
        **{"optim.steps": 1, "optim.batch_size": 1, "optim.calibration": 1, "data.image_size": 64},
    }
    run = distill(build_config(None, flags), out=tmp_path / "run")
    shutil.rmtree(folder)
    clicks = [(20, 30), (70, 60)]
    found = predict(run, image, "promptable-segmentation", points=clicks)
    assert found.teacher == "transformers/org/tiny"
    assert [tuple(item["point"]) for item in found.found] == clicks
    assert all(0 <= item["area"] <= 80 * 96 for item in found.found)
