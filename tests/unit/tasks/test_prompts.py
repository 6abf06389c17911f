"""Prompts reach decoders that take them, and single clicks those that take no more."""

from typing import Any

import pytest
import torch

from kivfm_core.errors import UsageError
from kivfm_core.geometry import Click, MaskPrompt, plan_frame
from kivfm_core.spec import InputContract
from kivfm_core.tasks.prompts import fitted, mask_prompts

ONE, TWO = MaskPrompt((Click(10, 20),)), MaskPrompt((Click(10, 20), Click(30, 5, positive=False)))
FRAME = plan_frame((40, 60), InputContract(policy="letterbox", size=120))  # twice as large


def old(points: Any) -> Any: ...


def new(prompts: Any) -> Any: ...


def test_single_clicks_are_points_that_any_decoder_takes() -> None:
    raw = mask_prompts({"prompts": [ONE, ONE]}, [FRAME, FRAME])
    assert [points.tolist() for points in raw["points"]] == [[[20, 40], [20, 40]]] * 2
    assert fitted(old, raw, "a/b") == raw
    assert fitted(new, raw, "a/b") == {"prompts": [[MaskPrompt((Click(20, 40),))] * 2] * 2}


def test_no_prompts_are_no_points() -> None:
    (points,) = mask_prompts({"prompts": []}, [FRAME])["points"]
    assert points.shape == (0, 2)


@pytest.mark.parametrize(
    "more", [TWO, MaskPrompt(box=(0, 0, 9, 9)), MaskPrompt((Click(1, 1),) * 2)]
)
def test_more_than_clicks_reaches_those_who_take_it(more: MaskPrompt) -> None:
    raw = mask_prompts({"prompts": [ONE, more]}, [FRAME])
    assert raw == {"prompts": [[ONE.to_canvas(FRAME), more.to_canvas(FRAME)]]}
    assert fitted(new, raw, "a/b") == raw
    with pytest.raises(UsageError, match="a/b takes one click for a mask"):
        fitted(old, raw, "a/b")


def test_clicks_are_taken_as_tensors_and_as_lists() -> None:
    wanted = {"prompts": [[MaskPrompt((Click(1, 2),))]]}
    for clicks in (torch.tensor([[1.0, 2]]), [[1, 2]], torch.tensor([1.0, 2])):
        assert fitted(new, {"points": [clicks]}, "a/b") == wanted


def test_other_prompts_pass_as_they_are() -> None:
    def names(labels: Any) -> Any: ...

    assert fitted(names, {"labels": ["a"]}, "a/b") == {"labels": ["a"]}
    assert fitted(lambda **raw: raw, {"prompts": [[TWO]]}, "a/b") == {"prompts": [[TWO]]}
