"""The table of protocols. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from kivfm_core.errors import KivfmError, UsageError, did_you_mean
from kivfm_core.probing.protocol import Protocol

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="knn",
            summary="k-NN as DINO does it: cosine, temperature 0.07, k 10 and 20",
            run="kivfm_core.probing.knn:run_cosine",
            data="classes",
        ),
        Protocol(
            name="knn-l2",
            summary="k-NN as EUPE does it: Euclidean distance, k 10, equal votes",
            run="kivfm_core.probing.knn:run_l2",
            data="classes",
        ),
        Protocol(
            name="logistic",
            summary="scikit-learn's logistic regression, C chosen on a part of train",
            run="kivfm_core.probing.logistic:run",
            data="classes",
            extra=("probe", "sklearn"),
        ),
        Protocol(
            name="sgd",
            summary="DINOv2's linear classifiers by SGD, a grid of learning rates",
            run="kivfm_core.probing.sgd:run",
            data="classes",
        ),
        Protocol(
            name="dense-linear",
            summary="linear segmentation: a norm and a 1x1 convolution on the dense map",
            run="kivfm_core.probing.dense:run",
            data="maps",
        ),
        Protocol(
            name="retrieval",
            summary="texts to images and back, by a text tower: recall at 1, 5 and 10",
            run="kivfm_core.probing.retrieval:run",
            data="pairs",
            trains=False,
        ),
        Protocol(
            name="cka",
            summary="linear CKA of levels: a model against another, or stand-ins against teachers",
            run="kivfm_core.probing.cka:run",
            data="images",
            trains=False,
        ),
    )
}


def find_protocols(names: Sequence[str]) -> list[Protocol]:
    """The protocols of these names, each once.

    Raises:
        UsageError: If there is none, or one is unknown.
        KivfmError: If the extra that one needs is not installed.
    """
    every = ", ".join(PROTOCOLS)
    if not names:
        raise UsageError("no protocol to measure by", f"--protocol, of: {every}")
    if unknown := [name for name in names if name not in PROTOCOLS]:
        hint = did_you_mean(unknown[0], PROTOCOLS, f"protocols: {every}")
        raise UsageError(f"unknown protocol {unknown[0]!r}", hint)
    found = [PROTOCOLS[name] for name in dict.fromkeys(names)]
    for protocol in found:
        if protocol.extra is not None and find_spec(protocol.extra[1]) is None:
            extra, module = protocol.extra
            raise KivfmError(
                f"{protocol.name} needs {module}, which is not installed",
                f"pip install 'kivfm[{extra}]'",
            )
    return found
