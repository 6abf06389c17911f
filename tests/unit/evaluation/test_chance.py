"""What a score rests on: images, objects, chance, and what is strange in the labels."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from oracle import Oracle, oracle_spec
from painter import BASE, FakeRun, FakeStudent
from PIL import Image

from kivfm_cli.commands.evaluate import render
from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.sources import load_data, parse_source
from kivfm_core.errors import DataError
from kivfm_core.evaluation.evaluate import evaluate, evaluate_teacher
from kivfm_core.evaluation.measure import measure
from kivfm_core.evaluation.result import at_chance
from kivfm_core.predictions import ClassLogits, Detections, Masks, SemanticLogits
from kivfm_core.task import Chance
from kivfm_core.tasks.detection import DETECTION
from kivfm_core.tasks.meters.classification import Classification
from kivfm_core.tasks.meters.zero_shot import ZeroShot
from kivfm_core.tasks.promptable_segmentation import PROMPTABLE_SEGMENTATION
from kivfm_core.tasks.semantic_segmentation import SEMANTIC_SEGMENTATION


def blind(levels: Any, prompt: Any) -> ClassLogits:
    """The first class, whatever the image."""
    return ClassLogits(torch.eye(3)[:1].repeat(len(levels["dense"]), 1))


def test_chance_is_exceeded_by_more_than_luck() -> None:
    assert at_chance(0.5, Chance(0.5)) and not at_chance(0.51, Chance(0.5))
    assert at_chance(0.59, Chance(0.5, 0.05)) and not at_chance(0.66, Chance(0.5, 0.05))
    assert not at_chance(0.0, None)


def test_of_a_teacher_at_chance_there_is_nothing_to_retain(
    colors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Blind(FakeRun):
        def load_teacher(self, name: str) -> Oracle:
            return Oracle(super().load_teacher(name).spec, blind)

    result = evaluate(Blind(tmp_path), [str(colors)])
    (row,) = [row for row in result.rows if row.task == "classification"]
    assert (row.teacher_score, row.chance_score) == pytest.approx((1 / 3, 1 / 3))
    assert row.at_chance and row.retention is None and row.gain is None
    assert (result.summary.retention_mean, result.summary.left_out) == (None, 1)
    render(result.model_dump(mode="json", by_alias=True))
    out = capsys.readouterr().out
    assert "nothing to retain: painter/one, classification" in out
    assert "of fewer images than others: 1\n" in out


def test_images_whose_class_the_teacher_lacks_do_not_count(colors: Path, tmp_path: Path) -> None:
    (colors / "classes/c blue").rename(colors / "classes/d yellow")
    (row,) = [r for r in evaluate(FakeRun(tmp_path), [str(colors)]).rows if r.chance_score]
    assert (row.pictures, row.objects) == (15, 10)


@pytest.mark.parametrize("names", [("0", "1", "2"), ("n01440764", "n01443537", "n01484850")])
def test_names_without_meaning_and_classes_without_images_are_noted(names: Any) -> None:
    data = ClassData((Path("a.png"), Path("b.png")), (0, 1), names)
    absent = f"classes that never occur: 1 ({names[2]})"
    ids, words = ZeroShot(data, None).notes(), ZeroShot(replace(data, classes=tuple("abc")), None)
    assert ids == (absent, "class names are numbers or ids: they carry no meaning for zero-shot")
    assert words.notes() == ("classes that never occur: 1 (c)",)
    assert Classification(data, names).notes() == (absent,)


def coco(folder: Path, crowd: bool) -> Path:
    """An image with two objects of one category, and a category without any."""
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", (10, 10)).save(folder / "images/a.png")
    common = {"image_id": 1, "category_id": 1, "iscrowd": int(crowd)}
    items = [
        {**common, "id": i, "bbox": box, "segmentation": [corners]}
        for i, (box, corners) in enumerate(
            [
                ([0, 0, 4, 4], [0, 0, 4, 0, 4, 4, 0, 4]),
                ([5, 5, 5, 5], [5, 5, 10, 5, 10, 10, 5, 10]),
            ],
            1,
        )
    ]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 10, "height": 10}],
        "annotations": items,
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return folder


def corner(levels: Any, prompt: Any) -> Detections:
    return Detections([torch.tensor([[0.0, 0, 4, 4]])], [torch.ones(1)], [torch.zeros(1).long()])


def test_objects_are_counted_and_absent_categories_named(tmp_path: Path) -> None:
    source = parse_source(str(coco(tmp_path / "c", crowd=False)))
    space = {"detection": ("cat", "dog")}
    data = load_data(source, DETECTION)
    score = measure([Oracle(oracle_spec(space), corner)], {"detection": data})["detection"]
    assert (score.images, score.objects, score.chance) == (1, 2, Chance(0.0))
    assert score.notes == ("classes that never occur: 1 (dog)",)


def test_clicks_are_counted_and_the_whole_image_is_chance(tmp_path: Path) -> None:
    data = load_data(parse_source(str(coco(tmp_path / "c", crowd=False))), PROMPTABLE_SEGMENTATION)

    def all_of_it(levels: Any, prompt: Any) -> Masks:
        return Masks([torch.ones(2, *levels["dense"].shape[2:])])

    spec = oracle_spec({"promptable-segmentation": "none"})
    (score,) = measure([Oracle(spec, all_of_it)], {"promptable-segmentation": data}).values()
    assert score.objects == 2 and score.chance is not None
    assert score.values == pytest.approx([score.chance.score]) == [pytest.approx((0.16 + 0.25) / 2)]


def test_one_class_everywhere_is_chance_for_masks(tmp_path: Path) -> None:
    for folder in ("images", "semantic"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "images/a.png")
    mask = np.zeros((8, 8), np.uint8)
    mask[:2] = 1
    Image.fromarray(mask).save(tmp_path / "semantic/a.png")
    (tmp_path / "semantic/classes.json").write_text('["background", "cat", "dog"]')
    data = load_data(parse_source(str(tmp_path)), SEMANTIC_SEGMENTATION)

    def background(levels: Any, prompt: Any) -> SemanticLogits:
        logits = torch.zeros(1, 3, *levels["dense"].shape[2:])
        logits[:, 0] = 1
        return SemanticLogits(logits)

    spec = oracle_spec({"semantic-segmentation": ("background", "cat", "dog")})
    (score,) = measure([Oracle(spec, background)], {"semantic-segmentation": data}).values()
    assert score.objects == 1 and score.chance == Chance(0.375)
    assert score.values == pytest.approx([0.375])
    assert score.notes == ("classes that never occur: 1 (dog)",)


def test_a_task_with_nothing_to_count_does_not_cost_the_others(
    colors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowds = coco(tmp_path / "crowds", crowd=True)
    seer = oracle_spec(
        {"detection": ("cat",), "promptable-segmentation": "none"}, name="seer/one"
    )  # fmt: skip

    def answer(levels: Any, prompt: Any) -> Any:
        return corner(levels, prompt) if prompt is None else Masks([torch.zeros(0, 4, 4)])

    class WithSeer(FakeRun):
        teachers = (*FakeRun.teachers, seer)

        def load_teacher(self, name: str) -> Oracle:
            return Oracle(seer, answer) if name == seer.name else super().load_teacher(name)

    stand_in = FakeStudent.stand_in
    monkeypatch.setattr(
        FakeStudent,
        "stand_in",
        lambda self, name: Oracle(seer, answer) if name == seer.name else stand_in(self, name),
    )
    result = evaluate(WithSeer(tmp_path), [str(colors), str(crowds)])
    assert {row.teacher for row in result.rows} == {BASE.name, "painter/one"}
    reasons = [line for line in result.skipped if line.startswith("seer/one")]
    assert [line.split(", ")[1] for line in reasons] == ["detection", "promptable-segmentation"]
    assert "no instance" in reasons[0] and "no object to click on" in reasons[1]
    assert (tmp_path / "evaluation.json").is_file()
    with pytest.raises(DataError, match="no instance"):
        evaluate_teacher(Oracle(seer, answer), "detection", str(crowds))
    shutil.rmtree(colors)
    (tmp_path / "evaluation.json").unlink()
    with pytest.raises(DataError, match="nothing could be measured"):
        evaluate(WithSeer(tmp_path), [f"detection={crowds}"], tasks=["detection"])
    assert not (tmp_path / "evaluation.json").exists()


def test_notes_of_the_reader_are_in_the_file(colors: Path, tmp_path: Path) -> None:
    (colors / "classes/a red/notes.txt").write_text("none of the images")
    result = evaluate(FakeRun(tmp_path), [str(colors)])
    (note,) = json.loads((tmp_path / "evaluation.json").read_text())["notes"]
    assert result.notes == (note,) and note.startswith(f"{colors}: files that are no images")
