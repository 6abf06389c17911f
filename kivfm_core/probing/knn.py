"""k-NN on a vector, among images of train: DINO's protocol, and EUPE's.

Paper: Caron et al., DINO, https://arxiv.org/abs/2104.14294.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from kivfm_core.evaluation.features.knn import TEMPERATURE, nearest, vote
from kivfm_core.probing.bench import Bench
from kivfm_core.probing.result import ProbeRow
from kivfm_core.probing.split import read_split

DINO, EUPE = (10, 20), (10,)


def run_cosine(bench: Bench) -> list[ProbeRow]:
    """DINO's: cosine similarity, votes weighed by `exp(similarity / 0.07)`."""
    return _run(bench, "knn", DINO, "cosine", TEMPERATURE)


def run_l2(bench: Bench) -> list[ProbeRow]:
    """EUPE's: Euclidean distance, equal votes."""
    return _run(bench, "knn-l2", EUPE, "l2", None)


def _run(
    bench: Bench,
    name: str,
    ks: Sequence[int],
    by: Literal["cosine", "l2"],
    temperature: float | None,
) -> list[ProbeRow]:
    split, device = read_split(bench), bench.model.device
    train, val = split.train, split.val
    most = min(max(ks), len(train.vector))
    near = nearest(val.vector.to(device), train.vector.to(device), most, by=by)
    targets = train.targets.to(device)
    rows: list[ProbeRow] = []
    for k in sorted({min(k, most) for k in ks}):
        found = vote(near.first(k), targets, temperature).cpu()
        row = split.row(name, f"k-NN top-1, k {k}", split.level, found == val.targets)
        rows.append(row.model_copy(update={"settings": {"k": k}}))
    return rows
