"""k-NN and linear probes equal independent implementations; settings are chosen on train alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn

from kivfm_core.errors import DataError
from kivfm_core.evaluation.features.knn import knn_right, nearest, vote
from kivfm_core.probing.sgd import RATES, Heads
from kivfm_core.probing.split import hold_out

CLASSES = 5


def blobs(number: int, seed: int) -> tuple[Tensor, Tensor]:
    """Overlapping clouds, so that neighbors disagree."""
    random = torch.Generator().manual_seed(seed)
    targets = torch.arange(number) % CLASSES
    centers = torch.eye(CLASSES, 12) * 2
    return centers[targets] + torch.randn(number, 12, generator=random), targets


def dino(distances: np.ndarray) -> np.ndarray:
    """The weights of DINO's votes, of cosine distances."""
    return np.exp((1 - distances) / 0.07)


@pytest.mark.parametrize("k", [1, 10, 20])
def test_cosine_neighbors_vote_as_scikit_learns(k: int):
    (train, targets), (val, _) = blobs(203, 0), blobs(101, 1)
    theirs = KNeighborsClassifier(k, weights=dino, metric="cosine", algorithm="brute")
    theirs.fit(train.numpy(), targets.numpy())
    found = vote(nearest(val, train, k), targets, 0.07)
    assert found.tolist() == theirs.predict(val.numpy()).tolist()
    assert nearest(val, train, 20).first(k).images.equal(nearest(val, train, k).images)


def test_euclidean_neighbors_vote_as_scikit_learns():
    (train, targets), (val, _) = blobs(203, 2), blobs(101, 3)
    train, val = train + 1000, val + 1000  # far from the origin, where squares lose digits
    theirs = KNeighborsClassifier(10, algorithm="brute").fit(train.numpy(), targets.numpy())
    found = vote(nearest(val, train, 10, by="l2"), targets, None)
    assert found.tolist() == theirs.predict(val.numpy()).tolist()


def test_leave_one_out_is_the_same_search():
    x, targets = blobs(60, 4)
    k = 60 // CLASSES - 1  # what `evaluate` takes of classes of twelve
    right = []
    for image in range(len(x)):
        others = torch.arange(len(x)) != image
        near = nearest(x[image : image + 1], x[others], k)
        right.append(vote(near, targets[others], 0.07)[0] == targets[image])
    assert knn_right(x, targets).tolist() == [bool(hit) for hit in right]


def test_many_queries_are_searched_in_parts(monkeypatch: pytest.MonkeyPatch):
    (train, _), (val, _) = blobs(50, 0), blobs(33, 1)
    whole = nearest(val, train, 3)
    monkeypatch.setattr("kivfm_core.evaluation.features.knn.SIMILARITIES", 7 * len(train))
    parts = nearest(val, train, 3)
    assert parts.images.equal(whole.images)
    torch.testing.assert_close(parts.similarity, whole.similarity)


def test_each_head_is_trained_as_torchs_sgd_trains_it():
    x, targets = blobs(64, 5)
    heads = Heads(12, CLASSES, torch.tensor(RATES[-2:]))
    linears = []
    for place in range(2):
        linear = nn.Linear(12, CLASSES)
        with torch.no_grad():
            linear.weight.copy_(heads.weight[place, :-1].T)
            linear.bias.copy_(heads.weight[place, -1])
        linears.append(linear)
    groups = [
        {"params": own.parameters(), "lr": lr} for own, lr in zip(linears, RATES[-2:], strict=True)
    ]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    for _ in range(20):
        heads.step(x, targets, 1.0)
        optimizer.zero_grad()
        sum(nn.functional.cross_entropy(own(x), targets) for own in linears).backward()
        optimizer.step()
    for place, linear in enumerate(linears):
        torch.testing.assert_close(heads.logits(x)[place], linear(x))


def test_a_tenth_of_each_class_is_held_out():
    targets = torch.tensor([0] * 40 + [1] * 5 + [2])
    held = hold_out(targets)
    assert [int(held[targets == c].sum()) for c in range(3)] == [4, 1, 0]
    assert held.equal(hold_out(targets))
    with pytest.raises(DataError, match="no class of train has two images"):
        hold_out(torch.tensor([0, 1, 2]))
