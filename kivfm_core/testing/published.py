"""Checks of the weights that are published: their file, and what the levels are with them."""

from __future__ import annotations

from kivfm_core.testing.outcome import Finding, NotChecked
from kivfm_core.testing.subject import Subject
from kivfm_core.weights.fetch import file_sha256

CLOSE = 0.02
"""Of the standard deviation: processors differ, weights and pictures do not."""


def checksum(subject: Subject) -> None:
    """The weights file is the one whose hash and size the spec gives."""
    file, declared = subject.file, subject.spec.weights
    found, size = file_sha256(file), file.stat().st_size
    if declared.sha256 is None:
        raise NotChecked("the spec has no hash", f'Weights(sha256="{found}", bytes={size})')
    if declared.sha256 != found or declared.bytes not in (None, size):
        raise Finding(
            f"{file} is not the file that the spec names",
            f'fetch it again or, if it is right: Weights(sha256="{found}", bytes={size})',
        )


def golden(subject: Subject) -> None:
    """With these weights, levels have the statistics that the spec gives."""
    _ = subject.file
    # Of each channel's mean: a level that is normalized has no other statistics of its own.
    means = {name: x.transpose(0, 1).flatten(1).mean(1) for name, x in subject.levels().items()}
    found = {name: (float(x.mean()), float(x.std())) for name, x in means.items()}
    text = ", ".join(f'"{name}": ({m:.4g}, {s:.4g})' for name, (m, s) in found.items())
    fix = f"Weights(golden={{{text}}})"
    declared = subject.spec.weights.golden
    if not declared:
        raise NotChecked("the spec has no golden statistics", fix)
    for name, (mean, std) in declared.items():
        if name not in found:
            raise Finding(f"golden names {name!r}, which is no level", fix)
        apart = max(abs(found[name][0] - mean), abs(found[name][1] - std))
        if not apart <= CLOSE * std:
            raise Finding(
                f"the channel means of {name!r} have mean and standard deviation "
                f"{found[name][0]:.4g} and {found[name][1]:.4g}, golden says {mean} and {std}",
                f"look what changed: the weights, the network, a library; if it is right: {fix}",
            )
