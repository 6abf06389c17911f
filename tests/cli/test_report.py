"""`kivfm report`: the page of a run, written whole, without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

import kivfm_core
from kivfm_cli.app import main
from kivfm_core.config import build_config
from kivfm_core.runs.run import Run

LIGHT = """
import sys
from kivfm_cli.app import main
code = main(sys.argv[1:])
sys.exit(code or sum(name in sys.modules for name in ("torch", "timm", "torchvision")))
"""


@pytest.fixture
def run(tmp_path):
    """A run that has only begun."""
    config = build_config(None, {"teachers": "clip,dino", "variant": "nano"})
    path = tmp_path / "my run"
    Run(path).write_plan(config, kivfm_core.compose(config).composition)
    return path


def test_the_page_is_written_whole_without_torch(run):
    words = [sys.executable, "-W", "error", "-c", LIGHT, "report", str(run)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"written: {run / 'report.html'} (")
    html = (run / "report.html").read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>") and html.endswith("</html>\n")
    assert "clip/nano" in html and "dino/nano" in html and "unfinished" in html
    assert [p.name for p in run.iterdir() if p.name.startswith(".")] == []


def test_the_file_can_be_named(run, tmp_path, capsys):
    file = tmp_path / "page.html"
    assert main(["report", str(run), "-o", str(file)]) == 0
    assert file.is_file() and not (run / "report.html").exists()
    assert str(file) in capsys.readouterr().out


def test_a_folder_that_is_no_run_is_an_error(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "is no run folder" in capsys.readouterr().err


def test_a_place_that_is_not_there_is_an_error(run, capsys):
    assert main(["report", str(run), "-o", str(run / "none" / "page.html")]) == 1
    assert "there is no such file or folder" in capsys.readouterr().err


def test_watch_ends_with_the_run(run, capsys):
    assert main(["report", str(run), "--watch"]) == 0
    assert "written: " in capsys.readouterr().out and (run / "report.html").is_file()


@pytest.mark.parametrize("flags", [["--watch", "--data", "."], ["--no-images", "--data", "."]])
def test_flags_that_contradict_each_other_are_an_error(run, flags, capsys):
    assert main(["report", str(run), *flags]) == 2
    assert "hint:" in capsys.readouterr().err


def test_images_for_a_run_without_a_student_are_an_error(run, tmp_path, capsys):
    assert main(["report", str(run), "--data", str(tmp_path)]) == 2
    assert "has no student yet" in capsys.readouterr().err


def test_a_student_that_cannot_be_run_leaves_the_records(run, tmp_path, capsys):
    (tmp_path / "images").mkdir()
    (run / "student").mkdir()
    (run / "student/student.json").write_text("{}")
    text = (run / "config.toml").read_text()
    assert text.count("[data]\n") == 1
    (run / "config.toml").write_text(
        text.replace("[data]\n", f"[data]\npath = '{tmp_path / 'images'}'\n")
    )
    assert main(["report", str(run)]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("for drawings, networks are run on at most 32 images of ")
    assert said[0].endswith("; --no-images leaves that out")
    assert said[1].startswith("no networks are run: no images in")
    assert main(["report", str(run), "--data", str(tmp_path / "images")]) == 1
    assert main(["report", str(run), "--no-images"]) == 0
