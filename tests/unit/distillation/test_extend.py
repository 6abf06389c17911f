"""A student that learns from a further teacher, and loses nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import toy

from kivfm_core.composition.compose import compose
from kivfm_core.config import RunConfig
from kivfm_core.distillation.engine import distill
from kivfm_core.errors import UsageError
from kivfm_core.files import only_writer
from kivfm_core.runs.remove_teacher import remove_teacher
from kivfm_core.runs.run import open_run
from kivfm_core.student import bundle
from kivfm_core.student.bundle import load_student

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")

OLD, NEW = "toypurpose/small", "toyother/small"


OTHERS = tuple(
    toy.PURPOSE.model_copy(update={"name": f"{family}/small", "aliases": (family,)})
    for family in ("toyother", "toyfourth")
)


@pytest.fixture
def config(config: RunConfig, register: Callable[..., None]) -> RunConfig:
    register(toy.BASE, toy.PURPOSE, *OTHERS)
    return config


@pytest.fixture
def third(tmp_path: Path) -> str:
    toy.save(OTHERS[0], tmp_path / "third.safetensors")
    return str(tmp_path / "third.safetensors")


@pytest.fixture
def earlier(config: RunConfig, tmp_path: Path) -> Path:
    return distill(config, out=tmp_path / "earlier")


def further(earlier: Path, third: str, **flags) -> RunConfig:
    values = open_run(earlier).config.model_dump(by_alias=True, exclude_none=True)
    values["teachers"] = [*values["teachers"], {"name": NEW}]
    values["weights"][NEW] = third
    values["student"]["start"] = str(earlier)
    values["optim"] |= flags
    return RunConfig.model_validate(values)


def says(run: Path, teacher: str) -> dict[str, torch.Tensor]:
    stand_in = load_student(run).stand_in(teacher)
    torch.manual_seed(0)
    return dict(stand_in.encode(torch.rand(2, 3, 64, 64), []))


def test_what_was_known_is_kept_bit_for_bit(earlier: Path, third: str, tmp_path: Path):
    later = distill(further(earlier, third), out=tmp_path / "later")
    for teacher in ("toybase/small", OLD):
        before, after = says(earlier, teacher), says(later, teacher)
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_new_teacher_is_learned(earlier: Path, third: str, tmp_path: Path):
    later = distill(further(earlier, third, steps=40, warmup=5), out=tmp_path / "later")
    lines = (later / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["losses"] for line in lines]
    assert all(set(line) == {NEW} for line in losses)
    assert losses[-1][NEW] < 0.8 * losses[0][NEW]


def test_only_what_is_new_is_trained_and_all_is_counted(earlier: Path, third: str):
    composition = compose(further(earlier, third))
    before = open_run(earlier).composition
    assert composition.frozen_teachers == ("toybase/small", OLD)
    own = [p.name for p in composition.extensions[0].maps]
    assert len(set(own) | {p.name for p in before.maps}) == len(composition.maps)
    assert composition.trainable > before.trainable


def test_a_resumed_extension_keeps_what_was_known(earlier: Path, third: str, tmp_path: Path):
    half = distill(further(earlier, third, steps=3), out=tmp_path / "half")
    resumed = distill(resume=half, steps=6)
    before, after = says(earlier, OLD), says(resumed, OLD)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_untrained_student_knows_none_of_the_teachers(
    earlier: Path, third: str, tmp_path: Path
):
    later = open_run(distill(further(earlier, third), out=tmp_path / "later"))
    before = open_run(earlier).load_student(untrained=True)
    x = torch.rand(1, 3, 64, 64)
    for teacher in ("toybase/small", OLD):
        a = before.stand_in(teacher).encode(x, [])
        b = later.load_student(untrained=True).stand_in(teacher).encode(x, [])
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_it_can_be_done_twice(earlier: Path, third: str, tmp_path: Path):
    fourth = tmp_path / "fourth.safetensors"
    toy.save(OTHERS[1], fourth)
    second = distill(further(earlier, third), out=tmp_path / "second")
    values = further(second, third).model_dump(by_alias=True, exclude_none=True)
    values["teachers"] = [*values["teachers"][:-1], {"name": "toyfourth/small"}]
    values["weights"] |= {NEW: third, "toyfourth/small": str(fourth)}
    last = distill(RunConfig.model_validate(values), out=tmp_path / "third")
    for teacher in (OLD, NEW):
        before, after = says(second, teacher), says(last, teacher)
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_teacher_is_removed_and_the_others_stay(earlier: Path, third: str, tmp_path: Path):
    later = distill(further(earlier, third), out=tmp_path / "later")
    for teacher, left in ((OLD, NEW), (NEW, OLD)):
        less = remove_teacher(later, teacher, tmp_path / f"without-{left.partition('/')[0]}")
        before, after = says(later, left), says(less, left)
        assert all(torch.equal(before[name], after[name]) for name in before)
        run = open_run(less)
        assert [spec.name for spec in run.teachers] == ["toybase/small", left]
        assert run.load_teacher(left).spec.name == left
        assert run.load_student(untrained=True).composition == run.composition
        assert not list(less.rglob(f"{teacher.replace('/', '--')}*"))
        assert f'load("{less}")' in (less / "student/README.md").read_text()
        with pytest.raises(UsageError):
            load_student(less).stand_in(teacher)
    # What only the removed teacher needed is gone.
    assert open_run(less).composition.trainable == open_run(earlier).composition.trainable


def test_the_base_and_strangers_cannot_be_removed(earlier: Path, tmp_path: Path):
    for teacher in ("toybase/small", "clip", OLD):
        with pytest.raises(UsageError, match="cannot be removed"):
            remove_teacher(earlier, teacher, tmp_path / "less")
    assert not (tmp_path / "less").exists()


def test_a_run_without_a_teacher_has_its_folder_for_itself(
    earlier: Path, third: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    later, less = distill(further(earlier, third), out=tmp_path / "later"), tmp_path / "less"
    with only_writer(less, ""), pytest.raises(UsageError, match="another process is writing") as e:
        remove_teacher(later, OLD, less)
    assert e.value.hint.endswith(f"kivfm runs remove {later} {OLD} --out {less}")

    def meanwhile(*given: object) -> None:
        with pytest.raises(UsageError, match="another process is writing"):
            distill(further(earlier, third), out=less)
        bundle.write_bundle(*given)

    monkeypatch.setattr("kivfm_core.runs.derived.write_bundle", meanwhile)
    remove_teacher(later, OLD, less)  # only the lock was there
    assert [spec.name for spec in open_run(less).teachers] == ["toybase/small", NEW]
    assert sorted(tmp_path.glob(".*")) == []
    with pytest.raises(UsageError, match="is there already"):
        remove_teacher(later, OLD, less)


def test_nothing_new_is_refused(earlier: Path, config: RunConfig):
    values = config.model_dump(by_alias=True, exclude_none=True)
    values["student"]["start"] = str(earlier)
    with pytest.raises(UsageError, match="has learned toybase/small, toypurpose/small"):
        compose(RunConfig.model_validate(values))
