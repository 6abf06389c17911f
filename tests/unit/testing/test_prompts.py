"""The kit finds decoders that do not give a mask for each prompt."""

from typing import Any

import pytest
import torch
from oracle import Oracle, oracle_spec

from kivfm_core.errors import UsageError
from kivfm_core.geometry import plan_frame
from kivfm_core.predictions import Masks
from kivfm_core.tasks.detection import DETECTION
from kivfm_core.tasks.promptable_segmentation import PROMPTABLE_SEGMENTATION as TASK
from kivfm_core.teacher import Levels
from kivfm_core.testing.outcome import Finding
from kivfm_core.testing.prompts import prompts_fit


def check(decode: Any, task: Any = TASK) -> None:
    spec = oracle_spec({task.name: "none"})
    frames = [plan_frame((20, 30), spec.input)] * 2
    prompts_fit(task, Oracle(spec, decode), Levels({"dense": torch.zeros(2, 3, 32, 32)}, frames))


def masks(counts: list[int]) -> Masks:
    return Masks([torch.zeros(count, 8, 8) for count in counts])


def test_a_mask_for_each_prompt_is_fine() -> None:
    check(lambda _, given: masks([len(x) for x in given.get("prompts", given.get("points"))]))


def test_a_mask_for_each_click_is_found() -> None:
    def decode(levels: Any, given: Any) -> Masks:
        clicks = given.get("points") or [
            [c for p in image for c in p.clicks or (1,)] for image in given["prompts"]
        ]
        return masks([len(x) for x in clicks])

    with pytest.raises(Finding, match="gives 2 masks at one prompt of two clicks"):
        check(decode)


def test_what_raises_is_found_unless_it_is_said_to_the_user() -> None:
    def raising(error: Exception) -> Any:
        def decode(levels: Any, given: Any) -> Masks:
            if "points" in given:
                return masks([len(x) for x in given["points"]])
            raise error

        return decode

    check(raising(UsageError("one click at a time", "--points X,Y")))
    with pytest.raises(Finding, match="raises at one prompt of two clicks: KeyError"):
        check(raising(KeyError("points")))


def test_other_tasks_have_no_prompts() -> None:
    check(None, DETECTION)
