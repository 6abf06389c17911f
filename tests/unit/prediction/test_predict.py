"""Prediction: from an image's pixels, through a canvas, back to them, and drawn."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from oracle import Oracle, oracle_spec
from PIL import Image

from kivfm_core.errors import UsageError
from kivfm_core.models.model import Model
from kivfm_core.prediction.colors import color_of
from kivfm_core.prediction.draw import Drawing
from kivfm_core.prediction.predict import predict
from kivfm_core.predictions import ClassLogits, Detections, Instances, Masks, SemanticLogits
from kivfm_core.spec import InputContract

module = import_module("kivfm_core.prediction.predict")  # the package has a function of this name
W, H = 90, 60
CONTRACT = InputContract(policy="letterbox-center", size=48)  # 90 x 60 becomes 48 x 32 at (0, 8)
BOX = torch.tensor([[12.0, 16, 24, 32]])  # on the canvas
ORIGINAL = [22.5, 15.0, 45.0, 45.0]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new("RGB", (W, H), (40, 90, 40)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def solve(task: str, decode: Any, image: Path, space: Any = "none", **more: Any) -> Any:
    teacher = Oracle(oracle_spec({task: space}, CONTRACT), decode)
    out = image.with_name("out.png")
    found = predict(teacher, image, task, out=out, **more)
    json.dumps(found.as_dict())
    assert found.lines()
    with Image.open(out) as drawn:
        assert drawn.width == 7 * W and drawn.height >= 7 * H
        assert len(drawn.getcolors(10**6) or ()) > 1
    assert (found.width, found.height, found.teacher) == (W, H, "oracle/one")
    return found


def test_detection(image: Path) -> None:
    def decode(levels: Any, prompt: Any) -> Detections:
        boxes = torch.cat([BOX * 0.5, BOX, BOX])
        return Detections([boxes], [torch.tensor([0.1, 0.5, 0.9])], [torch.tensor([0, 0, 1])])

    found = solve("detection", decode, image, ("cat", "dog")).found
    assert [item["label"] for item in found] == ["dog", "cat"]
    assert found[0]["box"] == pytest.approx(ORIGINAL)
    assert found[0]["score"] == pytest.approx(0.9)


@pytest.mark.parametrize("task", ["detction", "Detection"])
def test_a_typing_error_names_the_task_that_was_meant(image: Path, task: str) -> None:
    teacher = Oracle(oracle_spec({"detection": ("cat",)}, CONTRACT), None)
    with pytest.raises(UsageError, match=f"unknown task '{task}'") as caught:
        predict(teacher, image, task)
    assert caught.value.hint == "did you mean detection?"


def test_nothing_found(image: Path) -> None:
    def decode(levels: Any, prompt: Any) -> Detections:
        return Detections([BOX], [torch.tensor([0.1])], [torch.tensor([0])])

    teacher = Oracle(oracle_spec({"detection": ("cat",)}, CONTRACT), decode)
    assert predict(teacher, image, "detection").lines() == ["nothing found"]
    assert len(predict(teacher, image, "detection", threshold=0.05).found) == 1
    assert predict(teacher, image, "detection", threshold=0.11).found == []


def test_detection_by_a_decoder_that_gives_masks_draws_boxes_alone(image: Path) -> None:
    def decode(levels: Any, prompt: Any) -> Instances:
        mask = torch.zeros(1, 48, 48)
        mask[:, 18:30, 14:22] = 1
        return Instances([BOX], [torch.tensor([0.9])], [torch.tensor([0])], [mask], "canvas")

    drawn = {}
    for task in ("detection", "instance-segmentation"):
        (item,) = solve(task, decode, image, ("cat",)).found
        assert ("area" in item) == (task == "instance-segmentation")
        drawn[task] = image.with_name("out.png").read_bytes()
    assert drawn["detection"] != drawn["instance-segmentation"]


def test_instances(image: Path) -> None:
    def decode(levels: Any, prompt: Any) -> Instances:
        mask = torch.zeros(1, 48, 48)
        mask[:, 16:32, 12:24] = 1
        return Instances([BOX], [torch.tensor([0.9])], [torch.tensor([0])], [mask], "canvas")

    (item,) = solve("instance-segmentation", decode, image, ("cat",)).found
    assert item["area"] == pytest.approx(22.5 * 30, rel=0.05)


def test_semantic(image: Path) -> None:
    def decode(levels: Any, prompt: Any) -> SemanticLogits:
        logits = torch.zeros(1, 2, 12, 12)
        logits[:, 1, :, :6] = 1
        logits[:, 0, :, 6:] = 1
        return SemanticLogits(logits)

    found = solve("semantic-segmentation", decode, image, ("__background__", "road")).found
    assert {item["label"]: item["share"] for item in found} == {"background": 0.5, "road": 0.5}


@pytest.mark.parametrize("task", ["classification", "zero-shot"])
def test_classes(image: Path, task: str) -> None:
    space = ("a", "b") if task == "classification" else "open"
    more = {} if task == "classification" else {"labels": ["a", "b"]}
    logits = ClassLogits(torch.tensor([[0.0, 3.0]]).log_softmax(1))
    found = solve(task, lambda levels, prompt: logits, image, space, **more).found
    assert [item["label"] for item in found] == ["b", "a"]
    assert sum(item["probability"] for item in found) == pytest.approx(1.0)


def test_a_click_reaches_the_canvas_and_its_mask_comes_back(image: Path) -> None:
    def decode(levels: Any, prompt: Any) -> Masks:
        (points,) = prompt["points"]
        assert points.tolist() == [[pytest.approx(15 * 48 / 90), pytest.approx(8 + 30 * 48 / 90)]]
        logits = torch.full((1, 48, 48), -1.0)
        logits[:, 16:32, 12:24] = 1
        return Masks([logits])

    (item,) = solve("promptable-segmentation", decode, image, points=[(15.0, 30.0)]).found
    assert item["box"] == pytest.approx(ORIGINAL, abs=1.5)
    assert item["point"] == [15, 30]


def test_a_phone_picture_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.new("RGB", (W, H)).save(tmp_path / "a.jpg", exif=exif)
    logits = ClassLogits(torch.zeros(1, 2))
    teacher = Oracle(oracle_spec({"classification": ("a", "b")}), lambda *_: logits)
    found = predict(teacher, tmp_path / "a.jpg", "classification")
    assert (found.width, found.height) == (H, W)


class FakeModel(Model):
    """Two teachers that detect, one that segments."""

    teachers = (
        oracle_spec({"detection": ("cat",)}, name="first/a"),
        oracle_spec({"detection": ("dog",)}, name="second/a"),
        oracle_spec({"zero-shot": "open", "promptable-segmentation": "none"}, name="third/a"),
    )

    sha256 = ""  # pyright: ignore[reportAssignmentType]

    def __init__(self) -> None:
        super().__init__("fake", self.teachers, torch.device("cpu"))

    def load(self) -> Any:
        raise AssertionError("not by a teacher's name")

    def solver(self, teacher: str) -> Any:
        spec = next(spec for spec in self.teachers if spec.name == teacher)
        found = Detections([BOX], [torch.ones(1)], [torch.tensor([0])])
        return Oracle(spec, lambda levels, prompt: found)

    global_level = dense_level = "x"
    # What a prediction does not need.
    canvas = network = own_features = pad_value = passes = rivals = None


def test_the_model_computes_where_it_is_told(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def open_fake(name: str, accelerator: str) -> Model:
        asked.append((name, accelerator))
        return FakeModel()

    monkeypatch.setattr(module, "open_model", open_fake)
    predict("fake", image, "detection", teacher="second", accelerator="meta")
    assert asked == [("fake", "meta")]


def test_the_teacher_is_chosen_by_task_or_by_name(image: Path) -> None:
    run: Any = FakeModel()
    with pytest.raises(UsageError, match="several teachers solve detection") as several:
        predict(run, image, "detection")
    assert several.value.hint == "--teacher one of: first/a, second/a"
    assert predict(run, image, "detection", teacher="second").found[0]["label"] == "dog"
    with pytest.raises(UsageError, match="no teacher of the run solves"):
        predict(run, image, "classification")
    with pytest.raises(UsageError, match="has no teacher 'forth'"):
        predict(run, image, "detection", teacher="forth")
    with pytest.raises(UsageError, match="third/a does not solve detection"):
        predict(run, image, "detection", teacher="third/a")


def test_what_a_task_needs_is_asked_for(image: Path) -> None:
    run: Any = FakeModel()
    with pytest.raises(UsageError, match="needs class names"):
        predict(run, image, "zero-shot")
    with pytest.raises(UsageError, match="needs a click"):
        predict(run, image, "promptable-segmentation")


def test_colors_of_many_classes_differ() -> None:
    assert len({color_of(i) for i in range(256)}) == 256


def test_a_map_in_colors_covers_the_image() -> None:
    image, red = torch.zeros(3, 32, 64, dtype=torch.uint8), torch.zeros(3, 32, 64)
    red[0] = 255
    drawing = Drawing(image)
    drawing.cover(red.to(torch.uint8))
    drawn = drawing.to_pil()
    assert drawn.size == (640, 320) and drawn.getcolors() == [(640 * 320, (255, 0, 0))]


def never(levels: Any, prompt: Any) -> Any:
    raise AssertionError("run all the same")


@pytest.mark.parametrize(
    ("task", "given", "told"),
    [
        ("detection", {"labels": ["a", "b"]}, "takes no labels: its classes are the teacher"),
        ("semantic-segmentation", {"labels": ["a"]}, "takes no labels"),
        ("detection", {"points": [(1.0, 1.0)]}, "takes no points"),
        ("zero-shot", {"labels": ["a"], "points": [(1.0, 1.0)]}, "takes no points"),
    ],
)
def test_a_prompt_that_the_task_does_not_take_is_refused(
    image: Path, task: str, given: Any, told: str
) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        predict(Oracle(oracle_spec({task: ("x", "y")}), never), image, task, **given)
    assert caught.value.hint in ("leave out --labels", "leave out --points")


@pytest.mark.parametrize("point", [(W, 10), (10, H), (-1, 10), (float("nan"), 1), (1, 1e300)])
def test_a_click_outside_the_image_is_refused(image: Path, point: Any) -> None:
    spec = oracle_spec({"promptable-segmentation": "none"}, CONTRACT)
    with pytest.raises(UsageError, match="outside the image") as caught:
        predict(Oracle(spec, never), image, "promptable-segmentation", points=[(5, 5), point])
    assert f"less than {W}, y less than {H}" in caught.value.hint


def test_the_image_is_not_drawn_over(image: Path) -> None:
    before, link = image.read_bytes(), image.with_name("b.png")
    link.symlink_to(image)
    for out in (image, image.parent / "." / image.name, link):
        with pytest.raises(UsageError, match="is the image itself") as caught:
            predict(Oracle(oracle_spec({"detection": ("x",)}), never), image, "detection", out=out)
        assert "-result.png" in caught.value.hint
    assert image.read_bytes() == before


@pytest.mark.parametrize("name", ["out.txt", "out", "", "folder", "out.eps.psd"])
def test_what_no_image_is_written_to_is_refused_before_anything_runs(
    image: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(image.parent)
    Path("folder").mkdir()
    teacher = Oracle(oracle_spec({"detection": ("x",)}), never)
    with pytest.raises(UsageError, match="is no name of an image") as caught:
        predict(teacher, image, "detection", out=name)
    assert caught.value.hint.endswith(".png")
