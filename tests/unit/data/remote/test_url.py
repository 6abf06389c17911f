"""Places at URLs: they behave as paths, and hold no secrets."""

from __future__ import annotations

import pickle
from copy import deepcopy
from pathlib import Path

import pytest

from kivfm_core.config import build_config, dump_config
from kivfm_core.data.remote.url import Url, locate
from kivfm_core.data.sources import parse_source
from kivfm_core.errors import UsageError

BUCKET = "s3://bucket/shards"


def test_a_url_is_a_path_that_stays_one():
    image = locate(BUCKET) / "a.tar" / "b/c.jpg"
    assert str(image) == f"{BUCKET}/a.tar/b/c.jpg"
    assert image.name == "c.jpg" and str(image.parents[1]) == f"{BUCKET}/a.tar"
    for same in (pickle.loads(pickle.dumps(image)), deepcopy(image), image.absolute()):
        assert same == image and isinstance(same, Url) and same.protocol == "s3"
    assert image.relative_to(locate(BUCKET)).as_posix() == "a.tar/b/c.jpg"
    assert str(locate("http://127.0.0.1:5000/x/")) == "http://127.0.0.1:5000/x"


@pytest.mark.parametrize("text", ["photos", "./photos", "/data/a:b", "~/photos", "C:/photos"])
def test_a_folder_here_is_the_path_that_it_was(text):
    assert locate(text) == Path(text) and not isinstance(locate(text), Url)


@pytest.mark.parametrize(
    "text", ["s3://KEY:SECRET@bucket/x", "https://me:SECRET@host/x", "https://host/x?sig=SECRET"]
)
def test_a_url_with_a_secret_is_refused_and_not_shown(text):
    settings = [{"data.path": text}, {"cache.path": text, "data.views": 1}]
    works = [lambda: locate(text), lambda: parse_source(f"coco:{text}")]
    works += [lambda flags=flags: build_config(None, {"teachers": "dino", **flags})
              for flags in settings]  # fmt: skip
    for work in works:
        with pytest.raises(UsageError, match="may hold a secret") as caught:
            work()
        assert "SECRET" not in f"{caught.value.message}{caught.value.hint}{caught.value}"


def test_a_kind_of_url_that_is_not_read_is_named_with_those_that_are():
    with pytest.raises(UsageError, match="ftp://") as caught:
        locate("ftp://host/photos")
    assert "s3://" in caught.value.hint and "pip install 'kivfm[urls]'" in caught.value.hint


def test_a_revision_on_the_hub_is_no_secret():
    assert str(locate("hf://datasets/me/photos@main/a.tar")).endswith("photos@main/a.tar")


def test_a_run_keeps_the_url_as_it_is():
    config = build_config(None, {"teachers": "dino", "data.path": BUCKET}).anchored()
    assert config.data.path == BUCKET and f'path = "{BUCKET}"' in dump_config(config)


def test_a_cache_and_labels_at_a_url_are_refused_by_a_sentence():
    with pytest.raises(UsageError, match=r"a cache lies on a disk.*s3://bucket/cache"):
        build_config(None, {"teachers": "dino", "data.views": 1, "cache.path": "s3://bucket/cache"})
    with pytest.raises(UsageError, match="labels are read from a folder on a disk") as caught:
        parse_source(BUCKET)
    assert "--agreement" in caught.value.hint
