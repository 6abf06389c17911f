"""Tasks that plugins register, good and bad: guarded as teachers are."""

from __future__ import annotations

import pytest
import toy

from kivfm_core.errors import PluginError, UsageError
from kivfm_core.registry.entry import Entry
from kivfm_core.registry.registry import find_task, get_registry, get_tasks, list_teachers
from kivfm_core.tasks.table import TASKS


def task(**more: object) -> str:
    """A hook that gives the toy task, with other fields."""
    record = toy.BRIGHTNESS.model_dump(mode="json") | more
    return f"\n@hookimpl\ndef kivfm_register_tasks(): return [{record!r}]\n"


def teacher(name: str, of: str) -> str:
    """A hook that gives a teacher of a task."""
    return f"""
@hookimpl
def kivfm_register_teachers():
    solved = {{"task": {of!r}, "levels": ["x"], "decoder": "m:f"}}
    return [spec({name!r}, tasks=(solved,)), spec("other/one")]
"""


def entry(name: str) -> Entry:
    return {entry.name: entry for entry in get_registry().entries}[name]


def test_a_registered_task_is_among_all(install):
    install("lights", task())
    assert find_task("brightness") == toy.BRIGHTNESS
    assert list(get_tasks()) == [*TASKS, "brightness"]
    assert entry("brightness").status == "ready" and entry("brightness").milliseconds > 0
    assert "brightness" not in {entry.name for entry in list_teachers()}
    with pytest.raises(UsageError, match="no teacher is named 'brightness'"):
        get_registry().resolve("brightness")


def test_a_teacher_may_have_the_name_of_a_task_and_of_another_packages_task(install):
    install("lights", task())
    install("lamps", teacher("brightness", "brightness"))
    assert get_registry().resolve("brightness").task("brightness").decoder == "m:f"
    assert find_task("brightness") == toy.BRIGHTNESS


BROKEN = {
    "hook raises": ("@hookimpl\ndef kivfm_register_tasks(): 1 / 0", "lights", "ZeroDivisionError"),
    "hook raises while iterating": (
        "@hookimpl\ndef kivfm_register_tasks():\n    yield {}\n    1 / 0",
        "lights",
        "ZeroDivisionError",
    ),
    "hook gives one record": (
        "from kivfm_core.task import Prompt\n"
        "@hookimpl\ndef kivfm_register_tasks(): return Prompt(flags=('labels',), build='m:f')",
        "lights",
        "Prompt, not several records",
    ),
    "field is missing": (task(metric=None), "brightness", "metric"),
    "unknown field": (task(wings=2), "brightness", "wings"),
    "no reference": (task(meter="toy.Meter"), "brightness", "meter"),
    "a built-in task's name": (task(name="detection"), "detection", "kivfm's own names"),
    "the name of k-NN": (task(name="knn"), "knn", "kivfm's own names"),
    "unknown format": (task(formats=["lables"]), "brightness", "label format 'lables'"),
}


@pytest.mark.parametrize(("body", "name", "cause"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_task_is_listed_and_hurts_nobody(install, monkeypatch, body, name, cause):
    install("good", teacher("good/one", "detection"))
    install("lights", body)
    found = entry(name)
    assert (found.status, found.distribution) == ("broken", "lights") and cause in found.cause
    assert found in list_teachers()
    assert get_tasks() == TASKS and get_registry().resolve("good/one")
    monkeypatch.setenv("KIVFM_STRICT_PLUGINS", "1")
    get_registry.cache_clear()
    with pytest.raises(PluginError, match=name):
        get_registry()


def test_a_newer_record_is_incompatible(install):
    install("lights", task(api_version=3, wings=2))
    assert entry("brightness").status == "incompatible"
    assert entry("brightness").hint == "pip install --upgrade kivfm"


def test_of_two_packages_with_one_task_neither_wins(install):
    install("lights", task())
    install("others", task())
    install("lamps", teacher("lamp/one", "brightness"))
    assert entry("lights::brightness").status == entry("others::brightness").status == "conflict"
    assert "brightness" not in get_tasks()
    with pytest.raises(PluginError, match="lights and others both give brightness") as caught:
        find_task("brightness")
    assert caught.value.hint == "pip uninstall lights or others"
    with pytest.raises(PluginError, match="both give brightness"):
        get_registry().resolve("lamp/one")


def test_one_package_gives_a_task_twice(install):
    install("lights", task().replace("return [", "return 2 * ["))
    statuses = [e.status for e in get_registry().entries if e.name == "brightness"]
    assert statuses == ["ready", "broken"] and find_task("brightness")


def test_a_teacher_of_an_unknown_task_is_broken(install, monkeypatch):
    install("lamps", teacher("lamp/one", "brightnes"))
    install("lights", task())
    assert entry("lamp/one").status == "broken" and entry("other/one").status == "ready"
    assert entry("lamp/one").cause == "it solves 'brightnes', which is no task"
    assert entry("lamp/one").hint == "did you mean brightness?"
    with pytest.raises(PluginError, match="which is no task"):
        get_registry().resolve("lamp/one")
    monkeypatch.setenv("KIVFM_STRICT_PLUGINS", "1")
    get_registry.cache_clear()
    with pytest.raises(PluginError, match="lamp/one"):
        get_registry()


def test_a_teacher_of_a_published_task_needs_its_plugin(install, monkeypatch):
    monkeypatch.setattr(
        "kivfm_core.registry.suggestions.PUBLISHED_TASKS", {"brightness": "kivfm-lights"}
    )
    install("lamps", teacher("lamp/one", "brightness"))
    assert entry("lamp/one").status == "needs"
    assert entry("lamp/one").hint == "pip install kivfm-lights"
    assert "comes with kivfm-lights, which is not installed" in entry("lamp/one").cause
    with pytest.raises(PluginError, match="kivfm-lights"):
        find_task("brightness")
    # A release from before the task is no help.
    install("kivfm-lights", teacher("light/one", "detection"))
    get_registry.cache_clear()
    assert entry("lamp/one").hint == "pip install --upgrade kivfm-lights"
    assert "a newer kivfm-lights" in entry("lamp/one").cause


def test_a_provider_may_describe_teachers_of_registered_tasks_only(install, plugins, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(plugins))
    install(
        "lib",
        """
        @hookimpl
        def kivfm_register_teachers():
            return [TeacherProvider(prefix="lib/", resolve="lib:resolve", distribution="pluggy")]

        def resolve(name):
            return spec(name, tasks=({"task": "brightness", "levels": ["x"], "decoder": "m:f"},))
        """,
    )
    with pytest.raises(PluginError, match="lib/one solves 'brightness', which is no task"):
        get_registry().resolve("lib/one")
    install("lights", task())
    get_registry.cache_clear()
    assert get_registry().resolve("lib/one").task("brightness")


def test_an_unknown_task_names_the_others():
    with pytest.raises(UsageError, match="unknown task 'flying'") as caught:
        find_task("flying")
    assert caught.value.hint == "tasks: " + ", ".join(TASKS)
    with pytest.raises(UsageError) as caught:
        find_task("detektion")
    assert caught.value.hint == "did you mean detection?"
