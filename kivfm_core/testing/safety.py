"""The check that nothing is executed or fetched when a teacher is built and loaded."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache

from kivfm_core.testing.outcome import Finding, NotChecked
from kivfm_core.testing.subject import Subject

EVENTS = {
    "pickle.find_class": "a pickle is executed",
    "socket.connect": "the network is asked",
    "socket.getaddrinfo": "the network is asked",
}
_ears: list[set[str]] = []


def safe_loading(subject: Subject) -> None:
    """State is loaded without executing code, and nothing is fetched behind the core's back."""
    with _listening() as heard:
        try:
            subject.build()
        except Exception as error:
            raise NotChecked("the teacher cannot be built") from error
    if heard:
        raise Finding(
            f"when it is built, {' and '.join(sorted(heard))}",
            "builders make random weights (pretrained=False), split() only renames: "
            "the core reads the file",
        )


@contextmanager
def _listening() -> Generator[set[str]]:
    _install()
    heard: set[str] = set()
    _ears.append(heard)
    try:
        yield heard
    finally:
        _ears.remove(heard)


@cache
def _install() -> None:
    # An audit hook cannot be taken off again; it hears nothing while nobody listens.
    sys.addaudithook(_hear)


def _hear(event: str, args: object) -> None:
    if _ears and event in EVENTS:
        for heard in _ears:
            heard.add(EVENTS[event])
