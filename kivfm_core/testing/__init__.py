"""The conformance kit: what a teacher package checks before it is published.

Importing this package is light; pytest loads its plugin at every start.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kivfm_core.testing.conformance import TeacherConformance

__all__ = ["TeacherConformance"]


def __getattr__(name: str) -> Any:
    if name != "TeacherConformance":
        raise AttributeError(f"module 'kivfm_core.testing' has no attribute {name!r}")
    # Imports torch.
    from kivfm_core.testing.conformance import TeacherConformance

    return TeacherConformance
