"""What goes wrong in the middle of a run: values that are not finite, and no memory."""

from __future__ import annotations

import copy
import json
import pickle
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import toy
from cached import stream
from lightning_fabric import Fabric
from safetensors import SafetensorError
from safetensors.torch import load_file
from steps import first_gradients

from kivfm_core.composition.compose import compose
from kivfm_core.config import RunConfig
from kivfm_core.distillation.context import RunContext
from kivfm_core.distillation.engine import distill
from kivfm_core.distillation.training.module import Distillation
from kivfm_core.distillation.training.nonfinite import SkippedSteps
from kivfm_core.distillation.training.schedule import make_optimizer
from kivfm_core.distillation.training.step import Step
from kivfm_core.errors import KivfmError
from kivfm_core.objectives.losses import DISTANCES
from kivfm_core.progress import Silent
from kivfm_core.runs.run import Run
from kivfm_core.student.bundle import load_student
from kivfm_core.student.student import Student
from kivfm_core.teacher import Levels, LoadedTeacher

cuda = torch.cuda.is_available()
pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")


class Heard(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


def with_optim(config: RunConfig, **values) -> RunConfig:
    return config.model_copy(update={"optim": config.optim.model_copy(update=values)})


@pytest.fixture
def sick(monkeypatch: pytest.MonkeyPatch, pictures: Path) -> str:
    """An image for which a teacher gives NaN: a black one."""
    from PIL import Image

    Image.new("RGB", (64, 64)).save(pictures / "05.png")
    (pictures / "more/05.png").unlink()
    encode = LoadedTeacher.encode

    def failing(self, images, frames):
        levels = encode(self, images, frames)
        black = images.flatten(1).amax(1) == 0
        if self.spec.family == "toypurpose":
            fine = levels["fine"].masked_fill(black[:, None, None, None], float("nan"))
            levels = Levels({**levels, "fine": fine}, frames)
        return levels

    monkeypatch.setattr(LoadedTeacher, "encode", failing)
    return "05.png"


def test_a_teacher_that_fails_at_a_picture_is_named_and_the_step_skipped(
    config: RunConfig, tmp_path: Path, sick: str
):
    heard = Heard()
    path = distill(config, out=tmp_path / "run", progress=heard)
    said = [line for line in heard.said if line.startswith("skipped step")]
    # Once while the aligners are fitted, and in each of two epochs.
    assert len(said) == 3
    assert all(line.endswith(f"toypurpose/small:fine is not finite for {sick}") for line in said)
    student = load_file(path / "student/student.safetensors")
    assert all(tensor.isfinite().all() for tensor in student.values())
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert sum(line["skipped"] for line in lines) == 2
    kept = sorted((path / "bad-steps").iterdir())
    report = json.loads((kept[-1] / "report.json").read_text())
    assert report["not_finite"] == {"toypurpose/small:fine": [sick]}
    batch = load_file(kept[-1] / "batch.safetensors")
    row = report["pictures"].index(sick)
    assert batch["toypurpose/small:fine"][row].isnan().all()
    assert batch["canvas"][row].amax() == 0

    with pytest.raises(KivfmError, match=r"1 steps were skipped.*toypurpose/small:fine") as caught:
        distill(with_optim(config, bad_limit=0), out=tmp_path / "strict")
    assert "bad-steps" in caught.value.hint


class Printed(Silent):
    def message(self, text: str) -> None:
        print(text)


class Second(Fabric):
    """As in the second of two processes."""

    global_rank, world_size = 1, 2


def test_what_another_process_alone_knows_is_said_too(
    config: RunConfig, tmp_path: Path, sick: str, capsys: pytest.CaptureFixture[str]
):
    (Path(str(config.data.path)) / "torn.png").write_bytes(b"")
    second = Second(accelerator="cpu", devices=1)
    batches = stream(config, second)
    config = with_optim(config, bad_limit=5)
    context = RunContext(second, Run(tmp_path), config, compose(config), Printed())
    skipped = SkippedSteps(context, batches)
    assert list(skipped.finite_targets(Student(compose(config)), 12))
    out, err = capsys.readouterr()
    assert "rank 1: skipped, cannot be decoded: torn.png\n" in err
    assert f"toypurpose/small:fine is not finite for {sick}\n" in err
    assert all(line.startswith("rank 1: skipped") for line in err.splitlines())
    assert "skipped" not in out


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_skipped_step_changes_neither_what_is_trained_nor_the_optimizer(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
):
    begun = distill(with_optim(config, optimizer=optimizer, steps=2), out=tmp_path / "run")

    def sick(student, teacher):
        return student.flatten(1).sum(1) * float("nan")

    monkeypatch.setitem(DISTANCES, "mse-cosine", sick)
    with pytest.raises(KivfmError, match="2 of 2 steps were skipped") as caught:
        distill(resume=begun, steps=4)
    assert caught.value.exit_code == 1
    there = begun / "checkpoints"
    for part in ("student", "optimizer"):
        before, after = (load_file(there / f"step-00000{n}/{part}.safetensors") for n in (2, 4))
        assert all(torch.equal(before[name], after[name]) for name in before)
    # Nor does anything that was skipped before the first step was made.
    none = tmp_path / "none"
    with pytest.raises(KivfmError, match="2 of 2 steps were skipped"):
        distill(with_optim(config, optimizer=optimizer, steps=2), out=none)
    memory = load_file(none / "checkpoints/step-000002/optimizer.safetensors")
    assert not any(x.any() for name, x in memory.items() if not name.endswith("use_muon"))


@contextmanager
def no_waiting(device: str):
    """Refuses all that waits for a GPU."""
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    yield
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not cuda, reason="there is no GPU"))],
)
def test_with_steps_skipped_between_it_is_as_without(
    config: RunConfig, tmp_path: Path, optimizer: str, device: str
):
    config = with_optim(config, optimizer=optimizer)
    fabric = Fabric(accelerator=device, devices=1)
    torch.manual_seed(0)
    gradients = [torch.randn(8, 8).to(fabric.device) for _ in range(3)]
    begun, ends = torch.nn.Linear(8, 8), []
    for skipped in (0, 2):
        layer = copy.deepcopy(begun).to(fabric.device)
        module, wrapped = fabric.setup(layer, make_optimizer(layer, config))
        context = RunContext(fabric, Run(tmp_path), config, compose(config), Silent())
        step = Step(context, module, wrapped)
        for gradient in gradients:
            for fine in [False] * skipped + [True]:
                taken = torch.tensor(fine, device=fabric.device)
                layer.weight.grad, layer.bias.grad = gradient / taken, gradient[0] / taken
                with no_waiting(device):
                    step._update(taken)
        state = wrapped.state_dict()["state"].values()
        ends.append([*layer.parameters(), *(x for kept in state for x in kept.values())])
    for without, between in zip(*ends, strict=True):
        assert without is between or torch.equal(without, between)


def near(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    scale = max(float(tensor.abs().max()) for tensor in a.values())
    return all(torch.allclose(a[k], b[k], rtol=0, atol=1e-5 * scale) for k in a)


def test_teachers_are_dropped_image_by_image_in_any_parts(config: RunConfig, tmp_path: Path):
    config = with_optim(config.model_copy(update={"recipe": "unic"}), steps=1)
    whole = first_gradients(distill(config, out=tmp_path / "whole"))
    parts = first_gradients(distill(with_optim(config, micro_batch=1), out=tmp_path / "parts"))
    assert near(whole, parts)


def test_when_memory_runs_out_smaller_parts_give_the_same_student(
    config: RunConfig, tmp_path: Path, monkeypatch
):
    config = with_optim(config, steps=1)
    whole = first_gradients(distill(config, out=tmp_path / "whole"))
    asked = first_gradients(distill(with_optim(config, micro_batch=3), out=tmp_path / "asked"))
    assert near(whole, asked) and any(not torch.equal(whole[k], asked[k]) for k in whole)

    room = 2

    def cramp(kind: type[torch.nn.Module]) -> None:
        forward = kind.forward

        def cramped(self, canvas, *rest):
            if len(canvas) > room:
                raise torch.OutOfMemoryError("out of memory")
            return forward(self, canvas, *rest)

        monkeypatch.setattr(kind, "forward", cramped)

    cramp(Distillation)
    cramp(toy.ToyPurpose)
    heard = Heard()
    short = first_gradients(distill(config, out=tmp_path / "short", progress=heard))
    assert near(whole, short)
    said = [line for line in heard.said if line.startswith("out of memory")]
    assert len(said) == 2 and all("parts of 2, 4 views a step" in line for line in said)
    # Each network for itself.
    assert said[0].startswith("out of memory: running toypurpose/small in parts of")
    costs = json.loads((tmp_path / "short/costs.json").read_text())["costs"]
    took = {cost["name"]: cost["took_batch"] for cost in costs if cost["batch"]}
    assert took.pop("toypurpose/small") == 2 and set(took.values()) == {4, None}

    room = 0
    with pytest.raises(KivfmError, match=r"out of memory: .*, one view at a time"):
        distill(resume=tmp_path / "short", steps=2)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


def test_no_pickle_in_a_run_is_loaded(config: RunConfig, tmp_path: Path):
    path, target = distill(with_optim(config, steps=2), out=tmp_path / "run"), tmp_path / "executed"
    files = [*path.glob("student/**/*.safetensors")]
    latest = [*path.glob("checkpoints/step-000002/*.safetensors")]
    assert len(files) == 3 and len(latest) == 3
    for file in files + latest:
        whole = file.read_bytes()
        file.write_bytes(pickle.dumps(Bomb(target)))
        with pytest.raises((KivfmError, SafetensorError)):
            load_student(path) if file in files else distill(resume=path, steps=3)
        assert not target.exists(), file
        file.write_bytes(whole)
    load_student(distill(resume=path, steps=3))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_smaller_precision_is_advised_unless_the_run_has_it(
    config: RunConfig, tmp_path: Path, monkeypatch, precision: str
):
    def cramped(self, *given):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(Distillation, "forward", cramped)
    engine = config.engine.model_copy(update={"precision": precision})
    with pytest.raises(KivfmError) as caught:
        distill(config.model_copy(update={"engine": engine}), out=tmp_path / "run")
    assert "--image-size" in caught.value.hint
    assert ("bf16-mixed" in caught.value.hint) == (precision == "32-true")
