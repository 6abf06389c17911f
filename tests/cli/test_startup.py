"""What must be light is light: seen from outside, in processes of their own."""

import os
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

HEAVY = ("torch", "torchvision", "timm", "open_clip", "transformers", "lightning_fabric", "sklearn")
SPY = f"""
import sys
from kivfm_cli.app import main
try:
    sys.exit(main(sys.argv[1:]))
finally:
    print("HEAVY", *[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["distill", "--help"],
        ["teachers", "list"],
        ["teachers", "list", "--json"],
        ["teachers", "show", "dino"],
        ["plugins", "list"],
        ["evaluate", "--help"],
        ["predict", "--help"],
        ["push", "--help"],
        ["export", "--help"],
        ["demo", "--help"],
        ["embed", "--help"],
        ["compose", "--teachers", "clip,dino,sam,detector,segmenter,classifier"],
        ["teachers", "fetch", "dino/nano"],
        ["runs", "list"],
        ["data", "check", "--help"],
        ["cache", "info", "."],
        ["cache", "build", "--help"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported(words):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SPY, *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "HEAVY"
    assert done.stdout


# What training, other teachers and tables need; `torchvision.transforms.v2` takes as long as torch.
UNUSED = ("torchvision.transforms.v2", "open_clip", "lightning_fabric", "tensorboard")
PREDICT = f"""
import sys
import kivfm_core
from PIL import Image
model = kivfm_core.load("detector/nano", accelerator="cpu")
model.predict(Image.new("RGB", (64, 64)), "detection")
print([name for name in {UNUSED!r} if name in sys.modules])
"""


def test_a_prediction_imports_what_its_model_needs():
    done = subprocess.run([sys.executable, "-c", PREDICT], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("line", ["kivfm teach", "kivfm compose --teach"])
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_is_light(shell, line):
    asked = {
        "_KIVFM_COMPLETE": f"complete_{shell}",
        **{"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))},
        **{"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }
    done = subprocess.run(
        [sys.executable, "-c", SPY], env={**os.environ, **asked}, capture_output=True, text=True
    )
    assert "teachers" in done.stdout and "distill" not in done.stdout
    assert done.stderr == "HEAVY\n"


def test_plugins_are_among_what_is_light():
    names = {point.dist.name for point in entry_points(group="kivfm")}
    ours = {"kivfm-nano", "kivfm-yolox", "kivfm-yolov8", "kivfm-deeplab", "kivfm-transformers"}
    assert ours <= names


def test_the_core_is_light_to_import():
    code = (
        "import sys, kivfm_core.spec, kivfm_core.hooks, kivfm_core.registry.registry,"
        "kivfm_core.config, kivfm_core.composition.compose, kivfm_core.composition.summary,"
        "kivfm_core.geometry, kivfm_core.licenses.terms, kivfm_core.scenes, kivfm_core.task,"
        "kivfm_core.tasks.table, kivfm_core.data.formats.table\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_prediction_and_evaluation_import_no_training():
    code = (
        "import sys, kivfm_core.prediction.predict, kivfm_core.evaluation.evaluate\n"
        "print([name for name in sys.modules"
        " if name.startswith(('kivfm_core.distillation', 'lightning'))])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
