"""What a user points at becomes prompts, checked before anything runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from kivfm_core.errors import DataError, UsageError
from kivfm_core.geometry import Click, MaskPrompt
from kivfm_core.prediction.prompt_files import read_prompts
from kivfm_core.prediction.prompts import gather, join
from kivfm_core.tasks.promptable_segmentation import PROMPTABLE_SEGMENTATION as TASK
from kivfm_core.tasks.zero_shot import ZERO_SHOT

BOX = (10.0, 20.0, 50.0, 40.0)
SIZE = (60, 90)
NOT = Click(40, 40, positive=False)


def test_clicks_and_boxes_of_one_position_are_one_prompt() -> None:
    click = MaskPrompt((Click(1, 2),))
    assert join([(1, 2), (3, 4)], []) == (click, MaskPrompt((Click(3, 4),)))
    assert join([[(1, 2), NOT]], []) == (MaskPrompt((Click(1, 2), NOT)),)
    assert join([[(1, 2)], Click(1, 2)], [BOX]) == (MaskPrompt((Click(1, 2),), BOX), click)
    assert join([(1, 2)], [None, BOX]) == (click, MaskPrompt(box=BOX))
    assert join([[NOT]], [BOX]) == (MaskPrompt((NOT,), BOX),)


@pytest.mark.parametrize(
    ("box", "told"),
    [
        ((10, 20, 91, 40), "the box 10,20,91,40 is outside the image"),
        ((-1, 20, 50, 40), "outside the image"),
        ((10, 20, float("nan"), 40), "outside the image"),
        ((50, 20, 10, 40), "is empty"),
        ((10, 20, 10, 40), "is empty"),
    ],
)
def test_a_box_outside_the_image_or_of_nothing_is_refused(box: Any, told: str) -> None:
    assert gather(TASK, boxes=[(0, 0, 90, 60)]).of(None, SIZE)["prompts"][0].box[2] == 90
    with pytest.raises(UsageError, match=told):
        gather(TASK, points=[(1, 1)], boxes=[box]).of(None, SIZE)


def test_a_negative_click_outside_the_image_is_refused() -> None:
    with pytest.raises(UsageError, match="90,1 is outside the image"):
        gather(TASK, points=[[(1, 1), Click(90, 1, positive=False)]]).of(None, SIZE)


@pytest.mark.parametrize(
    "given",
    [
        {"points": [(1, 1)], "everything": 4},
        {"boxes": [BOX], "prompts": [MaskPrompt(box=BOX)]},
        {"prompts": "file.json", "everything": 4},
    ],
)
def test_one_way_to_point_at_a_time(given: Any) -> None:
    with pytest.raises(UsageError, match="at once"):
        gather(TASK, **given)


@pytest.mark.parametrize("side", [-1, 129])
def test_a_grid_has_a_reasonable_size(side: int) -> None:
    with pytest.raises(UsageError, match=f"a grid of {side} clicks"):
        gather(TASK, everything=side)


def written(folder: Path, content: Any) -> Path:
    file = folder / "prompts.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_a_file_has_prompts_by_image(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        [
            {"image": "a.jpg", "points": [[1, 2], [40, 40]], "labels": [1, 0]},
            {"points": [[3, 4]]},
            {"image": "sub/b.jpg", "box": BOX},
        ],
    )
    given = gather(TASK, prompts=file)
    both, one = MaskPrompt((Click(1, 2), NOT)), MaskPrompt((Click(3, 4),))
    assert given.of("photos/a.jpg", SIZE)["prompts"] == [both, one]
    assert given.of(Path("x/sub/b.jpg"), SIZE)["prompts"] == [one, MaskPrompt(box=BOX)]
    assert given.of("b.jpg", SIZE)["prompts"] == given.of(None, SIZE)["prompts"] == [one]


def test_an_image_that_a_file_does_not_name_is_an_error(tmp_path: Path) -> None:
    file = read_prompts(written(tmp_path, [{"image": "a.jpg", "box": BOX}]))
    with pytest.raises(UsageError, match=r"prompts.json has no prompt for b.jpg"):
        file.of("b.jpg")
    with pytest.raises(UsageError, match="an image without a name"):
        file.of(None)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is not JSON"),
        ({"points": [[1, 2]]}, "is not a list of prompts"),
        ([], "is not a list of prompts"),
        ([{"points": [[1, 2]]}, 7], "prompt 1: PromptRecord: must be a table"),
        ([{"points": [[1, 2]], "lables": [1]}], "prompt 0: lables: there is no such key"),
        ([{"points": [[1, "b"]]}], r"prompt 0: points.0.1: must be a number \(given: 'b'\)"),
        ([{"points": [[1, 2]], "labels": [1, 0]}], "labels: 2 for 1 points"),
        ([{"points": [[1, 2]], "labels": [2]}], "not 1 .* or 0"),
        ([{"points": [[1, 2]], "labels": [0]}], "neither a point on its object nor a box"),
        ([{"image": "a.jpg"}], "neither a point on its object nor a box"),
        ([{"box": [1, 2, 3]}], "prompt 0: box"),
        ('[{"box": [1, 2, 3, NaN]}]', "prompt 0: box.3: must be a finite number"),
    ],
)
def test_an_error_names_file_and_record(tmp_path: Path, content: Any, told: str) -> None:
    with pytest.raises(DataError, match=told) as caught:
        read_prompts(written(tmp_path, content))
    assert "prompts.json" in caught.value.message


def test_a_class_that_is_named_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="the class a is named twice"):
        gather(ZERO_SHOT, labels=["b", "a", "a"])
