"""Everything in an image: the good masks of a grid of clicks, each once."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from oracle import Oracle, oracle_spec
from PIL import Image, ImageDraw

from kivfm_core import predict
from kivfm_core.errors import UsageError
from kivfm_core.geometry import Click, MaskPrompt
from kivfm_core.prediction.colors import color_of
from kivfm_core.prediction.everything import grid
from kivfm_core.predictions import Masks, SemanticLogits
from kivfm_core.spec import InputContract

TASK = "promptable-segmentation"
W, H = 120, 80
COLORS = {(250, 20, 20): (10, 10, 50, 60), (20, 20, 250): (60, 20, 110, 70)}
SPECK = (2, 70, 4, 72)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    drawn = Image.new("RGB", (W, H), (90, 90, 90))
    brush = ImageDraw.Draw(drawn)
    for color, (x0, y0, x1, y1) in COLORS.items():
        brush.rectangle((x0, y0, x1 - 1, y1 - 1), fill=color)
    brush.rectangle((2, 70, 3, 71), fill=(20, 250, 20))
    drawn.save(tmp_path / "a.png")
    return tmp_path / "a.png"


def same_color(levels: Any, prompt: Any) -> Masks:
    """Everything of the color under a click."""
    (clicks,) = prompt["points"]
    canvas = levels["dense"][0]
    at = canvas[:, clicks[:, 1].long(), clicks[:, 0].long()].T[:, :, None, None]
    distance = (canvas[None] - at).abs().amax(1)
    return Masks([torch.where(distance < 0.1, 6.0, -6.0)])


def seer(decode: Any = same_color) -> Oracle:
    contract = InputContract(policy="letterbox", size=W)
    return Oracle(oracle_spec({TASK: "none"}, contract), decode)


def test_each_thing_is_found_once(image: Path) -> None:
    teacher = seer()
    out = image.with_name("out.png")
    found = predict(teacher, image, TASK, everything=12, out=out).found
    boxes = {tuple(item["box"]) for item in found}
    assert {(x0, y0, x1 - 1, y1 - 1) for x0, y0, x1, y1 in COLORS.values()} < boxes
    assert len(found) == 3  # with the background, without the speck
    assert teacher.encoded == 1 and teacher.decoded == 3  # 144 clicks, 64 at once
    scores = [item["score"] for item in found]
    assert scores == sorted(scores, reverse=True) and all(0.9 < s <= 1 for s in scores)
    for item in found:
        (x, y), (x0, y0, x1, y1) = item["point"], item["box"]
        assert x0 <= x <= x1 + 1 and y0 <= y <= y1 + 1
    json.dumps(found)
    assert len(Image.open(out).getcolors(10**6) or ()) > 5


def test_a_decoders_own_score_decides_where_it_has_one(image: Path) -> None:
    def scored(levels: Any, prompt: Any) -> Masks:
        found = same_color(levels, prompt)
        red = levels["dense"][0, 0]
        is_red = torch.stack([(red * (mask > 0)).max() > 0.9 for mask in found.logits[0]])
        return replace(found, scores=[torch.where(is_red, 0.8, 0.2)])

    (only,) = predict(seer(scored), image, TASK, everything=8).found
    assert only["score"] == pytest.approx(0.8, abs=0.01)
    assert only["box"] == [10, 10, 49, 59]
    assert len(predict(seer(scored), image, TASK, everything=8, threshold=0.1).found) == 3


def test_an_unstable_mask_is_left_out(image: Path) -> None:
    def unsure(levels: Any, prompt: Any) -> Masks:
        return Masks([same_color(levels, prompt).logits[0] / 12])  # 0.5 inside

    assert predict(seer(unsure), image, TASK, everything=4).found == []


def test_no_masks_no_everything(image: Path) -> None:
    logits = SemanticLogits(torch.zeros(1, 2, 4, 4))
    with pytest.raises(UsageError, match="gives no masks of clicks"):
        predict(seer(lambda *_: logits), image, TASK, everything=2)


def test_the_grid_covers_the_image() -> None:
    places = grid((H, W), 16)
    assert len({*places}) == 256
    assert all(0 < x < W and 0 < y < H for x, y in places)


def test_prompts_are_drawn_and_told(image: Path) -> None:
    def decode(levels: Any, prompt: Any) -> Masks:
        (prompts,) = prompt["prompts"]
        return Masks([torch.full((len(prompts), 8, 8), -1.0)])

    out, more = image.with_name("out.png"), [(30.0, 30.0), Click(80, 40, positive=False)]
    box = (5.0, 5.0, 60.0, 70.0)
    found = predict(seer(decode), image, TASK, points=[more, (1, 1)], boxes=[box], out=out)
    first, second = found.found
    assert first["prompt"] == {"points": [[30, 30], [80, 40]], "labels": [1, 0], "box": [*box]}
    assert second["prompt"] == {"points": [[1, 1]], "labels": [1]}
    assert found.lines()[0].startswith("click at 30, 30; not 80, 40; in 5, 5, 60, 70")
    drawn = Image.open(out)
    zoom = drawn.width // W
    assert drawn.getpixel((80 * zoom, 40 * zoom)) == (255, 0, 0)  # crossed out
    assert drawn.getpixel((30 * zoom, 30 * zoom)) == color_of(0)
    assert drawn.getpixel((30 * zoom, 5 * zoom)) != (90, 90, 90)  # the frame
    again = predict(seer(decode), image, TASK, prompts=[MaskPrompt((Click(30, 30),), box)])
    assert again.found[0]["point"] == [30, 30]
