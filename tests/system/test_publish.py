"""The tutorial for teacher authors, executed: every file is written, every command is run.

In an environment of its own, as on a clean machine: a virtual one that sees this one's packages but
none of ours, so that installing and removing is real, and takes seconds. What is installed from a
clone is installed from this one.
"""

import json
import re
from pathlib import Path

import pytest
from clean import make_environment, run

pytestmark = pytest.mark.timeout(900)  # whichever test comes first waits for the whole page
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/tutorial/publish-a-teacher.md"
FROM_CLONE = "pip install . "


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Environment variables under which a shell finds the environment's own commands."""
    return make_environment(tmp_path_factory.mktemp("venv"))


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


def outputs(told, start):
    return [output for command, output in told if command.startswith(start)]


def test_every_command_of_the_page_works(told, environment, tmp_path):
    where = run("python -c 'import kivfm_core; print(kivfm_core.__file__)'", tmp_path, environment)
    assert str(ROOT) not in where
    assert len(told) >= 15
    assert sum(command.startswith("kivfm ") for command, _ in told) >= 8


def test_the_teacher_is_listed_while_it_is_installed(told):
    first, last = outputs(told, "kivfm teachers list")
    assert "shuffle/tiny (shuffle)" in first and "kivfm-shuffle 0.1.0" in first
    assert "shuffle" not in last and "dino/nano" in last


def test_the_kit_passes_before_and_after_the_edits(told):
    before, after = outputs(told, "pytest")
    (checked,) = outputs(told, "kivfm teachers check")
    assert " passed" in before and " passed" in after
    left = [set(re.findall(r"::test_conforms\[([a-z0-9-]+)\]: ", text)) for text in (before, after)]
    assert left == [{"attachments"}, {"attachments", "checksum", "golden"}]
    assert set(re.findall(r"^([a-z0-9-]+), not checked", checked, re.M)) == left[1]
    assert 'Weights(sha256="' in checked and "golden={" in checked


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
        "kivfm distill --teachers my-net,dino/nano --data pictures --steps 3 --batch-size 2"
        " --image-size 96 --set optim.calibration=4 --out runs/mine",
        "kivfm predict runs/mine pictures/0.png --task semantic-segmentation",
        "pip uninstall -y kivfm-my-net",
        "kivfm teachers list --json",
    )
    (tmp_path / "pictures").mkdir()
    write_pictures(tmp_path / "pictures")
    run(f"{FROM_CLONE}./plugins/kivfm-nano", ROOT, environment)
    said = [run(command, tmp_path, environment) for command in commands]
    before, after = ({t["name"] for t in json.loads(said[i])["teachers"]} for i in (2, 6))
    assert before - after == {"my-net/tiny"}


def write_pictures(folder):
    from PIL import Image

    for index in range(4):
        Image.radial_gradient("L").rotate(20 * index).convert("RGB").save(folder / f"{index}.png")
