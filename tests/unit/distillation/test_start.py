"""What is looked at before a run begins: its folder, its images, and whether there are any."""

from __future__ import annotations

from pathlib import Path

import pytest
import toy

from kivfm_core.config import RunConfig
from kivfm_core.distillation.demo_data import demo_warning
from kivfm_core.distillation.engine import distill
from kivfm_core.errors import DataError, UsageError
from kivfm_core.progress import Silent


class Refused(Exception):
    """Weights were about to be loaded."""


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise Refused

    monkeypatch.setattr("kivfm_core.distillation.prepare.assemble", refuse)


@pytest.mark.parametrize("place", ["no-such", "empty", "texts/readme.md", "texts"])
def test_images_are_looked_for_before_weights(
    place: str, config: RunConfig, tmp_path: Path, no_weights: None
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/readme.md").write_text("no image")
    data = config.data.model_copy(update={"path": str(tmp_path / place)})
    with pytest.raises(DataError, match=f"(no folder or tar|no images in).*{place}"):
        distill(config.model_copy(update={"data": data}), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_no_run_is_not_resumed(config: RunConfig, tmp_path: Path):
    photos = tmp_path / "my photos"
    photos.mkdir()
    (photos / "cat.jpg").write_bytes(b"")
    with pytest.raises(UsageError, match="my photos is not empty, and no run") as caught:
        distill(config, out=photos)
    assert "--resume" not in caught.value.hint
    assert caught.value.hint == f"choose another: --out '{photos}-2'"


def test_real_teachers_without_images_are_warned_about(
    config: RunConfig, tmp_path: Path, no_weights: None
):
    said: list[str] = []

    class Heard(Silent):
        def message(self, text: str) -> None:
            said.append(text)

    data = config.data.model_copy(update={"path": None})
    with pytest.raises(Refused):  # the warning comes first
        distill(config.model_copy(update={"data": data}), out=tmp_path / "a", progress=Heard())
    (warning,) = [line for line in said if line.startswith("warning: without --data")]
    assert toy.BASE.name in warning and toy.PURPOSE.name in warning

    nano = toy.BASE.model_copy(update={"name": "toybase/nano"})
    assert not demo_warning(config.model_copy(update={"data": data}), [nano])
    assert not demo_warning(config, [toy.BASE])


def test_runs_that_begin_in_one_second_have_folders_of_their_own(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda form: "20261130-120000")
    runs = [distill(config) for _ in range(3)]
    assert [run.name for run in runs] == [f"20261130-120000{end}" for end in ("", "-2", "-3")]
    assert all((run / "student").is_dir() for run in runs)
