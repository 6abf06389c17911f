"""Requirements of teachers: which are not installed here, and how to install them. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import Requirement


def unmet(requirements: Iterable[str]) -> list[str]:
    """The requirements that are not installed here."""
    return [text for text in requirements if not is_met(Requirement(text))]


def pip_install(requirements: Iterable[str]) -> str:
    """The command that installs requirements."""
    return "pip install " + " ".join(f"'{text}'" for text in requirements)


def is_met(requirement: Requirement) -> bool:
    """Whether a requirement is installed here, or does not apply here."""
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False
