"""A student teaches another: its features, its stand-ins' levels, its decoders, its license."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import toy
from torch import Tensor, nn

from kivfm_core.composition.compose import compose
from kivfm_core.composition.composition import Composition
from kivfm_core.composition.student_teacher import student_teacher, whole_images
from kivfm_core.config import RunConfig, build_config
from kivfm_core.distillation.engine import distill
from kivfm_core.errors import PluginError, UsageError, WeightsError
from kivfm_core.evaluation.evaluate import evaluate
from kivfm_core.geometry import Click, Frame, MaskPrompt, plan_frame
from kivfm_core.licenses.terms import inherited
from kivfm_core.registry.registry import get_registry
from kivfm_core.runs.run import open_run
from kivfm_core.spec import InputContract
from kivfm_core.student.as_teacher import BorrowedDecoder
from kivfm_core.student.bundle import load_student, read_bundle, write_bundle
from kivfm_core.student.student import Student
from kivfm_core.teacher import Decoders, Teacher, load_teacher

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")

A = "student/a"


@pytest.fixture
def first(config: RunConfig, tmp_path: Path) -> Path:
    """A run whose student is to teach."""
    return distill(config, out=tmp_path / "runs" / "a")


@pytest.fixture
def copied(composition: Composition, tmp_path: Path) -> Path:
    """The bundle of an untrained student, in a folder of its own."""
    return write_untrained(composition, tmp_path / "copies" / "a")


@pytest.fixture
def taught(copied: Path, toys: dict[str, str], pictures: Path, tmp_path: Path) -> Path:
    """The bundle of an untrained student of that student."""
    return write_untrained(compose(second(copied, toys, pictures)), tmp_path / "copies" / "b")


def write_untrained(composition: Composition, folder: Path) -> Path:
    student = Student(composition).eval()
    student.decoders = {spec.name: Decoders(spec) for spec in composition.teachers}
    write_bundle(student, folder)
    return folder


def second(first: Path, toys: Mapping[str, str], pictures: Path, **more: Any) -> RunConfig:
    """The configuration of a student of the first and of the base."""
    flags = {
        "teachers": f"{first},toybase",
        "weights": {"toybase/small": toys["toybase/small"]},
        "data.path": str(pictures),
        "optim.steps": 4,
        "optim.batch_size": 4,
        "optim.calibration": 12,
        "optim.warmup": 2,
    }
    return build_config(None, flags | more)


def canvases(
    teacher: Teacher, number: int = 2, shape: tuple[int, int] = (64, 64)
) -> tuple[Tensor, list[Frame]]:
    torch.manual_seed(3)
    frame = plan_frame(shape, teacher.spec.input)
    return torch.rand(number, 3, *frame.canvas), [frame] * number


def outputs(model: Teacher, given: Teacher) -> dict[str, Tensor]:
    """Levels, and the predictions of all tasks, of the canvases of a teacher."""
    images, frames = canvases(given)
    levels = model.encode(images, frames)
    found = {task.task: model.decode(task.task, levels) for task in model.spec.tasks}
    return {
        **levels,
        **{k: torch.cat([n.flatten() for n in p.numbers()]) for k, p in found.items()},
    }


@pytest.mark.parametrize("shape", [(64, 64), (48, 90)])
def test_it_gives_its_features_and_the_levels_of_its_stand_ins(
    copied: Path, shape: tuple[int, int]
):
    teacher = load_teacher(str(copied))
    assert teacher.spec.name == A
    names = ["x", "V", *(m.name for m in read_bundle(copied).composition.maps[1:])]
    stand_in = read_bundle(copied).stand_in("toypurpose")
    borrowed = [f"toypurpose/small/{level.name}" for level in toy.PURPOSE.levels]
    # The base's own levels are x and V: they are not taught twice.
    assert [level.name for level in teacher.spec.levels] == [*names, *borrowed]
    images, frames = canvases(teacher, shape=shape)
    own, theirs = teacher.encode(images, frames), stand_in.encode(images, frames)
    for level in toy.PURPOSE.levels:
        found = own[f"toypurpose/small/{level.name}"]
        assert torch.allclose(found, theirs[level.name], atol=1e-4, rtol=1e-4)
        assert teacher.spec.level(f"toypurpose/small/{level.name}").stride == level.stride
    for task in ("classification", "semantic-segmentation"):
        got, true = teacher.decode(task, own), stand_in.decode(task, theirs)
        for one, other in zip(got.numbers(), true.numbers(), strict=True):
            assert torch.allclose(one, other, atol=1e-3)


def test_a_chain_of_two_solves_the_tasks_of_the_first(
    first: Path, toys: dict[str, str], pictures: Path, tmp_path: Path
):
    config = second(first, toys, pictures)
    later = distill(config, out=tmp_path / "runs" / "b")
    shutil.rmtree(first)  # what was written is whole without it
    student = read_bundle(Path(shutil.copytree(later / "student", tmp_path / "copy")))
    stand_in = student.stand_in(A)
    assert [task.task for task in stand_in.spec.tasks] == [t.task for t in toy.PURPOSE.tasks]
    found = outputs(stand_in, stand_in)
    assert all(value.isfinite().all() for value in found.values())
    assert "CC-BY-NC-4.0" in (later / "student" / "LICENSES.md").read_text()
    with pytest.raises(WeightsError, match="student/a"):
        open_run(later).load_teacher(A)


@pytest.mark.parametrize("form", ["points", "prompts"])
def test_clicks_reach_a_decoder_in_the_form_that_it_takes(form: str):
    class Points(nn.Module):
        def prompt(self, points):
            return points[0].tolist()

    class Prompts(nn.Module):
        def prompt(self, prompts):
            return [[click.x, click.y] for one in prompts[0] for click in one.clicks]

    decoder = Points() if form == "points" else Prompts()
    borrowed = BorrowedDecoder(decoder, {}, "toy/clicks")
    assert borrowed.prompt(points=[torch.tensor([[3.0, 4.0]])]) == [[3.0, 4.0]]
    assert borrowed.prompt(prompts=[[MaskPrompt((Click(3.0, 4.0),))]]) == [[3.0, 4.0]]
    assert BorrowedDecoder(nn.Identity(), {}, "toy/none").prompt(labels=["a"]) is None


def test_a_third_student_learns_from_the_second(
    first: Path, toys: dict[str, str], pictures: Path, tmp_path: Path
):
    later = distill(second(first, toys, pictures), out=tmp_path / "runs" / "b")
    shutil.rmtree(first)
    spec = get_registry().resolve(str(later))
    assert f"{A}/toypurpose/small/fine" in [level.name for level in spec.levels]
    last = distill(second(later / "student", toys, pictures), out=tmp_path / "runs" / "c")
    shutil.rmtree(later)
    stand_in = load_student(last).stand_in("student/b")
    assert {t.task for t in stand_in.spec.tasks} == {t.task for t in toy.PURPOSE.tasks}
    assert all(value.isfinite().all() for value in outputs(stand_in, stand_in).values())


def agreement(model: Teacher, teacher: Teacher) -> float:
    """Mean cosine of the centered levels."""
    found, true = outputs(model, teacher), outputs(teacher, teacher)
    cosines = [
        torch.cosine_similarity(
            (found[name] - true[name].mean()).flatten(),
            (true[name] - true[name].mean()).flatten(),
            dim=0,
        )
        for name in (level.name for level in teacher.spec.levels)
    ]
    return float(torch.stack(cosines).mean())


def test_a_student_of_a_student_keeps_what_the_first_kept(
    first: Path, toys: dict[str, str], pictures: Path, tmp_path: Path
):
    more = {"optim.steps": 20, "optim.warmup": 5}
    later = open_run(distill(second(first, toys, pictures, **more), out=tmp_path / "runs" / "b"))
    lines = (later.path / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["losses"][A] for line in lines]
    assert losses[-1] < 0.8 * losses[0]
    teacher = load_teacher(str(first))
    before, after = (
        agreement(later.load_student(untrained=u).stand_in(A), teacher) for u in (True, False)
    )
    assert after > max(0.5, before + 0.1), (before, after)


def test_the_license_and_the_plan(copied: Path, toys: dict[str, str], pictures: Path):
    plan = compose(second(copied, toys, pictures))
    (spec, _) = plan.teachers
    terms = inherited(plan.teachers)
    assert terms == inherited([toy.PURPOSE, toy.BASE]) and terms.commercial_use == "no"
    assert (spec.weights.license, spec.weights.commercial_use) == ("CC-BY-NC-4.0", "no")
    assert plan.base == "toybase/small" and spec.input.policy == "short-side"


LETTERBOX = InputContract(policy="letterbox", size=96, multiple=32)
SHORT_SIDE = InputContract(policy="short-side", size=112, max_size=160)
CROP = InputContract(policy="short-side-crop", size=64, resize=128)


@pytest.mark.parametrize("contract", [LETTERBOX, SHORT_SIDE, CROP])
@pytest.mark.parametrize("shape", [(90, 120), (200, 100), (64, 64), (128, 160)])
def test_no_task_sees_less_than_in_its_teachers_own_role(
    composition: Composition, contract: InputContract, shape: tuple[int, int]
):
    """The canvas of a student that teaches is as fine as every stand-in's own."""
    teachers = (
        composition.teachers[0],
        composition.teachers[1].model_copy(update={"input": contract}),
    )
    plan = composition.model_copy(update={"teachers": teachers})
    own = student_teacher(plan, A).input
    found = plan_frame(shape, own)
    finest = min(plan_frame(shape, contract).resized), max(plan_frame(shape, contract).resized)
    assert min(found.resized) >= finest[0] and max(found.resized) >= finest[1]
    assert not any(side % contract.multiple for side in found.canvas)
    assert own.train_side() == whole_images(plan).size  # it teaches on what it was trained on


def test_evaluation_and_resuming_find_the_first(
    first: Path, toys: dict[str, str], pictures: Path, tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(first.parent)
    later = distill(second(Path("a"), toys, pictures), out=tmp_path / "b")
    monkeypatch.chdir(tmp_path)  # its config has the whole path
    assert distill(resume=later, steps=5) == later
    labels = {path.name: toy.LABELS[i % 3] for i, path in enumerate(sorted(pictures.glob("*.png")))}
    (pictures / "labels.json").write_text(json.dumps(labels))
    rows = {(row.teacher, row.task): row for row in evaluate(later, [str(pictures)]).rows}
    row = rows[A, "classification"]
    assert None not in (row.teacher_score, row.student_score, row.untrained_score)


def test_a_further_teacher_after_a_student(
    first: Path, toys: dict[str, str], pictures: Path, tmp_path: Path
):
    later = distill(second(first, toys, pictures), out=tmp_path / "runs" / "b")
    shutil.rmtree(first)  # its stand-in stays as it is
    names = {"teachers": f"{A},toybase/small,toypurpose/small", "student.start": str(later)}
    plan = compose(build_config(later / "config.toml", names))
    assert plan.frozen_teachers == (A, "toybase/small")
    assert [spec.name for spec in plan.learned] == ["toypurpose/small"]


def test_what_cannot_be(copied: Path, toys: dict[str, str], pictures: Path, tmp_path: Path):
    twin = Path(shutil.copytree(copied, tmp_path / "elsewhere" / "a"))
    with pytest.raises(UsageError, match="named twice: student/a") as caught:
        compose(second(copied, toys, pictures, teachers=f"{copied},{twin},toybase"))
    assert caught.value.hint == "rename one of the runs"
    with pytest.raises(UsageError, match="no general teacher") as caught:
        compose(second(copied, toys, pictures, teachers=str(copied), weights={}))
    assert caught.value.hint == f"--teachers dino,{copied}"
    with pytest.raises(UsageError, match="cannot be trained in full"):
        compose(second(copied, toys, pictures, **{"student.model": str(twin)}))
    with pytest.raises(UsageError, match="cannot be the base"):
        compose(second(copied, toys, pictures, **{"student.base": str(copied)}))


FOREIGN = "foreign_module_of_nobody:call"


@pytest.mark.parametrize("role", ["encoder", "decoder", "split"])
@pytest.mark.parametrize("inner", [False, True])
def test_a_strangers_student_names_no_code(taught: Path, role: str, inner: bool):
    file = taught / "student.json"
    record = json.loads(file.read_text())
    spec = record["composition"]["teachers"][0]
    if inner:
        spec = spec["config"]["composition"]["teachers"][1]
    holder = {"encoder": spec, "decoder": spec["tasks"][0], "split": spec["weights"]}[role]
    holder[role] = FOREIGN
    file.write_text(json.dumps(record))
    for opener in (read_bundle, lambda folder: get_registry().resolve(str(folder))):
        with pytest.raises(PluginError, match=FOREIGN):
            opener(taught)


@pytest.mark.parametrize("junk", [None, 7, {}, {"teachers": []}, {"composition": {}}])
def test_a_plan_within_that_is_none_is_damaged(taught: Path, junk: Any):
    file = taught / "student.json"
    record = json.loads(file.read_text())
    record["composition"]["teachers"][0]["config"]["composition"] = junk
    file.write_text(json.dumps(record))
    with pytest.raises(UsageError, match="damaged"):
        read_bundle(taught)


@pytest.mark.parametrize("size", [10**9, 10**30])
def test_a_plan_within_asks_for_no_memory(copied: Path, size: int):
    file = copied / "student.json"
    record = json.loads(file.read_text())
    record["composition"]["adapter"]["widths"][0] = size
    file.write_text(json.dumps(record))
    with pytest.raises((UsageError, WeightsError)):
        load_teacher(str(copied))


def test_a_students_folder_is_not_read_because_a_stranger_says_so(copied: Path):
    spec = get_registry().resolve(str(copied))
    secret = copied / "student.safetensors"
    weights = spec.weights.model_copy(update={"source": f"run:{secret}"})
    with pytest.raises(WeightsError, match="its folder is not named"):
        load_teacher(spec.model_copy(update={"weights": weights}))
