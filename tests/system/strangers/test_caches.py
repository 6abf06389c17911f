"""Caches that a stranger changed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from stranger import CONTENTS, JUNK, mutated, places, shown

from kivfm_core.cache.index import make_entries
from kivfm_core.cache.key import StoreKey
from kivfm_core.cache.store import Store
from kivfm_core.errors import DataError

# A changed record often differs from what the installed plugin declares, which is no error.
pytestmark = pytest.mark.filterwarnings("ignore::kivfm_core.errors.ChangedTeacherWarning")


def check_cache_says(cache: Path, capsys: Any) -> None:
    for words in (("cache", "info"), ("cache", "verify"), ("cache", "verify", "--json")):
        code, text = shown(capsys, *words, str(cache))
        assert code in (0, 1) and "--debug" not in text and "\x1b" not in text, text


@pytest.mark.parametrize(
    "name", ["index.bin", "records-0000.bin", "meta.json", "lock", ".x.partial"]
)
@pytest.mark.parametrize("plant", ["link", "pipe", "broken link"])
@pytest.mark.timeout(30)
def test_links_in_a_cache_are_not_written_through(
    cache: Path, name: str, plant: str, tmp_path: Path, capsys
):
    store = next(cache.iterdir())
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    (store / name).unlink(missing_ok=True)
    if plant == "pipe":
        os.mkfifo(store / name)
    else:
        (store / name).symlink_to(victim if plant == "link" else tmp_path / "nowhere")
    _, text = shown(capsys, "cache", "info", str(cache))
    assert "broken" in text
    check_cache_says(cache, capsys)
    with pytest.raises(DataError):
        Store(store, StoreKey("a", {"pictures": {"number": 1}}), {"x": (2,)})
    assert victim.read_bytes() == b"mine" and not (tmp_path / "nowhere").exists()


def test_a_forged_index_asks_for_no_memory(cache: Path, capsys):
    for store in cache.iterdir():
        entries = make_entries([0], [2**32 - 1], [0], [0])
        (store / "index.bin").write_bytes(entries.tobytes())
    check_cache_says(cache, capsys)


def test_a_damaged_store_is_listed_with_its_cause_beside_the_rest(cache: Path, capsys):
    first, *others = sorted(cache.iterdir())
    (first / "meta.json").write_text("[")
    code, text = shown(capsys, "cache", "info", str(cache))
    assert code == 0 and f"{first.name} is broken: {first}/meta.json is damaged" in text
    assert others and all(other.name in text for other in others)
    code, text = shown(capsys, "cache", "info", str(cache), "--json")
    statuses = {store["store"]: store["status"] for store in json.loads(text)["stores"]}
    assert code == 0 and statuses == {first.name: "broken"} | {o.name: "ok" for o in others}


def test_fuzzed_caches(cache: Path, capsys):
    file = next(cache.iterdir()) / "meta.json"
    text = file.read_text()
    record = json.loads(text)
    for place in places(record):
        for junk in JUNK[::3]:
            file.write_text(json.dumps(mutated(record, place, junk)))
            code, told = shown(capsys, "cache", "verify", str(cache))
            assert code in (0, 1) and "--debug" not in told, told
    for content in CONTENTS.values():
        file.write_bytes(content)
        check_cache_says(cache, capsys)
