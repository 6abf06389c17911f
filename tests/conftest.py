"""Fixtures that every test may use: real distributions on the path, a hub, fresh plugins."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub import FakeHub

from kivfm_core.registry.registry import get_registry

Install = Callable[..., Path]

SPEC = """
from kivfm_core.hooks import hookimpl
from kivfm_core.spec import InputContract, Level, TeacherProvider, TeacherSpec, Weights

def spec(name, **more):
    more = {"weights": Weights(source="run:/", split="m:split"), **more}
    return TeacherSpec(
        name=name, encoder="m:build", levels=(Level(name="x", kind="global", channels=4),),
        input=InputContract(policy="stretch", size=32), parameters=7, **more,
    )
"""


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """The folder that `install` writes into; put it on `PYTHONPATH` for a subprocess."""
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def install(plugins: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a distribution with one plugin module; `body` sees `spec(name)` and `hookimpl`."""
    monkeypatch.syspath_prepend(str(plugins))
    before = set(sys.modules)

    def install(
        distribution: str, body: str, *, point: str = "", requires: str = "", target: str = ""
    ) -> Path:
        module = distribution.replace("-", "_")
        (plugins / f"{module}.py").write_text(SPEC + textwrap.dedent(body))
        info = plugins / f"{module}-1.0.dist-info"
        info.mkdir()
        needs = f"Requires-Dist: {requires}\n" if requires else ""
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n{needs}"
        )
        entry = f"[kivfm]\n{point or module} = {target or module}\n"
        (info / "entry_points.txt").write_text(entry)
        return plugins

    yield install
    for name in set(sys.modules) - before:
        if str(plugins) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    """A hub on this machine."""
    with FakeHub() as server:
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def fresh_registry() -> Iterator[None]:
    """No test sees another's plugins."""
    get_registry.cache_clear()
    yield
    get_registry.cache_clear()
