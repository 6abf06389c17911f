"""One run at a time in a folder; checkpoints lost or beside strangers; starts that fail."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kivfm_core.config import RunConfig
from kivfm_core.distillation import engine
from kivfm_core.distillation.engine import distill
from kivfm_core.errors import DataError, UsageError
from kivfm_core.files import only_writer
from kivfm_core.progress import Silent
from kivfm_core.run_files import RunFiles, checkpoint_steps

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")


class Heard(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_run_folder_has_one_writer(config: RunConfig, tmp_path: Path):
    path = tmp_path / "run"
    with only_writer(path, ""), pytest.raises(UsageError, match="another process is writing"):
        distill(config, out=path)
    assert contents(path) == {} and RunFiles(path).is_new
    distill(config, out=path)
    before = contents(path)
    with only_writer(path, ""), pytest.raises(UsageError, match="another process") as caught:
        distill(resume=path, steps=8)
    assert f"kivfm distill --resume {path}" in caught.value.hint
    assert contents(path) == before
    assert distill(resume=path, steps=8) == path


def test_strangers_beside_checkpoints_are_left_alone(config: RunConfig, tmp_path: Path):
    path = distill(config, out=tmp_path / "run")
    folder = path / "checkpoints"
    names = ("step-000030.bak", "step-7", "step-²", "step-", ".step-000009.old")
    for name in names:
        (folder / name).mkdir()
    (folder / "step-000031").write_text("a file")
    steps = checkpoint_steps(folder)
    assert max(steps) == 6 and RunFiles(path).steps == 6
    distill(resume=path, steps=9)
    assert RunFiles(path).steps == 9
    assert all((folder / name).exists() for name in names[:4])


@pytest.mark.parametrize("latest", [None, "", "step-000099", "../../elsewhere", "step-000006"])
def test_a_lost_latest_takes_the_newest_whole_checkpoint(
    config: RunConfig, tmp_path: Path, latest: str | None
):
    path, heard = distill(config, out=tmp_path / "run"), Heard()
    (path / "checkpoints/latest").unlink()
    if latest is not None:
        (path / "checkpoints/latest").write_text(latest)
    (path / "checkpoints/step-000006/rng.safetensors").unlink()  # cut by whatever took the other
    distill(resume=path, progress=heard)
    assert "checkpoints/latest is lost: step-000004 is the newest whole one" in heard.said
    assert "resuming at step 4" in heard.said
    assert (path / "checkpoints/latest").read_text() == "step-000006"


def test_a_run_without_checkpoints_does_not_begin_again_over_its_student(
    config: RunConfig, tmp_path: Path
):
    path = distill(config, out=tmp_path / "run")
    shutil.rmtree(path / "checkpoints")
    before = contents(path)
    with pytest.raises(UsageError, match="no whole checkpoint to go on from"):
        distill(resume=path)
    assert contents(path) == before


def test_a_run_cannot_end_before_the_steps_it_made(config: RunConfig, tmp_path: Path):
    path = distill(config, out=tmp_path / "run")
    before = contents(path)
    with pytest.raises(UsageError, match="made 6 steps: it cannot end at 3"):
        distill(resume=path, steps=3)
    assert contents(path) == before


@pytest.mark.parametrize("there", [False, True])
def test_a_start_that_fails_leaves_nothing(config: RunConfig, tmp_path: Path, there: bool):
    path = tmp_path / "run"
    if there:
        path.mkdir()
    data = config.data.model_copy(update={"path": str(tmp_path / "nothing")})
    with pytest.raises(DataError):
        distill(config.model_copy(update={"data": data}), out=path)
    assert path.exists() == there and not RunFiles(path).is_run
    assert distill(config, out=path) == path


def test_a_resumed_start_that_fails_keeps_its_plan(config: RunConfig, tmp_path: Path, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError

    path = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(engine, "fit_aligners", broken)
        distill(config, out=path)
    shutil.move(tmp_path / "pictures", tmp_path / "away")
    with pytest.raises(DataError):
        distill(resume=path)
    assert RunFiles(path).is_run
    shutil.move(tmp_path / "away", tmp_path / "pictures")
    assert distill(resume=path) == path
