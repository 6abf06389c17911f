"""Checks of published weights: their file, and the statistics of the levels with them."""

from __future__ import annotations

from kivfm_core.testing.outcome import Finding, NotChecked
from kivfm_core.testing.subject import Subject
from kivfm_core.weights.fetch import file_sha256

# Difference allowed, as a share of the standard deviation: processors round differently.
CLOSE = 0.02


def checksum(subject: Subject) -> None:
    """The weights file has the hash and the size that the spec declares."""
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
    """With these weights, the levels have the statistics that the spec declares."""
    _ = subject.file
    # Statistics of the channels' means: those of a normalized level's values are always 0 and 1.
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
