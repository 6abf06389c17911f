"""sam/nano was trained on single clicks: what several of them, signs and boxes do all the same."""

import pytest
import torch
from torch import Tensor

from kivfm_core.geometry import Click, MaskPrompt, plan_frame
from kivfm_core.predictions import Masks
from kivfm_core.teacher import load_teacher

TASK = "promptable-segmentation"
HERE, THERE = Click(20.0, 24.0), Click(70.0, 60.0)


@pytest.fixture(scope="module")
def answer():
    teacher = load_teacher("sam/nano")
    canvas = torch.zeros(1, 3, 96, 96)
    canvas[:, 0, 10:50, 8:44], canvas[:, 2, 50:80, 50:90] = 1, 1
    frames = [plan_frame((96, 96), teacher.spec.input)]
    levels = teacher.encode(canvas, frames)

    def masks(*prompts: MaskPrompt, **raw) -> Tensor:
        raw = raw or {"prompts": [prompts]}
        found = teacher.decode(TASK, levels, teacher.prompt(TASK, **raw))
        assert isinstance(found, Masks) and found.scores is None
        return found.logits[0]

    return masks


def test_a_single_click_is_what_it_was(answer):
    clicks = torch.tensor([[HERE.x, HERE.y], [THERE.x, THERE.y]])
    assert torch.equal(answer(points=[clicks]), answer(MaskPrompt((HERE,)), MaskPrompt((THERE,))))
    assert answer().shape == (0, 24, 24)


def test_several_clicks_give_one_mask(answer):
    one, two, both = answer(MaskPrompt((HERE,)), MaskPrompt((THERE,)), MaskPrompt((HERE, THERE)))
    torch.testing.assert_close(both, (one + two) / 2)


def test_a_negative_click_takes_what_fits_it_better(answer):
    away = Click(THERE.x, THERE.y, positive=False)
    plain, less, negative = answer(
        MaskPrompt((HERE,)), MaskPrompt((HERE, away)), MaskPrompt((THERE,))
    )
    assert (less <= plain).all()
    assert not (less > 0)[negative > plain].any()
    assert torch.equal(less > 0, (plain > 0) & (plain > negative))


def test_a_box_keeps_the_mask_inside(answer):
    box = (8.0, 8.0, 48.0, 52.0)
    for prompt in (MaskPrompt(box=box), MaskPrompt((HERE,), box)):
        (mask,) = answer(prompt) > 0
        assert mask[2:13, 2:12].any()
        assert not mask[13:].any() and not mask[:, 12:].any()
