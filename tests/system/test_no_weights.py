"""Where no published weights are and no hub answers: what is said, and what works all the same."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

KIVFM = Path(sys.executable).with_name("kivfm")
NANO = {f"{family}/nano" for family in ("clip", "detector", "dino", "sam", "segmenter")}


@pytest.fixture
def run(tmp_path):
    """Runs a command where every cache is empty and nobody listens at the proxy."""
    caches = ("HF_HOME", "HF_HUB_CACHE", "TORCH_HOME", "XDG_CACHE_HOME")
    proxies = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
    unset = ("KIVFM_OFFLINE", "HF_HUB_OFFLINE", "NO_PROXY", "no_proxy")
    kept = {key: value for key, value in os.environ.items() if key not in unset}
    (tmp_path / "work").mkdir()

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*map(str, words)],
            env=kept
            | {name: str(tmp_path / "cache") for name in caches}
            | dict.fromkeys((*proxies, "HF_ENDPOINT"), "http://127.0.0.1:9"),
            cwd=tmp_path / "work", capture_output=True, text=True,
        )  # fmt: skip

    return run


def test_installed_means_the_teachers_whose_weights_are_here(run):
    done = run(KIVFM, "compose", "--teachers", "installed", "--json")
    assert done.returncode == 0, done.stderr
    assert {*json.loads(done.stdout)["teachers"]} == NANO


def test_the_headline_command_fails_at_once_and_says_how_to_go_on(run):
    began = time.monotonic()
    run(sys.executable, "-c", "import kivfm_core.distillation.engine, open_clip, timm, torchvision")
    imported = time.monotonic()
    done = run(KIVFM, "distill", "--teachers", "clip,dino,sam")
    # How long imports take is the machine's affair; what comes on top is ours.
    assert time.monotonic() - imported < 10 + (imported - began)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("error:") == 1 and "Traceback" not in done.stderr
    error, hint = done.stderr.split("error:")[1].split("hint:")
    assert "clip/vit-b-16" in error
    assert "--weights clip/vit-b-16=FILE" in hint and "clip/nano" in hint
