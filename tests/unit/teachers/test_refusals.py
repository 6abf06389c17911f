"""Weights that cannot be had or do not fit are refused, and nothing of them is executed."""

import os
import pickle
import time

import pytest
import timm
import torch
from torch import nn

from kivfm_core.errors import WeightsError
from kivfm_core.registry.registry import get_registry
from kivfm_core.teacher import load_teacher
from kivfm_core.weights.fetch import obtain
from kivfm_core.weights.loading import load_parts, read_state
from kivfm_teachers.classifier import plugin as classifier
from kivfm_teachers.clip import plugin as clip
from kivfm_teachers.detector import plugin as detector
from kivfm_teachers.dino import plugin as dino
from kivfm_teachers.sam import plugin as sam
from kivfm_teachers.segmenter import plugin as segmenter

FAMILIES = (clip, dino, sam, detector, segmenter, classifier)
DEFAULTS = [family.kivfm_register_teachers()[0] for family in FAMILIES]
FAMILY = pytest.mark.parametrize("spec", DEFAULTS, ids=lambda s: s.family)


@FAMILY
def test_another_architecture_is_refused(spec, save):
    other = timm.create_model("resnet10t")
    with pytest.raises(WeightsError) as caught:
        load_teacher(spec, weights=save(other))
    assert spec.family in caught.value.message
    assert "--weights" in caught.value.hint
    assert len(caught.value.message) < 1000


@FAMILY
def test_a_truncated_file_is_refused(spec, save):
    path = save(nn.Linear(64, 64))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(WeightsError, match="truncated"):
        load_parts(spec, path)


JUNK = {
    "an HTML page": b"<!DOCTYPE html>\n<title>404 Not Found</title>\n",
    "a git-LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 5\n",
    "h": b"here are no weights",
    "c": b"checkpoints are not here",
    "nothing": b"",
}


@pytest.mark.parametrize("content", JUNK.values(), ids=JUNK)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_no_weights_file_is_not_called_code(content, suffix, tmp_path):
    path = tmp_path / f"junk{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        read_state(path)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@FAMILY
def test_code_in_a_pickle_is_not_executed(spec, tmp_path):
    target = tmp_path / "executed"
    torch.save({"weight": Bomb(target)}, tmp_path / "zip.pth")
    for protocol in (2, pickle.HIGHEST_PROTOCOL):
        bare = pickle.dumps({"weight": Bomb(target)}, protocol)
        (tmp_path / f"bare-{protocol}.pth").write_bytes(bare)
    # What is newer than torch's own pickles is not read up to its code.
    for file, why in (
        ("zip.pth", "code in it"),
        ("bare-2.pth", "code in it"),
        (f"bare-{pickle.HIGHEST_PROTOCOL}.pth", "cannot be read as weights"),
    ):
        with pytest.raises(WeightsError, match=why):
            load_parts(spec, tmp_path / file)
        assert not target.exists()


@FAMILY
def test_an_unreachable_hub_fails_at_once(spec, tmp_path, monkeypatch):
    for variable in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nobody listens there
    for variable in ("HF_HOME", "HF_HUB_CACHE", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    start = time.monotonic()
    with pytest.raises(WeightsError) as caught:
        obtain(spec, offline_variant=get_registry().offline_variant(spec))
    assert time.monotonic() - start < 10
    assert spec.name in caught.value.message
    assert f"--weights {spec.name}=FILE" in caught.value.hint
    assert (f"{spec.family}/nano" in caught.value.hint) == (spec.family != "classifier")
