"""Digests: which change invalidates which stores."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from kivfm_core.cache import key
from kivfm_core.cache.key import list_store_keys
from kivfm_core.composition.compose import compose
from kivfm_core.config import RunConfig, build_config
from kivfm_core.data import views
from kivfm_core.data.unlabeled import find_images
from kivfm_core.errors import UsageError
from kivfm_core.registry.registry import Registry

BASE, PURPOSE = "toybase/small", "toypurpose/small"
ALL = {"canvas@64", "trunk@64", "canvas@96", "trunk@96", PURPOSE}


def digests(config: RunConfig, base="aa", purpose="bb", **changes) -> dict[str, str]:
    values = config.model_dump(by_alias=True, exclude_none=True)
    for path, value in changes.items():
        section, _, name = path.partition("__")
        (values[section] if name else values)[name or section] = value
    made = RunConfig.model_validate(values)
    images = find_images(Path(str(made.data.path)))
    keys = list_store_keys(made, compose(made), {BASE: base, PURPOSE: purpose}, images)
    return {source: key.folder for source, key in keys.items()}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


def test_a_digest_holds_what_its_records_depend_on(config: RunConfig, monkeypatch):
    before = digests(config)
    assert before.keys() == ALL
    for same in ({"data__views": 3}, {"optim__lr": 1.0}, {"student__latent": 8}):
        assert changed(before, digests(config, **same)) == set()
    for all_else in ({"seed": 1}, {"data__smallest": 0.7}, {"data__mosaic": 0.5}):
        assert changed(before, digests(config, **all_else)) == ALL
    networks = ALL - {"canvas@64", "canvas@96"}
    assert changed(before, digests(config, engine__precision="bf16-mixed")) == networks
    assert changed(before, digests(config, purpose="cc")) == {PURPOSE}
    assert changed(before, digests(config, base="cc")) == {"trunk@64", "trunk@96"}
    assert changed(before, digests(config, student__trunk_size=128)) == {"trunk@64", "trunk@96"}
    for encoding in ("int8", "latent-bf16", "latent-int8"):
        how = {"cache__encoding": encoding, "data__views": 1, "student__latent": 8}
        assert changed(before, digests(config, **how)) == {PURPOSE}
    monkeypatch.setattr(views, "VERSION", 0)
    assert changed(before, digests(config)) == ALL


def test_another_release_of_a_library_changes_digests(config: RunConfig, monkeypatch):
    before = digests(config)
    version = key.version
    monkeypatch.setattr(key, "version", lambda name: f"{version(name)}.post1")
    assert digests(config) == before  # of bug fixes
    monkeypatch.setattr(key, "version", lambda name: "99.1" if name == "torch" else version(name))
    assert changed(before, digests(config)) == ALL


def test_another_release_of_a_plugin_changes_digests(config: RunConfig, monkeypatch):
    before = digests(config)
    entries = [replace(e, version="1.1") for e in key.get_registry().entries]
    newer = Registry((entries[0], key.get_registry().entries[1]))
    monkeypatch.setattr(key, "get_registry", lambda: newer)
    assert changed(before, digests(config)) == {"trunk@64", "trunk@96"}


def test_another_size_or_teacher_leaves_the_rest(config: RunConfig):
    before = digests(config)
    one = digests(config, data__image_size=[96])
    assert one == {k: v for k, v in before.items() if "64" not in k}
    alone = digests(config, teachers=["toybase"], weights={}, data__image_size=[64, 96])
    assert alone == {k: v for k, v in before.items() if k != PURPOSE}


def test_a_field_at_its_default_is_left_out(config: RunConfig):
    """So stores stay valid when a later version adds a field."""
    composition, images = compose(config), find_images(Path(str(config.data.path)))

    def facts(**said) -> dict[str, dict]:
        trunk = composition.trunk
        contract = trunk.input.model_copy(update=said)
        made = composition.model_copy(
            update={"trunk": trunk.model_copy(update={"input": contract})}
        )
        keys = list_store_keys(config, made, {BASE: "aa", PURPOSE: "bb"}, images)
        return {source: dict(key.facts) for source, key in keys.items()}

    for own in facts().values():
        assert "crop_rounding" not in own["input"]
    assert facts(crop_rounding="nearest") == facts()
    assert facts(crop_rounding="floor")["trunk@64"]["input"]["crop_rounding"] == "floor"


def test_a_changed_image_changes_digests(config: RunConfig, pictures: Path):
    before = digests(config)
    assert digests(config) == before
    file = pictures / "00.png"
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert changed(before, digests(config)) == ALL
    now = digests(config)
    file.rename(pictures / "renamed.png")
    assert changed(now, digests(config)) == ALL


def test_names_of_folders_are_plain(config: RunConfig):
    folders = digests(config).values()
    assert all(set("/\\: ").isdisjoint(folder) for folder in folders)
    assert any(folder.startswith("toypurpose--small-") for folder in folders)


def test_a_cache_without_stored_views_is_refused():
    with pytest.raises(UsageError, match="stored views"):
        build_config(None, {"teachers": "a", "cache.path": "x"})
