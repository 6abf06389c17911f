"""The check that building and loading a teacher executes no pickle and fetches nothing."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache

from kivfm_core.testing.outcome import Finding, NotChecked
from kivfm_core.testing.subject import Subject

EVENTS = {
    "pickle.find_class": "a pickle is executed",
    "socket.connect": "the network is used",
    "socket.getaddrinfo": "the network is used",
}
_listeners: list[set[str]] = []


def safe_loading(subject: Subject) -> None:
    """Building and loading the teacher executes no code from files, and fetches nothing."""
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
    _listeners.append(heard)
    try:
        yield heard
    finally:
        _listeners.remove(heard)


@cache
def _install() -> None:
    # An audit hook cannot be removed: it is installed once, and ignores events between checks.
    sys.addaudithook(_hear)


def _hear(event: str, args: object) -> None:
    if _listeners and event in EVENTS:
        for heard in _listeners:
            heard.add(EVENTS[event])
