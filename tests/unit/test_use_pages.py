"""The pages on using a model work as they stand there: every block, in order, as a reader would."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch
from toy_pictures import write_pictures

from kivfm_cli.app import main
from kivfm_core.composition.compose import compose
from kivfm_core.config import build_config
from kivfm_core.student.bundle import write_bundle
from kivfm_core.student.student import Student
from kivfm_core.teacher import load_teacher

PAGES = Path(__file__).parents[2] / "docs/how-to"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained student of nano teachers."""
    names = "clip/nano,dino/nano,detector/nano,sam/nano"
    plan = compose(build_config(None, {"teachers": names}))
    torch.manual_seed(0)
    student = Student(plan).eval()
    for parameter in student.parameters():
        parameter.data += 0.01 * torch.randn_like(parameter)
    student.decoders = {spec.name: load_teacher(spec).decoders for spec in plan.teachers}
    folder = tmp_path_factory.mktemp("student") / "photos"
    write_bundle(student, folder)
    return folder


def blocks(page: str) -> list[tuple[str, str]]:
    """`(language, text)` of the blocks that are run."""
    text = (PAGES / page).read_text(encoding="utf-8")
    found = re.findall(r"^```(\w+)([^\n]*)\n(.*?)^```", text, re.M | re.S)
    return [(language, code) for language, more, code in found if "not run" not in more]


@pytest.mark.parametrize("page", ["use-a-student-from-python.md", "explore-your-images.md"])
def test_every_block_runs(page: str, bundle: Path, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "photos")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/photos").symlink_to(bundle)
    for name, source in (("a.jpg", "00.png"), ("b.jpg", "02.png")):
        (tmp_path / name).write_bytes((tmp_path / "photos" / source).read_bytes())
    names: dict[str, object] = {"__name__": "page"}
    for language, code in blocks(page):
        if language == "python":
            exec(compile(code, page, "exec"), names)
            continue
        for line in code.splitlines():
            # What is another program's is marked on the page as not run.
            if line.startswith("kivfm "):
                assert main(shlex.split(line)[1:]) == 0, line
    assert len(blocks(page)) > 5
    if page.startswith("explore"):
        out = capsys.readouterr().out
        assert "written: photos.parquet: 12 images" in out and "photos/00.png" in out
    else:
        assert (tmp_path / "drawn.png").is_file()
