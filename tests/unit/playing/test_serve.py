"""Where the page is served, which images it offers, and what is missing is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from kivfm_cli.app import main
from kivfm_core.composition.compose import compose
from kivfm_core.config import RunConfig, build_config
from kivfm_core.errors import DataError, KivfmError, UsageError
from kivfm_core.models.open import open_model
from kivfm_core.playing import serve
from kivfm_core.runs.run import Run


def test_a_port_of_this_machine_alone(monkeypatch: pytest.MonkeyPatch):
    with serve.listen(0) as first:
        address, port = first.getsockname()
        assert address == "127.0.0.1"
        with pytest.raises(UsageError, match=f"port {port} cannot be had") as caught:
            serve.listen(port)
        assert "--port" in caught.value.hint
        # The usual one is taken: any other.
        monkeypatch.setattr(serve, "PORT", port)
        with serve.listen(None) as other:
            assert other.getsockname()[1] not in (0, port)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(serve, "find_spec", lambda name: None if name == "uvicorn" else name)
    with pytest.raises(KivfmError, match="uvicorn is not installed") as caught:
        serve.check_installed()
    assert caught.value.hint == "pip install 'kivfm[play]'"


def test_the_images_are_those_given_or_the_runs(config: RunConfig, pictures: Path, tmp_path: Path):
    Run(tmp_path / "run").write_plan(config, compose(config))
    model, said = open_model(tmp_path / "run", "cpu"), list[str]()
    found = serve.images_of(model, None, said.append)
    assert found is not None and len(found) == 12 and not said
    with pytest.raises(DataError, match="no folder or tar"):
        serve.images_of(model, tmp_path / "none", said.append)
    pictures.rename(tmp_path / "elsewhere")
    assert serve.images_of(model, None, said.append) is None
    assert "are not here any more" in said[0]
    given = serve.images_of(model, tmp_path / "elsewhere", said.append)
    assert given is not None and len(given) == 12


def test_a_run_without_images_of_its_own_and_a_teacher_offer_none(
    toys: dict[str, str], tmp_path: Path
):
    config = build_config(None, {"teachers": "toybase,toypurpose", "weights": toys})
    Run(tmp_path / "run").write_plan(config, compose(config))
    assert serve.images_of(open_model(tmp_path / "run", "cpu"), None, print) is None
    assert serve.images_of(open_model("toypurpose", "cpu"), None, print) is None


def test_the_command_says_what_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["play", str(tmp_path), "--no-browser"]) == 2
    assert "is no run folder and no bundle" in capsys.readouterr().err
