"""Whole folders: every image once, across broken files, other shapes, and interruptions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from oracle import Oracle, oracle_spec
from PIL import Image
from threads import in_threads

from kivfm_core.data.saving.journal import NAME, part_name
from kivfm_core.data.sources import load_data, parse_source
from kivfm_core.errors import DataError, UsageError
from kivfm_core.prediction import folder as module
from kivfm_core.prediction.folder import Labeled, predict_folder
from kivfm_core.prediction.wanted import Wanted
from kivfm_core.predictions import ClassLogits, Detections, Instances, Masks, SemanticLogits
from kivfm_core.processes.team import ONE_PROCESS, Team
from kivfm_core.progress import Silent
from kivfm_core.spec import InputContract
from kivfm_core.tasks.detection import DETECTION

CONTRACT = InputContract(policy="short-side", size=16)
CLASSES = ("cat", "dog", "cow")
SHAPES = [(16, 16), (32, 16), (16, 48), (16, 16), (32, 16), (64, 64), (16, 16)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number, size in enumerate(SHAPES):
        place = folder / ("deep" if number % 2 else "")
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (number, 40, 90)).save(place / f"{number}.png")
    return folder


class Looks:
    """Finds two objects: the first is as large as its image is red."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, levels: Any, prompt: Any) -> Detections:
        self.batches.append(len(levels.frames))
        found = [torch.tensor([[0.0, 0, 8, 8], [1, 1, 8, 8], [2, 2, 4, 4]])] * len(levels.frames)
        scores = [torch.tensor([0.9, 0.8, 0.2])] * len(found)
        return Detections(found, scores, [torch.tensor([0, 1, 2])] * len(found))


def detector(looks: Any = None) -> Oracle:
    return Oracle(oracle_spec({"detection": CLASSES}, CONTRACT), looks or Looks())


def instances(out: Path) -> dict[str, Any]:
    return json.loads((out / "instances.json").read_text())


def test_every_image_is_labeled_in_batches_of_one_shape(photos: Path, tmp_path: Path) -> None:
    looks, out = Looks(), tmp_path / "out"
    done = predict_folder(detector(looks), photos, "detection", out)
    assert (done.images, done.before, done.broken, done.format) == (7, 0, (), "coco")
    assert sorted(looks.batches) == [1, 2, 4]  # 64 x 64 shares the canvas of 16 x 16
    found = instances(out)
    names = {image["file_name"] for image in found["images"]}
    assert names == {"0.png", "2.png", "4.png", "6.png", *(f"deep/{i}.png" for i in (1, 3, 5))}
    assert len(found["annotations"]) == 14  # the third is below the threshold
    large = next(image for image in found["images"] if image["file_name"] == "deep/5.png")
    own = [a["bbox"] for a in found["annotations"] if a["image_id"] == large["id"]]
    assert own == [[0, 0, 32, 32], [4, 4, 28, 28]]
    data = load_data(parse_source(str(out)), DETECTION)
    assert len(data.paths) == 7 and all(path.is_file() for path in data.paths)


def test_what_is_done_is_not_done_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    predict_folder(detector(), photos, "detection", whole)
    save, count = module._Work._save, 0

    def stopped(*args: Any) -> None:
        nonlocal count
        count += 1
        if count > 3:
            raise KeyboardInterrupt
        save(*args)

    monkeypatch.setattr(module._Work, "_save", stopped)
    with pytest.raises(KeyboardInterrupt):
        predict_folder(detector(), photos, "detection", out)
    monkeypatch.setattr(module._Work, "_save", save)
    looks = Looks()
    done = predict_folder(detector(looks), photos, "detection", out)
    assert (done.images, done.before, sum(looks.batches)) == (4, 3, 4)

    def boxes(place: Path) -> dict[str, Any]:
        found = instances(place)
        names = {image["id"]: image["file_name"] for image in found["images"]}
        return {
            name: [a["bbox"] for a in found["annotations"] if a["image_id"] == key]
            for key, name in names.items()
        }

    assert boxes(out) == boxes(whole)
    again = predict_folder(detector(never), photos, "detection", out)
    assert (again.images, again.before) == (0, 7) and boxes(out) == boxes(whole)
    Image.new("RGB", (16, 16)).save(photos / "new.png")
    assert predict_folder(detector(), photos, "detection", out).images == 1


def never(levels: Any, prompt: Any) -> Any:
    raise AssertionError("run all the same")


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"wanted": Wanted(0.5)}, "threshold"),
        ({"wanted": Wanted(classes=("dog",))}, "classes, only"),
        ({"draw": True}, "draw"),
        ({"save": "yolo"}, "format"),
    ],
)
def test_other_settings_are_refused_or_begin_anew(
    photos: Path, tmp_path: Path, changed: dict[str, Any], what: str
) -> None:
    out = tmp_path / "out"
    predict_folder(detector(), photos, "detection", out)
    (out / "mine.txt").write_text("stays")
    with pytest.raises(UsageError, match=f"{what} changed") as refused:
        predict_folder(detector(never), photos, "detection", out, **changed)
    assert "--overwrite" in refused.value.hint
    done = predict_folder(detector(), photos, "detection", out, overwrite=True, **changed)
    assert (done.images, done.before) == (7, 0)
    assert (out / "mine.txt").exists() and (out / "instances.json").exists() == (
        done.format == "coco"
    )


def test_overwriting_leaves_the_images_and_what_is_not_ours(photos: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    photos.rename(tmp_path / "moved")
    root.mkdir()
    (tmp_path / "moved").rename(root / "images")
    predict_folder(detector(), root / "images", "detection", root, save="yolo")
    assert len([*(root / "images").rglob("*.png")]) == 7
    predict_folder(detector(), root / "images", "detection", root, save="yolo", overwrite=True)
    assert len([*(root / "images").rglob("*.png")]) == 7
    other = tmp_path / "other"
    (other / "labels").mkdir(parents=True)
    (other / "labels/own.txt").write_text("0 1 1 1 1")
    with pytest.raises(UsageError, match="there already"):
        predict_folder(
            detector(never), root / "images", "detection", other, save="yolo", overwrite=True
        )
    assert (other / "labels/own.txt").exists()


def test_broken_files_are_named_at_the_end(photos: Path, tmp_path: Path) -> None:
    for name in ("0.png", "deep/1.png"):
        (photos / name).write_bytes(b"broken")
    done = predict_folder(detector(), photos, "detection", tmp_path / "out")
    assert done.images == 5 and len(done.broken) == 2
    assert "0.png" in done.broken[0] and "deep/1.png" in done.broken[1]
    again = predict_folder(detector(), photos, "detection", tmp_path / "out")
    assert (again.images, again.before, len(again.broken)) == (0, 5, 2)
    for path in photos.rglob("*.png"):
        path.write_bytes(b"broken")
    with pytest.raises(DataError, match="none of the 7 images could be labeled"):
        predict_folder(detector(), photos, "detection", tmp_path / "other")


def test_labels_below_the_images_are_no_images(photos: Path) -> None:
    out = photos / "labeled"
    predict_folder(detector(), photos, "detection", out, draw=True)
    assert predict_folder(detector(never), photos, "detection", out, draw=True).before == 7
    with pytest.raises(UsageError, match="cannot be written into that folder itself"):
        predict_folder(detector(never), photos, "detection", photos)


def test_drawings_have_the_size_of_their_images(tmp_path: Path) -> None:
    for name, size in (("a.jpg", (800, 500)), ("b.gif", (640, 700))):
        Image.new("RGB", size, (90, 90, 90)).save(tmp_path / name)
    out = tmp_path / "out"
    images = [tmp_path / "a.jpg", tmp_path / "b.gif"]
    predict_folder(detector(), images, "detection", out, draw=True)
    sizes: dict[str, Any] = {}
    for path in (out / "drawings").iterdir():
        with Image.open(path) as drawn:
            sizes[path.name] = drawn.size
    assert sizes == {"a.jpg": (800, 500), "b.gif.png": (640, 700)}


def test_classes_and_suppression(photos: Path, tmp_path: Path) -> None:
    cows = Wanted(threshold=0.1, classes=("Cow", "dog"))
    predict_folder(detector(), photos, "detection", tmp_path / "a", wanted=cows)
    found = instances(tmp_path / "a")
    assert [c["name"] for c in found["categories"]] == ["cow", "dog"]
    assert sorted({a["category_id"] for a in found["annotations"]}) == [1, 2]
    assert len(found["annotations"]) == 14
    one = Wanted(threshold=0.1, suppress=0.5)  # of the first two boxes, IoU 0.77, the best
    predict_folder(detector(), photos, "detection", tmp_path / "b", wanted=one)
    assert {a["category_id"] for a in instances(tmp_path / "b")["annotations"]} == {1, 3}
    with pytest.raises(UsageError, match="no class 'dogg'") as unknown:
        wrong = Wanted(classes=("dogg",))
        predict_folder(detector(never), photos, "detection", tmp_path / "c", wanted=wrong)
    assert unknown.value.hint == "did you mean dog?"


def pixels(file: Path) -> Any:
    with Image.open(file) as image:
        return np.array(image)


def test_a_map_of_classes(photos: Path, tmp_path: Path) -> None:
    def decode(levels: Any, prompt: Any) -> SemanticLogits:
        logits = torch.zeros(len(levels.frames), 3, 4, 4)
        logits[:, 1, :, 2:] = 1
        return SemanticLogits(logits)

    teacher = Oracle(oracle_spec({"semantic-segmentation": CLASSES}, CONTRACT), decode)
    done = predict_folder(teacher, photos / "0.png", "semantic-segmentation", tmp_path / "a")
    assert done.format == "masks"
    values = pixels(tmp_path / "a/semantic/0.png")
    assert values.shape == (16, 16) and set(values[:, :6].flat) == {0} and values[0, -1] == 1
    only = Wanted(classes=("dog",))
    predict_folder(teacher, photos / "0.png", "semantic-segmentation", tmp_path / "b", wanted=only)
    values = pixels(tmp_path / "b/semantic/0.png")
    assert values[0, -1] == 0 and values[0, 0] == 255  # dog is the only class, the rest is none


def test_the_class_of_an_image(photos: Path, tmp_path: Path) -> None:
    prompts: list[Any] = []

    def decode(levels: Any, prompt: Any) -> ClassLogits:
        prompts.append(prompt)
        return ClassLogits(torch.tensor([[3.0, 1.0, 0.0]]).repeat(len(levels.frames), 1))

    teacher = Oracle(oracle_spec({"zero-shot": "open"}, CONTRACT), decode)
    done = predict_folder(
        teacher, photos, "zero-shot", tmp_path / "a", prompt={"labels": list(CLASSES)}
    )
    assert done.format == "csv"
    _, *rows = (tmp_path / "a/labels.csv").read_text().splitlines()
    assert len(rows) == 7 and all(",cat,0.8" in row for row in rows)
    assert len(prompts) == 3 and all(prompt is prompts[0] for prompt in prompts)
    only = Wanted(classes=("dog", "cow"))
    predict_folder(
        teacher, photos, "zero-shot", tmp_path / "b", prompt={"labels": list(CLASSES)},
        wanted=only, save="jsonl",
    )  # fmt: skip
    lines = (tmp_path / "b/labels.jsonl").read_text().splitlines()
    assert {json.loads(line)["class"] for line in lines} == {"dog"}


def test_masks_of_clicks_and_of_objects(photos: Path, tmp_path: Path) -> None:
    def click(levels: Any, prompt: Any) -> Masks:
        logits = torch.full((1, 16, 16), -1.0)
        logits[:, 4:8, 2:8] = 1
        return Masks([logits])

    spec = oracle_spec({"promptable-segmentation": "none"}, CONTRACT)
    prompt = {"points": [(3.0, 5.0)]}
    task = "promptable-segmentation"
    predict_folder(Oracle(spec, click), photos / "0.png", task, tmp_path / "a", prompt=prompt)
    found = instances(tmp_path / "a")
    assert [c["name"] for c in found["categories"]] == ["object"]
    assert found["annotations"][0]["bbox"] == [2, 4, 6, 4]

    def decode(levels: Any, prompt: Any) -> Instances:
        mask = torch.zeros(1, 16, 16)
        mask[:, 4:8, 2:8] = 1
        box, one = torch.tensor([[2.0, 4, 8, 8]]), torch.ones(1)
        return Instances([box], [one], [torch.tensor([1])], [mask], "canvas")

    teacher = Oracle(oracle_spec({"instance-segmentation": CLASSES}, CONTRACT), decode)
    predict_folder(teacher, photos / "0.png", "instance-segmentation", tmp_path / "b")
    (one,) = instances(tmp_path / "b")["annotations"]
    assert one["area"] == 24 and one["segmentation"]


@pytest.mark.parametrize(
    ("task", "save", "told"),
    [
        ("detection", "masks", "masks cannot hold what detection gives"),
        ("detection", "csv", "csv cannot hold"),
        ("detection", "xml", "no format 'xml'"),
    ],
)
def test_a_format_that_does_not_fit_is_refused(
    photos: Path, tmp_path: Path, task: str, save: str, told: str
) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        predict_folder(detector(never), photos, task, tmp_path / "out", save=save)
    assert refused.value.hint == "--save one of: coco, yolo, voc"
    assert not (tmp_path / "out").exists()


def test_boxes_of_a_detector_with_masks_are_saved_without_painting_the_masks(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looks(levels: Any, prompt: Any) -> Instances:
        found = Looks()(levels, prompt)
        masks = [torch.ones(len(boxes), 28, 28) for boxes in found.boxes]
        return Instances(found.boxes, found.scores, found.labels, masks)

    monkeypatch.setattr("kivfm_core.predictions.paste_masks", lambda *_: never(0, 0))
    predict_folder(detector(looks), photos, "detection", tmp_path / "masks")
    predict_folder(detector(), photos, "detection", tmp_path / "boxes")
    assert instances(tmp_path / "masks") == instances(tmp_path / "boxes")


def test_prompts_of_a_file_are_each_images_own(photos: Path, tmp_path: Path) -> None:
    seen: list[list[float]] = []

    def click(levels: Any, prompt: Any) -> Masks:
        (points,) = prompt["points"]
        seen.append(points[0].tolist())
        logits = torch.full((1, 16, 16), -1.0)
        logits[:, 4:8, 2:8] = 1
        return Masks([logits])

    teacher = Oracle(oracle_spec({"promptable-segmentation": "none"}, CONTRACT), click)
    file, task, out = tmp_path / "prompts.json", "promptable-segmentation", tmp_path / "out"
    records = [
        {"image": "0.png", "points": [[1, 2]]},
        {"image": "5.png", "points": [[40, 60]]},  # of 64 x 64 pixels
        {"image": "6.png", "points": [[40, 60]]},  # of 16 x 16
    ]
    file.write_text(json.dumps(records))
    done = predict_folder(teacher, photos, task, out, prompt={"prompts": file})
    assert sorted(seen) == [[1, 2], [10, 15]] and done.images == 2
    assert {image["file_name"] for image in instances(out)["images"]} == {"0.png", "deep/5.png"}
    broken = sorted(done.broken)
    assert len(broken) == 5 and broken[0].startswith("2.png: ") and "no prompt for" in broken[0]
    assert broken[2] == "6.png: the point 40,60 is outside the image"
    file.write_text(json.dumps(records[:1]))
    with pytest.raises(UsageError, match="prompt changed"):
        predict_folder(teacher, photos, task, out, prompt={"prompts": file})


@pytest.mark.parametrize("save", ["coco", "yolo", "voc"])
def test_an_image_that_changed_since_is_named(photos: Path, tmp_path: Path, save: str) -> None:
    out = tmp_path / "out"
    predict_folder(detector(), photos, "detection", out, save=save)
    assert predict_folder(detector(), photos, "detection", out, save=save).notes == ()
    Image.new("RGB", (64, 16)).save(tmp_path / "new.png")
    (tmp_path / "new.png").replace(photos / "4.png")
    done = predict_folder(detector(), photos, "detection", out, save=save)
    assert done.images == 0
    assert done.notes == ("images that changed after they were labeled: 1 (first: 4.png)",)
    # Never are labels written beside another image.
    done = predict_folder(detector(), photos, "detection", out, save=save, overwrite=True)
    assert (done.images, done.notes) == (6, ())
    assert "images/4.png is another image than" in done.broken[0].replace("JPEGImages", "images")
    done = predict_folder(detector(), photos, "detection", tmp_path / "b", save=save)
    assert (done.images, done.notes) == (7, ())


def test_everything_in_a_folder(photos: Path, tmp_path: Path) -> None:
    """Of a left half and a right one, each image's masks are saved once, with their scores."""
    task, out = "promptable-segmentation", tmp_path / "out"
    clicked: list[int] = []

    def halves(levels: Any, prompt: Any) -> Masks:
        (clicks,) = prompt["points"]
        clicked.append(len(clicks))
        h, w = levels["dense"].shape[2:]
        left = (torch.arange(w) < w // 2).expand(len(clicks), h, w)
        return Masks([torch.where(left == (clicks[:, :1, None] < w // 2), 6.0, -6.0)])

    teacher = Oracle(oracle_spec({task: "none"}, CONTRACT), halves)
    grid = {"prompt": {"everything": 4}}
    done = predict_folder(teacher, photos, task, out, draw=True, **grid)
    assert (done.images, done.broken, clicked) == (7, (), [16] * 7)
    found = instances(out)
    assert len(found["annotations"]) == 14 and [c["name"] for c in found["categories"]] == [
        "object"
    ]
    large = next(image["id"] for image in found["images"] if image["file_name"] == "deep/5.png")
    own = [a for a in found["annotations"] if a["image_id"] == large]
    assert sorted(a["bbox"] for a in own) == [[0, 0, 32, 64], [32, 0, 32, 64]]
    assert all(a["score"] > 0.9 for a in own)
    assert len([*(out / "drawings").rglob("*.png")]) == 7
    again = predict_folder(teacher, photos, task, out, draw=True, **grid)
    assert (again.images, again.before) == (0, 7)
    with pytest.raises(UsageError, match="prompt changed"):
        predict_folder(teacher, photos, task, out, draw=True, prompt={"everything": 5})


@pytest.mark.parametrize(
    ("task", "save", "said"),
    [("instance-segmentation", "voc", 1), ("instance-segmentation", "yolo", 0),
     ("detection", "voc", 0)],
)  # fmt: skip
def test_what_a_format_cuts_is_said_before_the_work(
    photos: Path, tmp_path: Path, task: str, save: str, said: int
) -> None:
    events: list[str] = []

    class Told(Silent):
        def message(self, text: str) -> None:
            events.append(text)

    def looks(levels: Any, prompt: Any) -> Instances:
        events.append("work")
        found = Looks()(levels, prompt)
        masks = [torch.ones(len(boxes), 16, 16) for boxes in found.boxes]
        return Instances(found.boxes, found.scores, found.labels, masks, "canvas")

    teacher = Oracle(oracle_spec({task: CLASSES}, CONTRACT), looks)
    done = predict_folder(
        teacher, photos / "0.png", task, tmp_path / "out", save=save, progress=Told()
    )
    *notes, last = events
    assert last == "work" and len(notes) == said
    assert all("masks that overlap will be cut" in note and "coco" in note for note in notes)
    assert bool(done.notes) == bool(said)


@pytest.mark.parametrize("save", ["coco", "voc"])
def test_several_processes_save_what_one_does(
    photos: Path, tmp_path: Path, save: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kivfm_core.processes.team.BLOCK", 2)
    Image.new("RGB", (16, 16), (9, 40, 90)).save(photos / "4.jpg")  # beside 4.png
    (photos / "8.png").write_bytes(b"no image")

    def label(out: str, team: Team = ONE_PROCESS) -> Labeled:
        save_as = {"save": save, "team": team}
        return predict_folder(detector(), photos, "detection", tmp_path / out, **save_as)

    def files(out: str) -> dict[str, bytes]:
        found = [path for path in (tmp_path / out).rglob("*") if path.is_file()]
        return {path.relative_to(tmp_path / out).as_posix(): path.read_bytes() for path in found
                if not path.name.startswith(".")}  # fmt: skip

    alone = label("one")
    assert (alone.images, len(alone.broken)) == ((7, 2) if save == "voc" else (8, 1))
    for done in in_threads(lambda team: label("two", team), 3):
        assert (done.images, done.broken, done.notes) == (alone.images, alone.broken, alone.notes)
    assert files("two") == files("one")
    # Killed before the first one took their journals over; gone on with by another number.
    (tmp_path / "one" / NAME).rename(tmp_path / "one" / part_name(1))
    lines = (tmp_path / "one" / part_name(1)).read_bytes().splitlines(keepends=True)
    (tmp_path / "one" / part_name(1)).write_bytes(b"".join(lines[:4]))
    (tmp_path / "one" / NAME).write_bytes(lines[0])
    if save != "voc":
        again = in_threads(lambda team: label("one", team))
        assert [(done.images, done.before) for done in again] == [(5, 3)] * 2
        assert files("one") == files("two")
