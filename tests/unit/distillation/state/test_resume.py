"""Resuming a run: only as it began, unless changes are allowed."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
import toy
from safetensors.torch import load_file, save_file
from torch import Tensor

from kivfm_core.config import RunConfig
from kivfm_core.distillation import engine
from kivfm_core.distillation.engine import distill
from kivfm_core.distillation.state.resume import plan_resume
from kivfm_core.errors import UsageError
from kivfm_core.processes.interrupt import SIGNALS, Interrupt, Interrupted
from kivfm_core.recipes.table import RECIPES
from kivfm_core.registry.entry import Entry
from kivfm_core.registry.registry import Registry
from kivfm_core.runs.run import open_run
from kivfm_core.student.bundle import load_student

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")


def changed(config: RunConfig, **keys) -> RunConfig:
    values = config.model_dump(by_alias=True, exclude_none=True)
    for key, value in keys.items():
        *path, last = key.split("__")
        table = values
        for part in path:
            table = table[part]
        table[last] = value
    return RunConfig.model_validate(values)


def test_what_may_change_and_what_may_not(config: RunConfig, tmp_path: Path, monkeypatch):
    path = distill(changed(config, optim__steps=2), out=tmp_path / "run")
    run = open_run(path)
    began = run.config

    free = changed(
        began, data__workers=2, engine__devices=2, checkpoint__every=7, optim__steps=9,
        optim__micro_batch=1, data__path="/moved",
    )  # fmt: skip
    assert plan_resume(run, free, allow=False).config == free

    other = changed(began, optim__lr=0.1, seed=3, teachers="toypurpose,toybase")
    with pytest.raises(UsageError) as caught:
        distill(other, resume=path)
    for line in ("optim.lr: 0.004, now 0.1", "seed: 0, now 3",
                 "teachers: toybase, toypurpose, now toypurpose, toybase"):  # fmt: skip
        assert line in caught.value.message
    assert f"--resume {path} --allow-changes" in caught.value.hint
    assert open_run(path).config == began

    # Nor does it matter how processes shared a step, where that is not done any more.
    text = (path / "config.toml").read_text()
    (path / "config.toml").write_text(text.replace('strategy = "auto"', 'strategy = "deepspeed"'))
    assert open_run(path).config == began

    # An edited file does not pass for how the run began.
    text = (path / "config.toml").read_text()
    (path / "config.toml").write_text(text.replace("lr = 0.004", "lr = 0.1"))
    with pytest.raises(UsageError, match=r"optim.lr: 0.004, now 0.1"):
        distill(resume=path)

    # Allowed once, it is how the run is from then on.
    distill(resume=path, steps=3, allow_changes=True)
    assert distill(resume=path) == path
    assert open_run(path).environment["changes"] == ["optim.lr: 0.004, now 0.1"]
    assert open_run(path).environment["earlier"] == [open_run(path).environment["argv"]]

    bigger = toy.PURPOSE.input.model_copy(update={"size": 128})
    specs = (toy.BASE, toy.PURPOSE.model_copy(update={"input": bigger}))
    entries = tuple(Entry(spec.name, "kivfm", "1.0", spec=spec) for spec in specs)
    monkeypatch.setattr(
        "kivfm_core.distillation.state.resume.get_registry", lambda: Registry(entries)
    )
    with pytest.raises(UsageError, match=r"toypurpose/small declares input.size: 96, now 128"):
        distill(resume=path)


def test_a_run_of_before_there_was_a_choice_goes_on_as_it_was(config: RunConfig, tmp_path: Path):
    then = {"optim__optimizer": "adamw", "optim__global_level_lr": 1.0}
    path, whole = (
        distill(changed(config, **then, optim__steps=2), out=tmp_path / n) for n in ("run", "new")
    )
    known = json.loads((path / "environment.json").read_text())
    del known["configuration"]["optim"]["optimizer"], known["configuration"]["cache"]["encoding"]
    del known["configuration"]["student"]["latent_map"]
    del known["configuration"]["optim"]["global_level_lr"]
    del known["configuration"]["data"]["whole"], known["configuration"]["data"]["mosaic"]
    (path / "environment.json").write_text(json.dumps(known))
    text = (path / "config.toml").read_text().replace('optimizer = "adamw"\n', "")
    text = text.replace('latent_map = "fixed"\n', "").replace("global_level_lr = 1.0\n", "")
    (path / "config.toml").write_text(text.replace('encoding = "bf16"\n', ""))
    with pytest.raises(UsageError) as caught:
        distill(resume=path, steps=4)
    assert caught.value.message.splitlines()[1:] == [
        "  optim.global_level_lr: 1.0, now 0.002", "  optim.optimizer: adamw, now muon",
    ]  # fmt: skip
    students = []
    for run in (path, whole):
        distill(changed(open_run(run).config, **then), resume=run, steps=4)
        students.append((run / "student/student.safetensors").read_bytes())
    assert students[0] == students[1]  # nothing was forgotten


def test_a_student_of_before_its_recipe_had_a_convolution_may_change_and_goes_on(
    config: RunConfig, tmp_path: Path, monkeypatch
):
    with monkeypatch.context() as patch:
        earlier = RECIPES["kpu"].model_copy(update={"projector": "mlp"})
        patch.setitem(RECIPES, "kpu", earlier)
        path = distill(changed(config, optim__steps=2), out=tmp_path / "run")
    slower = changed(open_run(path).config, optim__lr=1e-3, optim__steps=4)
    distill(slower, resume=path, allow_changes=True)
    made = open_run(path)
    assert {plan.projector for plan in made.composition.aligners} == {"mlp"}
    assert load_student(path).composition == made.composition


def test_another_optimizer_begins_anew_and_only_if_allowed(config: RunConfig, tmp_path: Path):
    path = distill(changed(config, optim__optimizer="adamw", optim__steps=2), out=tmp_path / "run")
    # As a run of before there was a choice: nothing names its optimizer but the checkpoint.
    for file in (path / "config.toml", path / "environment.json"):
        text = file.read_text()
        file.write_text(text.replace('optimizer = "adamw"\n', "").replace('"adamw"', '"muon"'))
    with pytest.raises(UsageError, match="of another optimizer, adamw") as caught:
        distill(resume=path, steps=4)
    assert f"--resume {path} --set optim.optimizer=adamw --allow-changes" in caught.value.hint
    distill(changed(open_run(path).config, optim__optimizer="adamw"), resume=path, steps=3,
            allow_changes=True)  # fmt: skip
    distill(changed(open_run(path).config, optim__optimizer="muon"), resume=path, steps=4,
            allow_changes=True)  # fmt: skip
    assert distill(resume=path, steps=5) == path


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_what_the_optimizer_remembers_stays_with_its_parameter(
    config: RunConfig, tmp_path: Path, optimizer: str
):
    begun = changed(config, optim__optimizer=optimizer, optim__steps=2)
    path = distill(begun, out=tmp_path / "run")
    file = path / "checkpoints/step-000002/optimizer.safetensors"
    remembered = load_file(file)
    names = {key.rpartition(".")[0] for key in remembered}
    trained = {n: p for n, p in load_student(path).named_parameters() if n in names}
    matrices = [name for name, parameter in trained.items() if parameter.ndim > 1]
    numbered = [*matrices, *(name for name in trained if name not in matrices)]

    def go_on(name: str, tensors: dict[str, Tensor], lr: float) -> list[dict[str, Tensor]]:
        again = tmp_path / name
        shutil.copytree(path, again)
        save_file(tensors, again / file.relative_to(path))
        other = changed(open_run(again).config, optim__steps=3, optim__global_level_lr=lr)
        distill(other, resume=again, allow_changes=True)
        last = again / "checkpoints/step-000003"
        return [load_file(last / f"{part}.safetensors") for part in ("optimizer", "student")]

    def renamed(key: str) -> str:
        name, _, what = key.rpartition(".")
        return f"{numbered.index(name)}.{what}"

    plain, learned = go_on("plain", remembered, 2e-3)
    earlier = go_on("earlier", {renamed(key): x for key, x in remembered.items()}, 2e-3)
    further = go_on("further", remembered, 1.0)
    for other in (earlier[0], further[0]):  # a step's gradient does not depend on how far it goes
        torch.testing.assert_close(other, plain, rtol=1e-4, atol=1e-9)
    forgot = go_on("forgot", {k: torch.zeros_like(x) for k, x in remembered.items()}, 2e-3)
    assert not torch.allclose(forgot[0][key := next(iter(plain))], plain[key], rtol=1e-2)
    before = load_file(path / "checkpoints/step-000002/student.safetensors")
    for level, share in (("global", 0.5), ("fine", 1.0)):  # 0.002 of 0.004
        head = f"aligners.toypurpose-small:{level}.head.weight"
        far, most = (float((x[head] - before[head]).norm()) for x in (learned, further[1]))
        assert far == pytest.approx(share * most, rel=0.01)


def test_a_run_that_was_stopped_before_its_first_step_begins_again(
    config: RunConfig, tmp_path: Path, monkeypatch
):
    def preempted(*_):
        os.kill(os.getpid(), signal.SIGUSR1)
        return {}, {}

    with monkeypatch.context() as patch, pytest.raises(Interrupted) as caught:
        patch.setattr(engine, "fit_aligners", preempted)
        distill(changed(config, optim__steps=2), out=tmp_path / "run")
    assert caught.value.exit_code == 130
    assert f"--resume {tmp_path / 'run'}" in caught.value.hint
    path = distill(resume=tmp_path / "run")
    assert (path / "student/student.json").exists()

    # A kill between the two files of the plan leaves no run, and a folder that may be used.
    started = tmp_path / "started"
    started.mkdir()
    shutil.copy(path / "composition.json", started)
    with pytest.raises(UsageError, match="is no run folder"):
        distill(resume=started)
    engine._new_run(started)


def test_what_a_killed_process_wrote_beyond_its_checkpoint_is_dropped(
    config: RunConfig, tmp_path: Path
):
    path = distill(changed(config, optim__steps=4), out=tmp_path / "run")
    file = path / "metrics.jsonl"
    before = [json.loads(line) for line in file.read_text().splitlines()]
    shutil.rmtree(path / "checkpoints/step-000004")
    (path / "checkpoints/latest").write_text("step-000002")
    (path / "checkpoints/.step-000004.partial").mkdir()
    (path / "checkpoints/.latest.3f2184733ea5.partial").write_text("step-0000")
    with file.open("a") as stream:
        stream.write('{"step": 4, "loss"')
    distill(resume=path)
    after = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(x["step"], x["loss"]) for x in after] == [(x["step"], x["loss"]) for x in before]
    assert not list(path.rglob("*.partial"))
    assert board_steps(path) == [2, 4]


def board_steps(path: Path) -> list[int]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(path / "tensorboard"))
    board.Reload()
    return [event.step for event in board.Scalars("loss")]


@pytest.mark.parametrize("number", SIGNALS)
def test_signals(number: signal.Signals, tmp_path: Path):
    with Interrupt(tmp_path) as interrupt:
        interrupt.wait_for_step = True
        os.kill(os.getpid(), number)
        assert interrupt.requested
    with pytest.raises(Interrupted, match="interrupted") as caught, Interrupt(tmp_path):
        os.kill(os.getpid(), number)
    assert caught.value.hint == f"kivfm distill --resume {tmp_path}"


def test_a_second_control_c_does_not_wait(tmp_path: Path):
    with pytest.raises(Interrupted), Interrupt(tmp_path) as interrupt:
        interrupt.wait_for_step = True
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
