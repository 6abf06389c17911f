"""Errors for names that a library does not know."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def unknown(name: str, library: str, known: Iterable[str]) -> LookupError:
    """The error for a model name that a library does not have; names the nearest ones."""
    near = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return LookupError(
        f"{library} has no model {name!r}" + (f"; nearest: {', '.join(near)}" if near else "")
    )
