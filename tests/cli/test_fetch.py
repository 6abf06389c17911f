"""`kivfm teachers fetch` against a hub on this machine."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TEACHERS = """
from kivfm_core.spec import TaskSpec

@hookimpl
def kivfm_register_teachers():
    def weights(name, **more):
        return Weights(source=f"hf:org/{name}/model.safetensors", split="m:split", **more)
    return [
        spec("open/a", aliases=("open",), weights=weights("open")),
        spec("closed/a", weights=weights("gated", gated=True)),
        spec("surprise/a", weights=weights("gated-since-then")),
        spec("known/a", weights=weights("known", sha256=SHA256)),
        spec("pinned/a", weights=Weights(
            source="hf:org/pinned@v1.0/model.safetensors", split="m:split")),
        spec("words/a", weights=weights("words"), tasks=(TaskSpec(
            task="zero-shot", levels=("x",), decoder="m:f", labels="open", tokenizer="hf:org/words",
        ),)),
    ]
"""
CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def fetch(install, hub, tmp_path):
    """Runs `kivfm teachers fetch` in a process of its own, with its own caches."""
    site = install("people", TEACHERS.replace("SHA256", repr(SHA256)))
    code = "import sys; from kivfm_cli.app import main; sys.exit(main())"

    def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, "teachers", "fetch", *words],
            env={**os.environ, "PYTHONPATH": str(site), "HF_ENDPOINT": hub.address,
                 "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "127.0.0.1", **env},
            capture_output=True, text=True,
        )  # fmt: skip

    return run


def test_once_fetched_the_hub_is_not_asked_again(fetch, hub):
    first = json.loads(fetch("open", "--json").stdout)["teachers"][0]
    assert (first["name"], first["status"]) == ("open/a", "fetched")
    assert (first["bytes"], first["sha256"]) == (len(CONTENT), SHA256)
    assert Path(first["file"]).read_bytes() == CONTENT
    hub.asked.clear()
    again = fetch("open")
    assert again.returncode == 0 and not hub.asked
    assert again.stdout == f"open/a: here already, 7 B, {first['file']}\n  sha256 {SHA256}\n"


def test_what_words_need_comes_along(fetch, hub):
    hub.files = ["tokenizer.json", "tokenizer_config.json", "model.safetensors", "cat.jpg"]
    done = fetch("words/a")
    (line,) = [line for line in done.stdout.splitlines() if "tokenizer" in line]
    folder = Path(line.removeprefix("  tokenizer of zero-shot: "))
    # The weights are linked there, too; of the rest, all that may be a tokenizer's.
    assert {file.name for file in folder.iterdir()} == {*hub.files[:3]}
    hub.asked.clear()
    assert fetch("words/a", KIVFM_OFFLINE="1").stdout.splitlines()[-1] == line
    assert fetch("words/a").stdout.splitlines()[-1] == line
    assert not hub.asked


def test_weights_without_their_tokenizer_are_not_enough_offline(fetch, hub):
    assert "the repository holds none" in fetch("words/a").stderr
    hub.asked.clear()
    done = fetch("words/a", KIVFM_OFFLINE="1")
    assert done.returncode == 1 and not hub.asked
    assert "the tokenizer of words/a (hf:org/words) is not here" in done.stderr
    assert "hint: kivfm teachers fetch words/a" in done.stderr


def test_a_pinned_revision_is_what_is_fetched_and_found(fetch, hub, tmp_path):
    assert json.loads(fetch("pinned/a", "--json").stdout)["teachers"][0]["status"] == "fetched"
    assert any("/org/pinned/resolve/v1.0/" in path for path in hub.asked)
    assert not any("/resolve/main/" in path for path in hub.asked)
    hub.asked.clear()
    assert "here already" in fetch("pinned/a", KIVFM_OFFLINE="1").stdout and not hub.asked
    # Another revision's file is not the pinned one.
    tag = tmp_path / "hf/hub/models--org--pinned/refs/v1.0"
    tag.write_text("0" * 40)
    refused = fetch("pinned/a", KIVFM_OFFLINE="1")
    assert refused.returncode == 1 and "are not here" in refused.stderr


def test_a_wrong_name_costs_no_download(fetch, hub):
    done = fetch("open", "opne")
    assert done.returncode == 2 and "did you mean open" in done.stderr and not hub.asked


def test_offline_no_network_is_touched(fetch, hub):
    done = fetch("open", KIVFM_OFFLINE="1")
    assert done.returncode == 1 and not hub.asked
    assert "weights of open/a (hf:org/open/model.safetensors) are not here" in done.stderr
    assert "KIVFM_OFFLINE=1" in done.stderr and "--weights open/a=FILE" in done.stderr


@pytest.mark.parametrize(
    ("name", "repository"), [("closed/a", "gated"), ("surprise/a", "gated-since-then")]
)
def test_a_gated_model_says_where_to_ask(fetch, hub, name, repository):
    done = fetch(name)
    assert done.returncode == 1 and "GatedRepoError" in done.stderr
    assert f"hint: ask for access at {hub.address}/org/{repository}, then" in done.stderr


def test_a_damaged_file_is_refused_and_the_hint_mends_it(fetch, hub):
    hub.content = b"damaged"
    refused = fetch("known/a")
    assert refused.returncode == 1 and "is not the published file" in refused.stderr
    remove, then = refused.stderr.split("hint: ")[1].strip().split(" && ")
    assert then == "kivfm teachers fetch known/a"
    subprocess.run(remove, shell=True, check=True)
    hub.content = CONTENT
    assert SHA256 in fetch("known/a").stdout
