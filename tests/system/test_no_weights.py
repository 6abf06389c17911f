"""Where no published weights are and no hub answers: what is said, and what works all the same."""

import json
import os
import subprocess
import sys
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
            | dict.fromkeys(proxies, "http://127.0.0.1:9"),
            cwd=tmp_path / "work", capture_output=True, text=True,
        )  # fmt: skip

    return run


def test_installed_means_the_teachers_whose_weights_are_here(run):
    done = run(KIVFM, "compose", "--teachers", "installed", "--json")
    assert done.returncode == 0, done.stderr
    assert {*json.loads(done.stdout)["teachers"]} == NANO
