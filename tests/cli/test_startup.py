"""What must be light is light: seen from outside, in processes of their own."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "timm", "open_clip", "transformers", "lightning_fabric", "sklearn")
SPY = f"""
import sys
from kivfm_cli.app import main
code = main(sys.argv[1:])
print("HEAVY", *[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
sys.exit(code)
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
        ["compose", "--teachers", "clip,dino,sam,detector,segmenter,classifier"],
        ["runs", "list"],
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


def test_the_core_is_light_to_import():
    code = (
        "import sys, kivfm_core.spec, kivfm_core.hooks, kivfm_core.registry, kivfm_core.config,"
        "kivfm_core.compose, kivfm_core.geometry, kivfm_core.licenses, kivfm_core.data.scenes\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
