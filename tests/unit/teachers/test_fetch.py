"""Weights that lie at a plain address."""

import hashlib
import os

import pytest

from kivfm_core.errors import WeightsError
from kivfm_core.weights.fetch import obtain
from kivfm_teachers.sam.plugin import kivfm_register_teachers


@pytest.fixture
def sam_at(hub, monkeypatch, tmp_path):
    """SAM's spec, its weights at the hub's address under the name of this hash."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("kivfm_teachers.fetch.SCHEMES", ("http://127.0.0.1",))
    (spec,) = kivfm_register_teachers()

    def sam_at(sha256: str):
        file = f"sam-{sha256[:8]}.pth"
        weights = spec.weights.model_copy(update={"source": f"torch:{file}", "sha256": None})
        url = f"{hub.address}/{file}"
        return spec.model_copy(update={"weights": weights, "config": {**spec.config, "url": url}})

    return sam_at


def test_they_are_fetched_once(sam_at, hub):
    spec = sam_at(hashlib.sha256(hub.content).hexdigest())
    assert obtain(spec).read_bytes() == hub.content
    hub.asked.clear()
    assert obtain(spec).read_bytes() == hub.content and not hub.asked


def test_what_does_not_have_the_hash_of_its_name_is_not_kept(sam_at, tmp_path):
    with pytest.raises(WeightsError, match="invalid hash value"):
        obtain(sam_at(8 * "0"))
    assert not [name for _, _, files in os.walk(tmp_path) for name in files]


@pytest.mark.parametrize("url", ["data:,weights", "file:///etc/passwd", "http://example.com/a.pth"])
def test_only_https_is_opened(sam_at, monkeypatch, url):
    monkeypatch.setattr("kivfm_teachers.fetch.SCHEMES", ("https://",))
    spec = sam_at(8 * "0")
    spec = spec.model_copy(update={"config": {**spec.config, "url": url}})
    with pytest.raises(WeightsError, match="which is not https"):
        obtain(spec)
