"""The registry against real distributions on the path, good and bad: a test for each row."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kivfm_core.errors import KivfmError, PluginError, UsageError
from kivfm_core.registry.discovery import discover
from kivfm_core.registry.entry import Entry
from kivfm_core.registry.registry import Registry, get_registry, list_teachers
from kivfm_core.spec import InputContract, Level, TeacherSpec, Weights

GOOD = """
@hookimpl
def kivfm_register_teachers():
    return [spec("good/small", aliases=("good",)), spec("good/big")]
"""


def entry(name: str) -> Entry:
    return {entry.name: entry for entry in list_teachers()}[name]


def test_a_plugin_is_listed_and_resolves(install):
    install("good", GOOD)
    found = entry("good/small")
    assert (found.status, found.distribution, found.version) == ("ready", "good", "1.0")
    assert found.milliseconds > 0 and not found.heavy
    registry = get_registry()
    assert registry.resolve("good").name == "good/small"
    assert registry.resolve("good::good/big").name == "good/big"
    assert registry.resolve("Good::good").name == "good/small"
    assert registry.resolve("good", variant="big").name == "good/big"
    assert registry.resolve("good/small", variant="big").name == "good/small"
    with pytest.raises(UsageError, match="no variant 'huge'") as caught:
        registry.resolve("good", variant="huge")
    assert "big, small" in caught.value.hint


BROKEN = {
    "raises at import": ("raise RuntimeError('no\\nluck')", "RuntimeError: no"),
    "leaves at import": ("raise SystemExit(3)", "SystemExit: 3"),
    "cannot be parsed": ("def :", "SyntaxError"),
    "imports what is not there": ("import kivfm_no_such_module", "kivfm_no_such_module"),
    "hook raises": ("@hookimpl\ndef kivfm_register_teachers(): 1 / 0", "ZeroDivisionError"),
    "hook raises while iterating": (
        "@hookimpl\ndef kivfm_register_teachers():\n    yield spec('x/y')\n    1 / 0",
        "ZeroDivisionError",
    ),
    "hook gives nothing": ("@hookimpl\ndef kivfm_register_teachers(): pass", "NoneType"),
    "hook gives one spec": (
        "@hookimpl\ndef kivfm_register_teachers(): return spec('x/y')",
        "TeacherSpec",
    ),
    "hook wants an argument": ("@hookimpl\ndef kivfm_register_teachers(torch): return []", "torch"),
    "hook is misspelt": ("@hookimpl\ndef kivfm_register_teacher(): return []", "unknown hook"),
    "hook is not marked": ("def kivfm_register_teachers(): return []", "no hook"),
    "spec cannot be made": (
        "@hookimpl\ndef kivfm_register_teachers(): return [spec('a b')]",
        "name: String should match",
    ),
}


@pytest.mark.parametrize(("body", "cause"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_plugin_is_listed_and_hurts_nobody(install, body, cause):
    install("good", GOOD)
    install("bad-luck", body)
    found = entry("bad_luck")
    assert found.status == "broken" and cause in found.cause and "\n" not in found.cause
    assert found.hint.startswith("pip install") and found.distribution == "bad-luck"
    assert get_registry().resolve("good").name == "good/small"
    with pytest.raises(PluginError):
        get_registry().resolve("bad_luck/tiny")


def test_an_invalid_spec_does_not_take_its_neighbors_along(install):
    install(
        "mixed",
        """
        @hookimpl
        def kivfm_register_teachers():
            return [{"name": "mixed/bad"}, spec("mixed/good"), 3]
        """,
    )
    assert entry("mixed/bad").status == "broken"
    assert "Field required" in entry("mixed/bad").cause
    assert entry("mixed/good").status == "ready"
    assert entry("mixed").status == "broken"
    with pytest.raises(PluginError):
        get_registry().resolve("mixed/bad")


def test_an_entry_point_to_nothing(install):
    install("hollow", "", target="hollow_no_such")
    assert entry("hollow").status == "broken"
    assert entry("hollow").hint == "pip install --force-reinstall hollow"


def test_missing_requirements(install):
    install(
        "needy",
        """
        @hookimpl
        def kivfm_register_teachers():
            return [
                spec("needy/a", requirements=("no-such-thing>=2", "pytest>999", "pluggy")),
                spec("needy/b", requirements=("no-such-thing; sys_platform == 'amiga'",)),
                spec("needy/c", requirements=("not a requirement!",)),
                TeacherProvider(prefix="lib/", resolve="m:f", distribution="no-such-lib"),
            ]
        """,
    )
    assert entry("needy/a").status == "needs"
    assert entry("needy/a").hint == "pip install 'no-such-thing>=2' 'pytest>999'"
    assert entry("needy/b").status == "ready"
    assert entry("needy/c").status == "broken"
    with pytest.raises(PluginError) as caught:
        get_registry().resolve("needy/a")
    assert caught.value.exit_code == 3 and "no-such-thing" in caught.value.hint
    with pytest.raises(PluginError, match="no-such-lib"):
        get_registry().resolve("lib/anything")


def test_heavy_and_sleeping_imports_are_measured(install, plugins, monkeypatch):
    (plugins / "open_clip.py").write_text("")
    monkeypatch.delitem(sys.modules, "open_clip", raising=False)
    install("heavy", "import time, open_clip; time.sleep(0.06)\n" + GOOD)
    found = entry("good/small")
    assert found.status == "ready" and found.heavy == "open_clip" and found.milliseconds > 60


def test_two_with_one_name(install):
    install("one", GOOD)
    install("two", GOOD.replace("good/big", "two/big"))
    assert entry("one::good/small").status == entry("two::good/small").status == "conflict"
    assert entry("good/big").status == "ready"
    for name in ("good/small", "good"):
        with pytest.raises((PluginError, UsageError)) as caught:
            get_registry().resolve(name)
        text = f"{caught.value} {caught.value.hint}"
        assert "one::good/small" in text and "two::good/small" in text
    assert get_registry().resolve("two::good/small").name == "good/small"
    assert get_registry().resolve("two::good").name == "good/small"


def test_two_with_one_alias(install):
    install("one", GOOD)
    install("two", GOOD.replace("good/", "two/"))
    with pytest.raises(UsageError, match="alias of several") as caught:
        get_registry().resolve("good")
    assert caught.value.hint == "say which: good/small or two/small"


def test_one_distribution_gives_a_name_twice(install):
    install("twice", GOOD.replace("good/big", "good/small"))
    assert [e.status for e in list_teachers() if e.name == "good/small"] == ["ready", "broken"]


NEWER = {
    "dict": "{'api_version': 3, 'title': 'future/one', 'name': 'future/one'}",
    "record": "type('S', (), {'api_version': 3, 'name': 'future/one'})()",
    "our own class": "spec('future/one', api_version=3, wings=2)",
}


@pytest.mark.parametrize("item", NEWER.values(), ids=NEWER.keys())
def test_a_newer_api_is_incompatible(install, item):
    install("future", f"@hookimpl\ndef kivfm_register_teachers(): return [{item}]")
    (found,) = [e for e in list_teachers() if e.distribution == "future"]
    assert found.status == "incompatible" and "api version is 3" in found.cause
    assert found.hint == "pip install --upgrade kivfm"
    with pytest.raises(PluginError):
        get_registry().resolve("future/one")


def test_an_api_too_old_is_incompatible(install):
    install("past", "@hookimpl\ndef kivfm_register_teachers(): return [{'api_version': 0}]")
    found = entry("past")
    assert found.status == "incompatible" and "this kivfm reads 1 and 2" in found.cause
    assert found.hint == "pip install --upgrade past"


OLD = Path(__file__).parent / "specs/api-1.json"


def test_a_stored_spec_of_the_api_before_is_read(install):
    """The file was written when the api version was 1; it is not to be written anew."""
    install(
        "past",
        f"""
        import json, pathlib
        old = json.loads(pathlib.Path({str(OLD)!r}).read_text()) | {{"name": "past/one"}}
        @hookimpl
        def kivfm_register_teachers(): return [old]
        """,
    )
    assert entry("past/one").status == "ready"
    found = get_registry().resolve("past/one")
    assert found.api_version == 1 and found.level("dense").grid((96, 96)) == (12, 12)
    assert len(found.attachments) == 5 and found.input.interpolation == "bicubic"


def test_a_plugin_for_a_newer_kivfm_is_incompatible(install):
    install("future", "from kivfm_core.spec import Wings", requires="kivfm>=99")
    assert entry("future").status == "incompatible"
    assert "kivfm>=99" in entry("future").cause


def test_switches(install, monkeypatch):
    install("good", GOOD)
    install("bad-luck", "raise RuntimeError")
    built_in = {e.name for e in list_teachers() if e.distribution == "kivfm"}

    def others() -> set[str]:
        return {e.name for e in discover() if e.distribution != "kivfm"}

    monkeypatch.setenv("KIVFM_PLUGINS", "good, absent")
    assert others() == {"good/small", "good/big", "absent"}
    monkeypatch.setenv("KIVFM_PLUGINS", "bad-luck")
    assert others() == {"bad_luck"}
    monkeypatch.setenv("KIVFM_NO_PLUGINS", "1")
    assert others() == set()
    assert {e.name for e in discover()} == built_in
    sys.modules.pop("bad_luck", None)
    monkeypatch.setenv("KIVFM_NO_PLUGINS", "0")
    monkeypatch.setenv("KIVFM_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match="bad_luck"):
        discover()


def test_what_plugins_print_stays_off_stdout(install, capsys):
    install("loud", "print('hello')\n" + GOOD)
    list_teachers()
    assert capsys.readouterr().out == ""


PROVIDER = """
@hookimpl
def kivfm_register_teachers():
    return [TeacherProvider(prefix="lib/", resolve="lib_model:resolve", distribution="pluggy")]
"""
RESOLVER = """
import pathlib
from lib_plugin import Weights, spec
def resolve(name):
    with open(pathlib.Path(__file__).with_name("calls"), "a") as file:
        file.write(name + "\\n")
    if name.endswith("none"):
        raise LookupError(f"no model {name!r}; nearest: lib/one")
    if name.endswith("worse"):
        raise ValueError("oh")
    if name.endswith("slip"):
        return {}["width"]
    return spec(name, weights=Weights(source="hf:org/name/file", split="m:split"))
"""


def test_a_short_name_stands_for_a_providers_model(install, plugins, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    names = 'names={"good": "other", "short": "one.a/b"}, prefix='
    install("good", GOOD)
    install("lib-plugin", PROVIDER.replace("prefix=", names))
    (plugins / "lib_model.py").write_text(RESOLVER)
    registry = get_registry()
    assert registry.resolve("short").name == "lib/one.a/b"
    assert registry.resolve("lib/one.a/b").aliases == ("short",)
    assert registry.resolve("lib-plugin::short").name == "lib/one.a/b"
    assert registry.resolve("good").name == "good/small"  # a teacher's own name comes first
    with pytest.raises(UsageError) as caught:
        registry.resolve("shirt")
    assert caught.value.hint == "did you mean short?"


def test_a_short_name_of_two_models_is_neither(install):
    for which in ("a", "b"):
        body = PROVIDER.replace("prefix=", 'names={"short": "x"}, prefix=')
        install(f"lib-{which}", body.replace("lib/", f"{which}/"))
    with pytest.raises(UsageError, match="several teachers: a/x, b/x") as caught:
        get_registry().resolve("short")
    assert caught.value.hint == "say which: a/x or b/x"


def test_a_provider_resolves_once(install, plugins, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    install("lib-plugin", PROVIDER)
    (plugins / "lib_model.py").write_text(RESOLVER)
    registry = get_registry()
    assert "lib/" in [provider.prefix for provider in registry.providers]
    assert "lib_model" not in sys.modules
    first = registry.resolve("lib/one.a/b")
    assert first.name == "lib/one.a/b"
    assert registry.resolve("lib/one.a/b") == first
    assert registry.resolve("lib-plugin::lib/one.a/b") == first
    assert (plugins / "calls").read_text().splitlines() == ["lib/one.a/b"]
    (cached,) = (tmp_path / "cache").rglob("*.json")
    cached.write_text("{")
    assert registry.resolve("lib/one.a/b") == first
    with pytest.raises(UsageError, match="nearest: lib/one"):
        registry.resolve("lib/none")
    with pytest.raises(PluginError, match="ValueError: oh"):
        registry.resolve("lib/worse")
    with pytest.raises(PluginError, match="KeyError: 'width'"):
        registry.resolve("lib/slip")


def test_what_may_change_is_asked_every_time(install, plugins, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    install("lib-plugin", PROVIDER.replace('"pluggy"', '"pluggy", cached=False'))
    (plugins / "lib_model.py").write_text(RESOLVER)
    for _ in range(2):
        assert get_registry().resolve("lib/one").name == "lib/one"
    assert (plugins / "calls").read_text().splitlines() == ["lib/one", "lib/one"]
    assert not [*(tmp_path / "cache").rglob("*.json")]


def spec(name: str, source: str = "run:/no-such") -> TeacherSpec:
    return TeacherSpec(
        name=name,
        aliases=(name.partition("/")[0],),
        encoder="m:f",
        levels=(Level(name="x", kind="global", channels=4),),
        input=InputContract(policy="stretch", size=32),
        weights=Weights(source=source, split="m:f"),
        parameters=7,
    )


def registry(*names: str) -> Registry:
    return Registry(tuple(Entry(name, "d", "1", spec=spec(name)) for name in names))


def test_unknown_names_are_answered_with_the_nearest():
    known = registry("clip/vit-b-16", "dino/vit-s-14", "sam/vit-b")
    for typo, meant in (
        ("clpi", "clip"),
        ("CLIP", "clip"),
        ("dino/vits14", "dino/vit-s-14"),
        ("sam/vit-l", "sam/vit-b"),
    ):
        with pytest.raises(UsageError) as caught:
            known.resolve(typo)
        assert caught.value.exit_code == 2 and meant in caught.value.hint, typo
    with pytest.raises(UsageError) as caught:
        known.resolve("zzzzzzz")
    assert caught.value.hint == "kivfm teachers list"


def test_teachers_of_a_package_that_is_not_installed():
    known = registry("clip/vit-b-16")
    for name, variant, package in (
        ("detector/nano", None, "kivfm-nano"),
        ("clip", "nano", "kivfm-nano"),
        ("yolox/s", None, "kivfm-yolox"),
        ("yolox", None, "kivfm-yolox"),
        ("yolov8/n-seg", None, "kivfm-yolov8"),
    ):
        with pytest.raises(PluginError) as caught:
            known.resolve(name, variant)
        assert caught.value.exit_code == 3 and caught.value.hint == f"pip install {package}"


def test_a_run_without_a_whole_student_is_no_teacher(tmp_path: Path):
    (tmp_path / "begun").mkdir()
    for name in ("composition.json", "config.toml"):
        (tmp_path / "begun" / name).touch()
    with pytest.raises(UsageError, match="is a run that has no student yet"):
        Registry(()).resolve(str(tmp_path / "begun"))
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "student.json").touch()
    with pytest.raises(UsageError, match=r"student\.json is damaged"):
        registry().resolve(str(tmp_path))


def test_a_family_without_a_default():
    one = spec("yolox/nano").model_copy(update={"aliases": ()})
    known = Registry((Entry("yolox/nano", "kivfm-yolox", "1", spec=one),))
    with pytest.raises(UsageError, match="no default variant") as caught:
        known.resolve("yolox")
    assert caught.value.hint == "name one: yolox/nano"


def test_usable_teachers_have_their_weights_here(tmp_path: Path):
    file = tmp_path / "weights"
    file.touch()
    here, away = spec("a/b", f"run:{file}"), spec("c/d")
    known = Registry((Entry("a/b", "d", "1", spec=here), Entry("c/d", "d", "1", spec=away)))
    assert known.usable() == [here]


@given(st.text(max_size=30), st.one_of(st.none(), st.text(max_size=10)))
def test_any_name_resolves_or_is_explained(name, variant):
    known = registry("clip/vit-b-16", "dino/vit-s-14")
    try:
        assert known.resolve(name, variant).name in ("clip/vit-b-16", "dino/vit-s-14")
    except KivfmError as error:
        assert error.exit_code in (2, 3) and error.hint


@given(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,8}/[A-Za-z0-9][A-Za-z0-9._/-]{0,8}[a-z]\Z"))
def test_every_valid_name_is_found_again(name):
    if "//" in name or "/." in name or "/-" in name or "/_" in name:
        return
    known = registry(name)
    assert known.resolve(name).name == name
    assert known.resolve(f"d::{name}").name == name
    assert known.resolve(known.entries[0].spec.family).name == name
