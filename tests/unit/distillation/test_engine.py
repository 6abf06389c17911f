"""The engine on toy teachers: what a run leaves behind, and that it is exact."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from lightning_fabric.plugins import Precision
from safetensors.torch import load_file, save_file

from kivfm_core.config import RunConfig
from kivfm_core.distillation.engine import distill
from kivfm_core.distillation.state.checkpoint import load_checkpoint, save_checkpoint
from kivfm_core.errors import DataError, KivfmError, UsageError, WeightsError
from kivfm_core.files import write_text
from kivfm_core.objectives.losses import DISTANCES
from kivfm_core.processes.interrupt import Interrupted
from kivfm_core.progress import Silent
from kivfm_core.recipes.table import RECIPES
from kivfm_core.runs.run import open_run
from kivfm_core.student.bundle import load_student
from kivfm_core.student.student import Student
from kivfm_core.teacher import LoadedTeacher

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")


def changed(config: RunConfig, **flags) -> RunConfig:
    values = config.model_dump(by_alias=True, exclude_none=True)
    for key, value in flags.items():
        section, name = key.split("__")
        values[section][name] = value
    return RunConfig.model_validate(values)


def state(run: Path) -> dict[str, torch.Tensor]:
    return load_student(run).state_dict()


def same(a: Path, b: Path) -> bool:
    left, right = state(a), state(b)
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


class Heard(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []
        self.work: list[tuple[int, int]] = []

    def message(self, text: str) -> None:
        self.said.append(text)

    def start(self, total: int, done: int = 0) -> None:
        self.work.append((done, total))


class StopAt(Silent):
    """Signals the process to stop once a step is reported."""

    def step(self, info):
        os.kill(os.getpid(), signal.SIGTERM)


def test_run_folder_is_complete(config: RunConfig, tmp_path: Path):
    path = distill(config, out=tmp_path / "run")
    for name in ("config.toml", "composition.json", "environment.json", "metrics.jsonl",
                 "tensorboard", "checkpoints/step-000000", "checkpoints/step-000006",
                 "checkpoints/latest", "student/student.safetensors", "student/student.json",
                 "student/LICENSES.md", "student/README.md",
                 "student/decoders/toypurpose--small.safetensors"):  # fmt: skip
        assert (path / name).exists(), name
    environment = json.loads((path / "environment.json").read_text())
    assert set(environment["weights"]) == {"toybase/small", "toypurpose/small"}
    assert 0.99 < environment["round_trip"]["toypurpose/small:fine"] <= 1.0001
    assert "CC-BY-NC-4.0" in (path / "student/LICENSES.md").read_text()
    assert not list(path.rglob("*.partial"))


def purpose_losses(config: RunConfig, tmp_path: Path) -> list[float]:
    """The purpose teacher's losses over a run."""
    path = distill(config, out=tmp_path / "run")
    lines = (path / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["losses"]["toypurpose/small"] for line in lines]


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_losses_fall(config: RunConfig, tmp_path: Path, recipe: str):
    # So few steps ask for large ones.
    config = changed(config, optim__steps=60, optim__warmup=5, optim__global_level_lr=1.0)
    purpose = purpose_losses(config.model_copy(update={"recipe": recipe}), tmp_path)
    # The cosine of raw levels has little to lose in so few steps.
    assert purpose[-1] < {"am-radio": 0.9, "sak": 0.9}.get(recipe, 0.8) * purpose[0]


def test_losses_fall_with_the_default_rate_of_global_levels(config: RunConfig, tmp_path: Path):
    purpose = purpose_losses(changed(config, optim__steps=120, optim__warmup=5), tmp_path)
    assert purpose[-1] < 0.8 * purpose[0]


def test_a_backbone_is_trained_from_scratch(config: RunConfig, tmp_path: Path):
    values = config.model_dump(by_alias=True, exclude_none=True)
    values |= {"teachers": ["toypurpose"], "student": {"model": "toybase"}}
    values["weights"].pop("toybase/small")
    run = open_run(distill(RunConfig.model_validate(values), out=tmp_path / "run"))
    before, after = run.load_student(untrained=True), run.load_student()
    assert run.base is None and after.adapter is None
    assert not torch.equal(before.trunk.embed.weight, after.trunk.embed.weight)


def test_same_seed_gives_the_same_student(config: RunConfig, tmp_path: Path):
    one, two = (distill(config, out=tmp_path / name) for name in ("one", "two"))
    three = distill(config.model_copy(update={"seed": 1}), out=tmp_path / "three")
    assert same(one, two)
    assert not same(one, three)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a single core
def test_workers_change_nothing(config: RunConfig, tmp_path: Path):
    none, one, four = (
        distill(changed(config, data__workers=workers), out=tmp_path / str(workers))
        for workers in (0, 1, 4)
    )
    assert same(none, one) and same(none, four)


@pytest.mark.parametrize("recipe", ["kpu", "kpu-joint", "kpu-joint-learned", "unic"])
def test_resumed_run_equals_an_uninterrupted_one(config: RunConfig, tmp_path: Path, recipe: str):
    config = changed(config, optim__steps=14).model_copy(update={"recipe": recipe})
    whole = distill(config, out=tmp_path / "whole")
    with pytest.raises(Interrupted) as caught:
        distill(config, out=tmp_path / "cut", progress=StopAt())
    assert caught.value.exit_code == 130
    assert (tmp_path / "cut/checkpoints/latest").read_text() != "step-000014"
    assert same(whole, distill(resume=tmp_path / "cut"))


def test_stored_views_are_asked_for_once(config: RunConfig, tmp_path: Path, monkeypatch):
    seen: list[int] = []
    encode = LoadedTeacher.encode

    def count(self: LoadedTeacher, images: torch.Tensor, frames):
        seen.append(len(images))
        return encode(self, images, frames)

    monkeypatch.setattr(LoadedTeacher, "encode", count)
    config = changed(config, data__views=2, data__image_size=(96,), optim__steps=12)
    one = distill(config, out=tmp_path / "one")
    assert sum(seen) == 2 * 12
    none = distill(changed(config, data__memory=1e-6), out=tmp_path / "none")
    assert sum(seen) > 2 * 24
    assert same(one, none)


def test_resume_is_exact_with_stored_views(config: RunConfig, tmp_path: Path):
    config = changed(config, data__views=1, optim__steps=14)
    whole = distill(config, out=tmp_path / "whole")
    with pytest.raises(Interrupted):
        distill(config, out=tmp_path / "cut", progress=StopAt())
    assert same(whole, distill(resume=tmp_path / "cut"))
    lines = (tmp_path / "cut/metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    assert steps == sorted(set(steps))


def test_resume_can_change_the_length(config: RunConfig, tmp_path: Path):
    path = distill(config, out=tmp_path / "run")
    distill(resume=path, steps=9)
    assert open_run(path).config.optim.steps == 9
    assert (path / "checkpoints/latest").read_text() == "step-000009"


def test_resume_refuses_other_pictures_and_weights(
    config: RunConfig, pictures: Path, tmp_path: Path
):
    path = distill(config, out=tmp_path / "run")
    (pictures / "00.png").rename(pictures / "renamed.png")
    with pytest.raises(UsageError, match=r"images: 12 images, .*, now 12 images, "):
        distill(resume=path)
    (pictures / "renamed.png").rename(pictures / "00.png")
    file = Path(config.weights["toypurpose/small"])
    tensors = load_file(file)
    save_file({k: v + 1 for k, v in tensors.items()}, file)
    with pytest.raises(UsageError, match="weights of toypurpose/small: sha256") as caught:
        distill(resume=path)
    assert "--allow-changes" in caught.value.hint


def test_the_latest_checkpoint_outlives_a_million_steps(tmp_path: Path, composition):
    student = Student(composition)
    optimizer = torch.optim.AdamW(x for x in student.named_parameters() if x[1].requires_grad)
    for step in (0, 999_800, 999_900, 1_000_000):
        save_checkpoint(tmp_path, step, student, optimizer, Precision(), keep=2)
    names = {path.name for path in tmp_path.glob("step-*")}
    assert names == {"step-000000", "step-999900", "step-1000000"}
    assert load_checkpoint(tmp_path, student, optimizer, Precision()) == 1_000_000


def test_a_loss_that_is_not_finite_is_never_saved(config: RunConfig, tmp_path: Path, monkeypatch):
    monkeypatch.setitem(
        DISTANCES, "mse-cosine", lambda student, teacher: student.flatten(1).sum(1) * float("nan")
    )
    with pytest.raises(KivfmError, match=r"6 steps were skipped.*: the loss"):
        distill(config, out=tmp_path / "run")
    for file in (tmp_path / "run/checkpoints").rglob("student.safetensors"):
        assert all(tensor.isfinite().all() for tensor in load_file(file).values())


def test_untrained_student_is_kept(config: RunConfig, tmp_path: Path):
    run = open_run(distill(config, out=tmp_path / "run"))
    before, after = run.load_student(untrained=True), run.load_student()
    assert before.adapter.to_v.weight.abs().max() == 0
    assert after.adapter.to_v.weight.abs().max() > 0


def test_bundle_holds_no_encoder_but_the_base(config: RunConfig, tmp_path: Path):
    path = distill(config, out=tmp_path / "run")
    student = load_student(path)
    assert "fine.weight" not in {k.partition(".")[2] for k in student.state_dict()}
    stand_in = student.stand_in("toypurpose")
    levels = stand_in.encode(torch.rand(1, 3, 96, 96), [])
    assert stand_in.decode("classification", levels).logits.shape == (1, 3)


def test_a_run_folder_in_use_is_refused(config: RunConfig, tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/notes.txt").write_text("mine")
    with pytest.raises(UsageError) as caught:
        distill(config, out=tmp_path / "run")
    # It is no run, so there is nothing to resume.
    assert "--out" in caught.value.hint and "--resume" not in caught.value.hint
    assert (tmp_path / "run/notes.txt").read_text() == "mine"


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_try_without_weights_can_be_made_again_and_a_run_cannot(
    config: RunConfig, tmp_path: Path, monkeypatch
):
    run = tmp_path / "run"
    with pytest.raises(WeightsError, match="toybase/small") as caught:
        distill(config.model_copy(update={"weights": {}}), out=run)
    assert "--weights" in caught.value.hint

    def killed(path: Path, text: str) -> None:
        if path.name == "config.toml":
            raise SystemExit
        write_text(path, text)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("kivfm_core.runs.run.write_text", killed)
        distill(config, out=run)
    assert not (run / "config.toml").exists()  # the first try's would be beside another's plan
    distill(config, out=run)
    assert open_run(run).config.weights == config.weights

    made = contents(run)
    with pytest.raises(UsageError, match="not empty"):
        distill(config, out=run)
    assert contents(run) == made


@pytest.mark.parametrize("names", [["config.toml"], ["composition.json", "environment.json"]])
def test_a_folder_with_more_than_a_plan_is_not_begun_in(
    config: RunConfig, tmp_path: Path, names: list[str]
):
    for name in names:
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / name).write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        distill(config, out=tmp_path / "run")
    assert {*contents(tmp_path / "run").values()} == {b"mine"}


def test_bad_pictures_are_skipped_and_counted(config: RunConfig, pictures: Path, tmp_path: Path):
    (pictures / "empty.png").write_bytes(b"")
    (pictures / "torn.png").write_bytes((pictures / "00.png").read_bytes()[:300])
    heard = Heard()
    distill(config, out=tmp_path / "run", progress=heard)
    assert "2 images were skipped, since they cannot be decoded" in heard.said
    with pytest.raises(DataError, match="more than the limit") as caught:
        distill(changed(config, data__bad_limit=0), out=tmp_path / "strict")
    advised = int(caught.value.hint.rpartition("data.bad_limit=")[2])
    distill(changed(config, data__bad_limit=advised), out=tmp_path / "advised")


def test_empty_folder(config: RunConfig, tmp_path: Path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="no images in"):
        distill(changed(config, data__path=str(tmp_path / "nothing")), out=tmp_path / "run")


def test_without_data_it_distills_on_the_demo_scenes(
    config: RunConfig, tmp_path: Path, monkeypatch
):
    for name, count in (("TRAIN", 5), ("VAL", 1), ("PER_CLASS", 1)):
        monkeypatch.setattr(f"kivfm_core.distillation.demo_data.{name}", count)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache")
    demo, heard, config = tmp_path / "cache/scenes", Heard(), changed(config, data__path=None)
    distill(config, out=tmp_path / "run", progress=heard)
    assert f"no --data: distilling on the demo scenes in {demo}" in heard.said
    assert f"5 images in {demo}/train/images" in heard.said
    drawn = 5 + 1 + len(list((demo / "val/classes").glob("*/*.jpg")))
    assert heard.work == [(0, drawn), (0, config.optim.steps)]

    (demo / "scenes.json").write_text("{}")
    with pytest.raises(DataError, match="something else than the demo scenes") as caught:
        distill(config, out=tmp_path / "again")
    assert f"rm -r {demo}" in caught.value.hint


def test_weights_for_a_teacher_that_is_not_selected(config: RunConfig, tmp_path: Path):
    values = config.model_copy(update={"weights": {**config.weights, "clip": "x.pth"}})
    with pytest.raises(UsageError, match="clip"):
        distill(values, out=tmp_path / "run")


def test_a_run_opens_from_anywhere(config: RunConfig, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = {name: Path(file).name for name, file in config.weights.items()}
    values = config.model_copy(update={"weights": weights})
    distill(changed(values, data__path="pictures"), out="run")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert open_run("../run").load_teacher("toypurpose/small").provenance
    assert distill(resume="../run") == Path("../run")


def test_how_the_teachers_pull_is_written_down(config: RunConfig, tmp_path: Path):
    path = distill(changed(config, optim__steps=20), out=tmp_path / "run")
    *earlier, last = map(json.loads, (path / "metrics.jsonl").read_text().splitlines())
    assert not any("pulls" in line for line in earlier)
    one, two = (spec.name for spec in open_run(path).teachers)
    assert {*last["pulls"]} == {one, two, f"{one}, {two}"}
    # By now the adapter moved x and V, so the base has a gradient, too.
    assert last["pulls"][one] > 0 and last["pulls"][two] > 0
    assert -1 <= last["pulls"][f"{one}, {two}"] <= 1
