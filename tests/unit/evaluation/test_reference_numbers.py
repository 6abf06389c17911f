"""k-NN and the linear probe equal what their definitions give, step by step, and scikit-learn's."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kivfm_core.evaluation.features.knn import NEIGHBORS, TEMPERATURE, knn_accuracy
from kivfm_core.evaluation.features.linear_probe import STRENGTHS, probe_accuracy

SEEDS = pytest.mark.parametrize("seed", range(8))
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def random_features(seed: int) -> tuple[Floats, Ints]:
    """Clusters that overlap, of any lengths, some classes rare or absent."""
    rng = np.random.default_rng(seed)
    count, classes, channels = (int(rng.integers(*span)) for span in ((20, 90), (2, 9), (2, 24)))
    targets = rng.integers(0, classes, count) * (rng.random(count) < 0.8) + 2 * (seed % 2)
    centers = rng.standard_normal((classes + 3, channels))
    features = centers[targets] + rng.choice([0.5, 1.5]) * rng.standard_normal((count, channels))
    features *= rng.uniform(0.1, 10, (count, 1))  # lengths do not count
    return features.astype(np.float32).astype(float), targets


def neighbors(targets: Ints) -> int:
    """How many vote: 20, or as many others as the mean class has."""
    return max(1, min(NEIGHBORS, round(len(targets) / len(set(targets.tolist()))) - 1))


def votes(features: Floats, targets: Ints, k: int) -> list[int]:
    """Each image's class by the others' votes: the nearest k by cosine, `exp(cosine / 0.07)`."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.maximum(lengths, 1e-12)
    answers = []
    for i in range(len(unit)):
        cosines = unit @ unit[i]
        cosines[i] = -np.inf
        sums = np.zeros(int(targets.max()) + 1)
        for j in np.argsort(-cosines, kind="stable")[:k]:
            sums[targets[j]] += np.exp(cosines[j] / TEMPERATURE)
        answers.append(int(sums.argmax()))
    return answers


def check_knn(features: Floats, targets: Ints) -> None:
    k = neighbors(targets)
    expected = np.mean(np.array(votes(features, targets, k)) == targets)
    found = knn_accuracy(torch.from_numpy(features).float(), torch.from_numpy(targets))
    assert found == pytest.approx(expected, abs=1e-6)


@SEEDS
def test_knn_by_its_definition(seed: int) -> None:
    check_knn(*random_features(seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 400))
def test_knn_of_many_sets(seed: int) -> None:
    check_knn(*random_features(seed))


def test_knn_of_more_images_than_it_takes_at_once() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 6, 1100)
    features = rng.standard_normal((6, 8))[targets] + 1.2 * rng.standard_normal((1100, 8))
    check_knn(features.astype(np.float32).astype(float), targets)


def test_an_image_does_not_vote_for_itself_nor_twice_the_same() -> None:
    features = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    assert knn_accuracy(features, torch.tensor([0, 1, 0, 1])) == 0.0
    assert knn_accuracy(features, torch.tensor([0, 0, 1, 1])) == 1.0


@pytest.mark.parametrize("own", [0, 1])
def test_equal_votes_go_to_the_first_class(own: int) -> None:
    # Two vote for the first image, equally near and of two classes; the other four are far off.
    beside = [[1, 0, 0], [0.6, 0.8, 0], [0.6, -0.8, 0]]
    features = np.array([*beside, [-1, 0, 0], [-1, 0.1, 0], [-1, 0, 0.2]])
    targets = np.array([own, 1, 0, 1, 1, 0])
    assert votes(features, targets, 2)[0] == 0
    check_knn(features, targets)


def test_an_image_without_features_is_equally_far_from_all() -> None:
    features = torch.tensor([[0.0, 0], [1, 0], [1, 0.1], [1, 0.2]])
    assert knn_accuracy(features, torch.zeros(4, dtype=torch.long)) == 1.0


@pytest.mark.skipif(find_spec("sklearn") is None, reason="needs scikit-learn")
@SEEDS
def test_knn_as_scikit_learn(seed: int) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    features, targets = random_features(seed)
    model = KNeighborsClassifier(
        neighbors(targets),
        metric="cosine",
        algorithm="brute",
        weights=lambda distance: np.exp((1 - distance) / TEMPERATURE),
    )
    right = 0
    for i in range(len(targets)):
        others = np.arange(len(targets)) != i
        right += (
            model.fit(features[others], targets[others]).predict(features[i : i + 1])[0]
            == (targets[i])
        )
    found = knn_accuracy(torch.from_numpy(features).float(), torch.from_numpy(targets))
    assert found == pytest.approx(right / len(targets), abs=1e-6)


def left_out(x: Floats, y: Floats, i: int, strength: float) -> int:
    """The class that a ridge with an intercept, fitted without image i, gives image i."""
    others = np.arange(len(x)) != i
    mean_x, mean_y = x[others].mean(0), y[others].mean(0)
    centered = x[others] - mean_x
    gram = centered.T @ centered + strength * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, centered.T @ (y[others] - mean_y))
    return int(((x[i] - mean_x) @ weights + mean_y).argmax())


@SEEDS
def test_the_linear_probe_by_refitting_it_without_each_image(seed: int) -> None:
    features, targets = random_features(seed)
    x = (features - features.mean(0)) / features.std(0)
    y = np.eye(int(targets.max()) + 1)[targets]
    power = float((np.linalg.svd(x, compute_uv=False) ** 2).mean())
    hits = np.array(
        [
            [left_out(x, y, i, strength * power) == targets[i] for i in range(len(x))]
            for strength in STRENGTHS
        ]
    )
    even, odd = hits[:, ::2], hits[:, 1::2]
    chosen = (even[odd.mean(1).argmax()], odd[even.mean(1).argmax()])
    expected = float(np.concatenate(chosen).mean())
    found = probe_accuracy(torch.from_numpy(features), torch.from_numpy(targets))
    assert found == pytest.approx(expected, abs=1e-6)
