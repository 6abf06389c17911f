"""The tutorial for teacher authors, executed: every file is written, every command is run.

In an environment of its own: a virtual one that sees the packages of this one, so that installing
and removing is real, and takes seconds. What is installed from a clone is installed from this one.
"""

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/tutorial/publish-a-teacher.md"
FROM_CLONE = "pip install . "
SHIM = '#!/bin/sh\nexec "{python}" -m {module} "$@"\n'
COMMANDS = {"kivfm": "kivfm_cli.app", "pip": "pip", "pytest": "pytest"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Environment variables under which a shell finds the environment's own commands."""
    home = tmp_path_factory.mktemp("venv")
    venv.EnvBuilder(symlinks=True).create(home)
    python = home / "bin/python"
    ours = [path for path in sys.path if path.endswith("site-packages")]
    lines = [f"import site; site.addsitedir({path!r})" for path in ours]
    (site,) = home.glob("lib/python3*/site-packages")
    (site / "outer.pth").write_text("\n".join(lines))
    for name, module in COMMANDS.items():
        (home / "bin" / name).write_text(SHIM.format(python=python, module=module))
        (home / "bin" / name).chmod(0o755)
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("PYTEST")},
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        # What a package needs is here; to pip, 0 means that it is not to isolate builds.
        **{"PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"},
        **{"KIVFM_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    }


@pytest.fixture(scope="module")
def told(environment, tmp_path_factory):
    """What every command of the page said, in order: `[(command, output)]`."""
    folder = tmp_path_factory.mktemp("author")
    done = []
    blocks = re.findall(r"^```(\w*) ?([^\n]*)\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    for language, title, text in blocks:
        if title:
            (folder / title.removeprefix('title="').removesuffix('"')).write_text(text)
        elif language == "sh":
            # A command is a line, or several up to a closing quote.
            for command in re.findall(r'^[^"\n]*(?:"[^"]*"[^"\n]*)*$', text, re.M):
                if command:
                    where = ROOT if command.startswith(FROM_CLONE) else folder
                    done.append((command, run(command, where, environment)))
    return done


def run(command, folder, environment):
    found = subprocess.run(
        command, shell=True, cwd=folder, env=environment, text=True, capture_output=True
    )
    assert found.returncode == 0, f"{command}\n{found.stdout}\n{found.stderr}"
    return found.stdout


def outputs(told, start):
    return [output for command, output in told if command.startswith(start)]


@pytest.mark.timeout(900)
def test_every_command_of_the_page_works(told):
    assert len(told) >= 15
    assert sum(command.startswith("kivfm ") for command, _ in told) >= 9


def test_the_teacher_is_listed_while_it_is_installed(told):
    first, last = outputs(told, "kivfm teachers list")
    assert "shuffle/tiny (shuffle)" in first and "kivfm-shuffle 0.1.0" in first
    assert "shuffle" not in last and "dino/nano" in last


def test_the_kit_passes_before_and_after_the_edits(told):
    before, after = outputs(told, "kivfm teachers check")
    left = {
        text: set(re.findall(r"^([a-z0-9-]+), not checked", text, re.M)) for text in (before, after)
    }
    assert left[before] == {"attachments"}
    assert left[after] == {"attachments", "checksum", "golden"}
    assert 'Weights(sha256="' in after and "golden={" in after
    assert all(" passed" in text for text in outputs(told, "pytest"))


def test_the_student_solves_the_teachers_task(told):
    (distilled,) = outputs(told, "kivfm distill")
    assert "run: runs/shuffle" in distilled
    (predicted,) = outputs(told, "kivfm predict")
    assert predicted.strip()


@pytest.mark.slow
def test_a_generated_package_is_distilled_as_it_is(environment, tmp_path):
    """Without an edit, and with other words than the page's."""
    commands = (
        "kivfm teachers new my-net --out made",
        "pip install ./made",
        "kivfm teachers list --json",
        "kivfm distill --teachers dino/nano,my-net --data pictures --steps 3 --batch-size 2"
        " --image-size 96 --set optim.calibration=4 --out runs/mine",
        "kivfm predict runs/mine pictures/0.png --task semantic-segmentation",
        "pip uninstall -y kivfm-my-net",
        "kivfm teachers list --json",
    )
    (tmp_path / "pictures").mkdir()
    write_pictures(tmp_path / "pictures")
    said = [run(command, tmp_path, environment) for command in commands]
    before, after = ({t["name"] for t in json.loads(said[i])["teachers"]} for i in (2, 6))
    assert before - after == {"my-net/tiny"}


def write_pictures(folder):
    from PIL import Image

    for index in range(4):
        Image.radial_gradient("L").rotate(20 * index).convert("RGB").save(folder / f"{index}.png")
