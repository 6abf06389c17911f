"""Requirements of teachers: which are not installed here, and how to install them. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, version
from typing import cast
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement

from kivfm_core.errors import printable


def unmet(requirements: Iterable[str]) -> list[str]:
    """The requirements that are not installed here."""
    return [text for text in requirements if not is_met(Requirement(text))]


def pip_install(requirements: Iterable[str]) -> str:
    """The command that installs requirements."""
    quoted = ("'" + text.replace("'", "'\\''") + "'" for text in requirements)
    return f"pip install {' '.join(quoted)}"


def repair(distribution: str) -> str:
    """What may repair an installed distribution: a newer version, or the hand that writes it."""
    try:
        origin = Distribution.from_name(distribution).read_text("direct_url.json")
        url = json.loads(origin or "{}")
        if url.get("dir_info", {}).get("editable"):
            return f"repair it in {printable(unquote(urlsplit(url['url']).path))}"
    except (PackageNotFoundError, ValueError, AttributeError, KeyError):
        pass  # not installed, or its record says something else
    return f"pip install --upgrade {distribution}"


def is_met(requirement: Requirement) -> bool:
    """Whether a requirement is installed here, or does not apply here."""
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False


def stored_requirements(values: object) -> list[str]:
    """Requirements that a file holds: names and versions only, whatever else it holds.

    Raises:
        ValueError: If they are none.
    """
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise ValueError("its requirements are not a list")
    found: list[str] = []
    for value in cast(Iterable[object], values):
        try:
            parsed = Requirement(str(value))
        except InvalidRequirement as error:
            raise ValueError(f"{str(value)!r} is no requirement") from error
        if parsed.marker is None or parsed.marker.evaluate():
            # Without its address, which could lead anywhere.
            found.append(f"{parsed.name}{parsed.specifier}")
    return found
