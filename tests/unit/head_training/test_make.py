"""A head on a student's own features: a run whose student has one more decoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from head_labels import COLORS, settings, stop_at
from PIL import Image

from kivfm_core.composition.composition import read_composition
from kivfm_core.config import RunConfig, StudentConfig, TeacherChoice
from kivfm_core.distillation.engine import distill
from kivfm_core.errors import DataError, PluginError, UsageError
from kivfm_core.evaluation.evaluate import evaluate
from kivfm_core.head_training import make
from kivfm_core.head_training.make import train_head
from kivfm_core.prediction.predict import predict
from kivfm_core.runs.remove_teacher import remove_teacher
from kivfm_core.student.bundle import load_student
from kivfm_core.teacher import load_teacher

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")

PLACES = {"task": "semantic-segmentation", "kind": "dense-linear", "name": "places"}


@pytest.fixture
def objects(tmp_path: Path) -> str:
    """Images of a rectangle each, which is a class by its color; the last image has none."""
    (tmp_path / "objects/images").mkdir(parents=True)
    images, annotations = [], []
    for i in range(6):
        pixels, (x, y, w, h) = np.zeros((64, 64, 3), np.uint8), (4 * i, 30 - 4 * i, 30, 24)
        images.append({"id": i, "file_name": f"{i}.png", "width": 64, "height": 64})
        if i < 5:
            pixels[y : y + h, x : x + w] = list(COLORS.values())[i % 2]
            outline = [[x, y, x + w, y, x + w, y + h, x, y + h]]
            own = {"id": i, "image_id": i, "category_id": i % 2, "bbox": [x, y, w, h]}
            annotations.append({**own, "segmentation": outline})
        Image.fromarray(pixels).save(tmp_path / f"objects/images/{i}.png")
    categories = [{"id": 0, "name": "red"}, {"id": 1, "name": "green"}]
    record = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "objects/instances.json").write_text(json.dumps(record))
    return str(tmp_path / "objects")


def test_a_head_learns_and_is_used_as_a_teachers_decoder(run: Path, colors: str, tmp_path: Path):
    made = train_head(run, settings(colors), tmp_path / "out")
    assert made.head == "head/mine" and made.classes == ("blue", "green", "red")
    assert made.score > 0.9
    rows = evaluate(tmp_path / "out", [f"classification={colors}"]).rows
    (row,) = [row for row in rows if row.teacher == "head/mine"]
    assert row.student_score == pytest.approx(made.score)
    assert row.teacher_score is None and row.retention is None
    image = Path(colors) / "red/0.png"
    found = predict(tmp_path / "out", image, "classification", teacher="head/mine")
    assert "red" in json.dumps(found.as_dict())
    record = json.loads((tmp_path / "out/heads/head--mine.json").read_text())
    assert record["score"] == made.score and record["images"] == 18


def test_the_student_and_its_stand_ins_stay_as_they_are(run: Path, colors: str, tmp_path: Path):
    train_head(run, settings(colors, steps=10), tmp_path / "out")
    before, after = load_student(run), load_student(tmp_path / "out")
    torch.manual_seed(0)
    canvas = torch.rand(1, 3, 64, 64)
    for name in ("toybase/small", "toypurpose/small"):
        old, new = (one.stand_in(name).encode(canvas, []) for one in (before, after))
        assert all(torch.equal(old[level], new[level]) for level in old)


def test_several_heads_live_side_by_side_and_can_be_removed(
    run: Path, colors: str, maps: str, tmp_path: Path
):
    train_head(run, settings(colors, steps=10), tmp_path / "one")
    made = train_head(tmp_path / "one", settings(maps, **PLACES), tmp_path / "two")
    assert made.score > 0.7
    assert {"head/mine", "head/places"} <= load_student(tmp_path / "two").decoders.keys()
    with pytest.raises(UsageError, match="has a head/mine already"):
        train_head(tmp_path / "two", settings(colors), tmp_path / "three")
    less = remove_teacher(tmp_path / "two", "head/mine", tmp_path / "less")
    assert [spec.name for spec in read_composition(less).teachers][2:] == ["head/places"]
    assert [file.name for file in (less / "heads").iterdir()] == ["head--places.json"]


DETECTORS = (("detection", "fcos"), ("instance-segmentation", "mask-rcnn"))


@pytest.mark.parametrize(("task", "kind"), DETECTORS)
def test_a_detector_learns_and_says_how_many_objects_each_class_has(
    run: Path, objects: str, tmp_path: Path, task: str, kind: str
):
    more = {"task": task, "kind": kind, "batch_size": 3, "lr": None}
    made = train_head(run, settings(objects, steps=4, every=2, **more), tmp_path / "out")
    assert made.classes == ("red", "green") and 0 <= made.score <= 1
    assert "objects are of red (60.0%), fewest of green (40.0%)" in made.notes[-1]
    record = json.loads((tmp_path / "out/heads/head--mine.json").read_text())
    assert record["settings"]["lr"] == 1e-3  # the kind's own
    rows = evaluate(tmp_path / "out", [f"{task}={objects}"]).rows
    (row,) = [row for row in rows if row.teacher == "head/mine"]
    assert row.student_score == pytest.approx(made.score)


def test_labels_without_categories_are_refused(run: Path, objects: str, tmp_path: Path):
    file = Path(objects) / "instances.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "categories": [], "annotations": []}))
    with pytest.raises(DataError, match="names no classes"):
        train_head(run, settings(objects, task="detection", kind="fcos"), tmp_path / "out")


def test_the_same_seed_gives_the_same_head_and_so_does_a_resumed_try(
    run: Path, colors: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    train_head(run, settings(colors), tmp_path / "whole")
    stop_at(20, monkeypatch, lambda: train_head(run, settings(colors), tmp_path / "again"))
    with pytest.raises(UsageError, match="other settings"):
        train_head(run, settings(colors, lr=0.1), tmp_path / "again")
    train_head(run, settings(colors), tmp_path / "again")
    check_equal(tmp_path / "whole", tmp_path / "again")


def test_a_try_on_another_model_is_not_gone_on_with(
    run: Path, colors: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def train(model: Path, **more: bool) -> None:
        train_head(model, settings(colors, steps=20), tmp_path / "out", **more)

    stop_at(10, monkeypatch, lambda: train(run))
    other = train_head(run, settings(colors, steps=10, name="first"), tmp_path / "other").run
    with pytest.raises(UsageError, match=rf"begun on {run}, and not on {other}"):
        train(other)
    with pytest.raises(UsageError, match=rf"begun on {run}, and not on the base of {run}"):
        train(run, base_alone=True)
    run.rename(tmp_path / "moved")
    train(tmp_path / "moved")
    assert load_student(tmp_path / "out").decoders.keys() >= {"head/mine"}


def check_equal(*runs: Path) -> None:
    one, other = (load_student(run).decoders["head/mine"].state_dict() for run in runs)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("augment", [False, True], ids=["kept", "augmented"])
def test_what_a_detector_draws_at_random_is_the_same_in_a_resumed_try(
    run: Path, objects: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, augment: bool
):
    more = {"task": "instance-segmentation", "kind": "mask-rcnn", "batch_size": 2, "steps": 4}
    made = settings(objects, every=2, augment=augment, lr=1e-3, **more)
    train_head(run, made, tmp_path / "whole")
    stop_at(2, monkeypatch, lambda: train_head(run, made, tmp_path / "again"))
    torch.manual_seed(1)  # whatever another process had drawn
    train_head(run, made, tmp_path / "again")
    check_equal(tmp_path / "whole", tmp_path / "again")


def test_images_are_augmented_with_their_labels(run: Path, maps: str, tmp_path: Path):
    more = {"task": "semantic-segmentation", "kind": "dense-linear", "augment": True}
    made = train_head(run, settings(maps, batch_size=4, **more), tmp_path / "out")
    assert made.score > 0.5
    assert "classes; most pixels are of" in made.notes[-1]


def test_the_classes_of_many_images_are_counted_in_some_of_them(
    run: Path, colors: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(make, "COUNTED", 6)
    (Path(colors) / "red/0.png").write_bytes(b"no image")
    made = train_head(run, settings(colors, steps=2, augment=True), tmp_path / "out")
    assert made.notes[-1] == (
        "3 classes; most images are of green (40.0%), fewest of red (20.0%); counted in 5 images"
    )


def test_training_stops_when_the_score_does_not_grow(run: Path, colors: str, tmp_path: Path):
    made = train_head(run, settings(colors, steps=400, patience=2), tmp_path / "out")
    assert made.steps == made.best_step + 20 < 400


def test_a_kind_for_another_task_is_refused(run: Path, colors: str, tmp_path: Path):
    with pytest.raises(UsageError, match="no head of the kind 'dense-linear' solves class"):
        train_head(run, settings(colors, kind="dense-linear"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("role", ["encoder", "decoder"])
def test_a_strangers_head_names_no_code_but_ours(run: Path, colors: str, tmp_path: Path, role: str):
    train_head(run, settings(colors, steps=10), tmp_path / "out")
    card = tmp_path / "out/student/student.json"
    record = json.loads(card.read_text())
    spec = record["composition"]["teachers"][-1]
    (spec if role == "encoder" else spec["tasks"][0])[role] = "os:system"
    card.write_text(json.dumps(record))
    with pytest.raises(PluginError):
        load_student(tmp_path / "out")


def test_the_base_alone_gets_the_same_head_on_canvases_as_large(
    run: Path, colors: str, maps: str, tmp_path: Path
):
    made = train_head(run, settings(maps, **PLACES), tmp_path / "base", base_alone=True)
    train_head(run, settings(maps, **PLACES, steps=10), tmp_path / "student")
    base, student = (read_composition(tmp_path / name) for name in ("base", "student"))
    assert [spec.name for spec in base.teachers] == ["toybase/small", "head/places"]
    assert [plan.name for plan in base.maps] == ["V", "D1"] and base.trainable == 0
    assert base.teachers[-1].input.size == student.teachers[-1].input.size == 96
    # Its features are the base's, and only its head was trained.
    alone, distilled = load_student(tmp_path / "base"), load_student(run)
    canvas = torch.rand(1, 3, 96, 96)
    frozen = distilled.run_trunk(canvas)
    features = alone(canvas)
    assert torch.equal(features["x"], frozen.x) and torch.equal(features["V"], frozen.v)
    (row,) = [r for r in evaluate(tmp_path / "base", [maps]).rows if r.teacher == "head/places"]
    assert row.student_score == pytest.approx(made.score) and made.score > 0.5
    second = train_head(tmp_path / "base", settings(colors, steps=10), tmp_path / "two")
    assert len(load_student(second.run).decoders) == 3


def test_a_teacher_carries_heads_and_stays_what_it_is(
    toys: dict[str, str], maps: str, tmp_path: Path
):
    name, file = "toypurpose/small", toys["toypurpose/small"]
    made = train_head(name, settings(maps, **PLACES), tmp_path / "out", weights=file)
    assert made.score > 0.9  # its fine level knows where colors meet
    student, teacher = load_student(made.run), load_teacher(name, file)
    assert [plan.name for plan in student.composition.maps] == ["V", "fine"]
    canvas = torch.rand(2, 3, 96, 96)
    own, stands_in = teacher.encode(canvas, []), student.stand_in(name).encode(canvas, [])
    assert all(torch.allclose(own[level], stands_in[level], atol=1e-5) for level in own)
    rows = {row.teacher: row for row in evaluate(made.run, [f"semantic-segmentation={maps}"]).rows}
    assert rows["head/places"].student_score == pytest.approx(made.score)
    known = json.loads((made.run / "environment.json").read_text())["weights"]
    assert known[name]["source"] == file
    card = (made.run / "student/README.md").read_text()
    assert "nothing was distilled. Trained on labels: head/places." in card


def test_a_student_on_a_teacher_that_is_as_it_is_learns_further_teachers(
    toys: dict[str, str], config: RunConfig, maps: str, tmp_path: Path
):
    file = toys["toypurpose/small"]
    train_head("toypurpose", settings(maps, **PLACES), tmp_path / "first", weights=file)
    names = ("toypurpose/small", "head/places", "toybase/small")
    data = config.data.model_copy(update={"views": 2})  # the levels that adapters read are cached
    start = StudentConfig(start=str(tmp_path / "first"))
    teachers = tuple(TeacherChoice(name=name) for name in names)
    more = {"teachers": teachers, "data": data, "student": start}
    both = load_student(distill(config.model_copy(update=more), out=tmp_path / "both"))
    before = load_student(tmp_path / "first")
    canvas = torch.rand(1, 3, 96, 96)
    old, new = (one.stand_in("head/places").encode(canvas, []) for one in (before, both))
    assert all(torch.equal(old[level], new[level]) for level in old)


def test_what_carries_no_head_is_refused(run: Path, colors: str, tmp_path: Path):
    with pytest.raises(UsageError, match="is a bundle"):
        train_head(run / "student", settings(colors), tmp_path / "out")
    with pytest.raises(UsageError, match="is a teacher: it has no base"):
        train_head("toybase", settings(colors), tmp_path / "out", base_alone=True)
    whole = read_composition(run)
    scratch = whole.model_copy(update={"base": None})
    (run / "composition.json").write_text(scratch.model_dump_json())
    with pytest.raises(UsageError, match="has no base: it was trained in full"):
        train_head(run, settings(colors), tmp_path / "out", base_alone=True)
    assert not (tmp_path / "out").exists()
