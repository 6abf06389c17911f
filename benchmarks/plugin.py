"""A plugin of teachers that only a benchmark needs, as an installed distribution would be."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from kivfm_core.spec import TeacherSpec

PLUGIN = """
import json
from pathlib import Path

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import TeacherSpec


@hookimpl
def kivfm_register_teachers():
    specs = json.loads(Path(__file__).with_name("specs.json").read_text())
    return [TeacherSpec.model_validate(spec) for spec in specs]
"""


def write_plugin(site: Path, name: str, specs: Iterable[TeacherSpec]) -> None:
    """Writes a package that registers teachers; it is found where `site` is on the path.

    Args:
        site: The folder that it is put in, made if need be.
        name: Of the package.
        specs: Its teachers.
    """
    package, info = site / name, site / f"{name}-1.0.dist-info"
    for folder in (package, info):
        folder.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text(PLUGIN)
    listed = [spec.model_dump(mode="json") for spec in specs]
    (package / "specs.json").write_text(json.dumps(listed))
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[kivfm]\n{name} = {name}\n")
