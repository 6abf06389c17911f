"""A student of nano teachers teaches another, by the real commands; what plans stays light."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from toy_pictures import write_pictures

from kivfm_cli.app import main
from kivfm_core.composition.compose import compose
from kivfm_core.config import build_config

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")

SHORT = (
    "--steps", "2", "--batch-size", "4", "--image-size", "64",
    "--set", "optim.calibration=8", "--set", "data.teacher_size=64",
)  # fmt: skip


def test_a_chain_of_two_with_nano_teachers(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pictures, first, second = write_pictures(tmp_path / "p"), tmp_path / "a", tmp_path / "b"
    given = ("--data", str(pictures), *SHORT)
    assert (
        main(["distill", "--teachers", "dino/nano,detector/nano", "--out", str(first), *given]) == 0
    )
    teachers = f"{first},dino/nano"
    assert main(["distill", "--teachers", teachers, "--out", str(second), *given]) == 0
    shutil.rmtree(first)
    image = str(next(pictures.glob("*.png")))
    capsys.readouterr()
    for task in ("detection", "instance-segmentation"):
        assert main(["predict", str(second), image, "--task", task, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["teacher"] == "student/a"


LIGHT = """
import sys
from kivfm_cli.app import main
code = main(sys.argv[1:])
sys.exit(code or "torch" in sys.modules)
"""


@pytest.mark.parametrize(
    "words", [["compose", "--teachers", "{},dino/nano"], ["teachers", "show", "{}"]]
)
def test_plans_with_a_student_import_no_torch(tmp_path: Path, words: list[str]):
    (tmp_path / "a").mkdir()
    plan = compose(build_config(None, {"teachers": "dino/nano,detector/nano"}))
    card = {"schema": 1, "composition": plan.model_dump(mode="json")}
    (tmp_path / "a" / "student.json").write_text(json.dumps(card))
    line = [word.format(tmp_path / "a") for word in words]
    done = subprocess.run([sys.executable, "-c", LIGHT, *line], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "student/a" in done.stdout and "detector/nano/p8" in done.stdout
