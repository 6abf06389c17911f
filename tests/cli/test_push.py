"""`kivfm push` to a hub on this machine, and a student loaded from there by its name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from kivfm_core.composition.compose import compose
from kivfm_core.config import build_config
from kivfm_core.scenes.render import render
from kivfm_core.sharing.push import push
from kivfm_core.student.bundle import write_bundle
from kivfm_core.student.card import TrainedOn
from kivfm_core.student.student import Student
from kivfm_core.teacher import load_teacher

MAIN = "import sys; from kivfm_cli.app import main; sys.exit(main())"
LOAD = """
import sys, kivfm_core
from kivfm_core.errors import KivfmError
for name in sys.argv[1:]:
    try:
        model = kivfm_core.load(name, accelerator="cpu").model
        model.load()
        print(model.bundle)
    except KivfmError as error:
        print(f"{type(error).__name__}: {error}; {error.hint}")
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """The student of two nano teachers, not trained, in a folder with something of one's own."""
    folder = tmp_path_factory.mktemp("made") / "student"
    given = {"teachers": "dino/nano,detector/nano", "data.image_size": [64]}
    plan = compose(build_config(None, given, []))
    torch.manual_seed(0)
    student = Student(plan)
    student.decoders = {spec.name: load_teacher(spec).decoders for spec in plan.teachers}
    write_bundle(student, folder, data=TrainedOn(folder="photos", images=7))
    (folder / "notes.txt").write_text("my own")
    (folder / "decoders/link.safetensors").symlink_to("/etc/hostname")
    return folder


@pytest.fixture
def run(hub, tmp_path):
    """Runs Python in a process of its own, with its own caches."""

    def run(code: str, *words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        told = {
            **{"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "mine"},
            **{"NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_XET": "1"},
            **{"HF_HUB_DISABLE_PROGRESS_BARS": "1", "OMP_NUM_THREADS": "1"},
        }
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, words)],
            env={**os.environ, **told, **env}, cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip

    return run


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def test_what_is_pushed_is_loaded_byte_for_byte(run, hub, bundle, tmp_path):
    dry = run(MAIN, "push", bundle, "me/net", "--dry-run", "up")
    assert dry.returncode == 0 and not hub.asked, dry.stderr
    done = run(MAIN, "push", bundle, "me/net")
    assert done.returncode == 0 and f"pushed: {hub.address}/me/net/commit/" in done.stdout, done
    up = contents(tmp_path / "up")
    assert hub.pushed["me/net"] == up and not hub.private
    assert up.keys() == {
        *("student.json", "student.safetensors", "LICENSES.md", "README.md"),
        *("decoders/dino--nano.safetensors", "decoders/detector--nano.safetensors"),
    }
    assert 'load("me/net")' in up["README.md"].decode()
    for name in up.keys() - {"README.md"}:
        assert up[name] == (bundle / name).read_bytes(), name
    first = run(LOAD, "me/net", "me/net@main").stdout.splitlines()
    assert [contents(Path(folder)) for folder in first] == [up, up]
    hub.asked.clear()
    again = run(LOAD, "me/net", KIVFM_OFFLINE="1").stdout.splitlines()
    assert again == first[:1] and not hub.asked


def test_samples_are_drawn_and_shown(run, bundle, tmp_path):
    """Of images that the user names, without their names and metadata."""
    (tmp_path / "mine").mkdir()
    for number in range(2):
        image = Image.fromarray(render(3, number, "flat").image).resize((700, 350))
        exif = Image.Exif()
        exif[315] = "Jane Q. Doe"
        image.save(tmp_path / f"mine/holiday-{number}.jpg", exif=exif)
    for folder in ("up", "again"):
        push(bundle, "me/net", dry_run=tmp_path / folder, samples=tmp_path / "mine")
    up = contents(tmp_path / "up")
    drawn = {name for name in up if name.startswith("samples/")}
    tasks = ("detection", "instance-segmentation")
    assert drawn == {f"samples/detector--nano-{t}-{n}.png" for t in tasks for n in (1, 2)}
    card = up["README.md"].decode()
    assert "## What it sees" in card and all(f"]({name})" in card for name in drawn)
    assert "holiday" not in card and not any(b"Jane Q. Doe" in data for data in up.values())
    with Image.open(tmp_path / "up" / min(drawn)) as image:
        assert image.size == (512, 256)
    assert up == contents(tmp_path / "again")
    done = run(MAIN, "push", bundle, "me/net", "--dry-run", "no", "--samples", "nowhere")
    assert done.returncode and not (tmp_path / "no").exists() and "nowhere" in done.stderr


def test_pushed_again_it_is_what_it_is_now(run, hub, bundle):
    assert run(MAIN, "push", bundle, "me/net").returncode == 0
    hub.pushed["me/net"]["decoders/gone.safetensors"] = b"of a teacher that was removed"
    assert run(MAIN, "push", bundle, "me/net").returncode == 0
    assert "decoders/gone.safetensors" not in hub.pushed["me/net"]


def test_nothing_private_goes_where_all_can_see_it(run, hub, bundle):
    assert run(MAIN, "push", bundle, "me/mine", "--private").returncode == 0
    assert hub.private == {"me/mine"}
    hub.pushed["me/open"] = {}
    done = run(MAIN, "push", bundle, "me/open", "--private")
    assert done.returncode == 2 and "is there already, and public" in done.stderr
    assert not hub.pushed["me/open"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["BUNDLE", "no-name"], 2, "hint: kivfm push"),
        (["BUNDLE", "me/.."], 2, "no name on a hub"),
        ([".", "me/net"], 2, "is no run folder and no bundle"),
        (["BUNDLE", "locked/net"], 1, "hint: log in"),
        (["BUNDLE", "me/net", "--dry-run", "."], 2, "is there already"),
    ],
)
def test_what_cannot_be_pushed(run, hub, bundle, words, code, says):
    done = run(MAIN, "push", *(str(bundle) if w == "BUNDLE" else w for w in words))
    assert done.returncode == code and says in done.stderr
    assert not any(hub.pushed.values())


def test_offline_nothing_is_asked(run, hub, bundle):
    done = run(MAIN, "push", bundle, "me/net", KIVFM_OFFLINE="1")
    assert done.returncode == 1 and "KIVFM_OFFLINE=1 forbids" in done.stderr
    loaded = run(LOAD, "me/net", KIVFM_OFFLINE="1").stdout
    assert "UsageError" in loaded and "KIVFM_OFFLINE=1 forbids" in loaded
    assert not hub.asked


def test_what_the_hub_has_not_or_refuses(run, hub, tmp_path):
    hub.files = ["model.safetensors", "model.py"]
    (tmp_path / "runs").mkdir()
    names = ("me/other", "me/missing", "me/gated", "runs/typo")
    other, missing, gated, typo = run(LOAD, *names).stdout.splitlines()
    assert "UsageError" in other and "it holds no student" in other
    assert not [*tmp_path.rglob("model.*")]
    assert missing.startswith("UsageError: me/missing is no run folder")
    assert "WeightsError" in gated and "ask for access at" in gated
    assert "is no run folder, no bundle, and no teacher" in typo
    assert not [line for line in hub.asked if "typo" in line]


def test_a_student_of_a_stranger_names_no_code_of_its_own(run, hub, bundle):
    assert run(MAIN, "push", bundle, "me/net").returncode == 0
    files = hub.pushed["me/net"]
    record = json.loads(files["student.json"])
    record["composition"]["trunk"]["encoder"] = "os:system"
    files["student.json"] = json.dumps(record).encode()
    loaded = run(LOAD, "me/net").stdout
    assert loaded.startswith("PluginError") and "os:system" in loaded
