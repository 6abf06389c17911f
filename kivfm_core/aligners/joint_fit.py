"""The joint fit: one space for all teachers' levels, in closed form, from streaming sums.

It is the multi-set canonical correlation analysis of Carroll (1968) and Kettenring (1971), called
MAXVAR: of all coordinates g of unit variance it finds those that all levels together predict best
by linear regression, each from its own vectors alone::

    maximize  sum over levels of  1 - min |g - (v - center) w|^2     (a ridge keeps w small)

With D the levels' own covariances (plus the ridge) and C the covariance of all, these are the
leading eigenvectors of `D^-1/2 C D^-1/2`; the eigenvalue says how many levels' worth of g's
variance is predicted. Nothing is trained, so nothing can collapse.

Dense levels meet place by place on one grid, where the axes are found. Global levels meet images:
an image's shared coordinates are the mean of its places'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kivfm_core.aligners.shared_map import SharedFit

# Added to a level's covariance, in parts of its mean variance: weak axes are mostly noise, in which
# levels would agree by chance.
RIDGE = 0.1
# Eigenvalues below this are of coordinates that no level predicts.
NOTHING = 1e-6


@dataclass(frozen=True)
class Affine:
    """A level's map to its coordinates, `v = (y - mean) axes`.

    Attributes:
        mean: `[C]`.
        axes: `[C, L]`.
    """

    mean: Tensor
    axes: Tensor


@dataclass(frozen=True)
class Moments:
    """Means `[N]` and covariance `[N, N]` of several levels' vectors, side by side."""

    mean: Tensor
    covariance: Tensor

    def mapped(self, maps: Sequence[Affine]) -> Moments:
        """Those of the levels' coordinates."""
        axes = torch.block_diag(*(one.axes for one in maps))
        shift = torch.cat([one.mean for one in maps])
        return Moments((self.mean - shift) @ axes, axes.T @ self.covariance @ axes)


@dataclass(frozen=True)
class JointFit:
    """The space that all levels share, K coordinates of it.

    Attributes:
        sums: Eigenvalues `[K]`, the largest first.
        dense: Each dense level's map.
        whole: Each global level's.
        unit: Deviation of an image's shared coordinates, the mean over them.
        among: `[G, G]`, for G groups of dense levels: the share of the variance of the group of a
            column that is explained by what the group of a row says of the shared coordinates.
        others: `[G]`, the same for what all other groups say together.
    """

    sums: Tensor
    dense: list[SharedFit]
    whole: list[SharedFit]
    unit: Tensor
    among: Tensor
    others: Tensor


def fit_joint(
    places: Moments,
    images: Moments,
    sizes: tuple[Sequence[int], Sequence[int]],
    groups: Sequence[Sequence[int]],
    shared: int,
) -> JointFit:
    """Fits the space that levels share.

    Args:
        places: Of the dense levels' coordinates, N in all, over all places.
        images: Of the means of these over an image's places, then of the global levels'
            coordinates, over all images.
        sizes: Numbers of coordinates of each dense level, and of each global one.
        groups: Which dense levels are one teacher's.
        shared: Number of shared coordinates, K, at most N.
    """
    dense, whole = sizes
    loadings, sums = maxvar(places.covariance, dense, shared)
    common = places.covariance @ loadings  # between levels and shared coordinates, `[N, K]`
    fits = [_dense_fit(places, common, loadings[part] * sums, part) for part in _parts(dense)]
    count = sum(dense)
    seen = images.covariance[:, :count] @ loadings
    own = loadings.T @ seen[:count]
    between = _Between(places.covariance, _parts(dense), [fit.into for fit in fits], groups)
    everyone = range(len(groups))
    return JointFit(
        sums,
        fits,
        [_whole_fit(images, seen, own, part) for part in _parts(whole, count)],
        own.diagonal().mean().clamp(min=1e-12).sqrt(),
        torch.tensor([[between.explained([s], t) for t in everyone] for s in everyone]),
        torch.tensor([between.explained([s for s in everyone if s != t], t) for t in everyone]),
    )


def fit_added(both: Moments, shared: int) -> SharedFit:
    """Fits a level to shared coordinates that exist.

    Args:
        both: Of the level's coordinates, then of the shared ones, at the same places or images.
        shared: Number of shared coordinates, K.
    """
    level, z = slice(-shared), slice(-shared, None)
    fitted = _whole_fit(both, both.covariance[:, z], both.covariance[z, z], level)
    # A head's coordinates are centered only nearly, and the level's mean belongs to their mean.
    return fitted._replace(center=fitted.center - both.mean[z] @ fitted.out)


def maxvar(covariance: Tensor, sizes: Sequence[int], shared: int) -> tuple[Tensor, Tensor]:
    """The coordinates that several sets of variables predict best, each by itself.

    Args:
        covariance: Of all variables `[N, N]`, a set after the other.
        sizes: Numbers of variables of the sets.
        shared: Number of coordinates, K.

    Returns:
        Loadings `[N, K]`, by which centered variables give coordinates of unit covariance; and
        eigenvalues `[K]`, the largest first. Coordinates that no set predicts are zero.
    """
    root = torch.zeros_like(covariance)  # D^-1/2
    for part in _parts(sizes):
        values, axes = torch.linalg.eigh(_with_ridge(covariance[part, part]))
        root[part, part] = axes * values.clamp(min=1e-12).rsqrt() @ axes.T
    values, axes = torch.linalg.eigh(root @ covariance @ root)
    values, axes = values.flip(0)[:shared], axes.flip(1)[:, :shared]
    # eigh leaves signs open; the largest entry made positive makes the axes reproducible.
    signs = axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    scale = torch.where(values > NOTHING, values.clamp(min=NOTHING).rsqrt(), 0.0)
    return root @ (axes * signs) * scale, values.clamp(min=NOTHING)


def _dense_fit(places: Moments, common: Tensor, into: Tensor, part: slice) -> SharedFit:
    variance = places.covariance[part, part].trace()
    # The shared coordinates have unit covariance, so this regression on them needs no inverse.
    return _fitted(places.mean[part], into, common[part].T, variance, common[part].square().sum())


def _whole_fit(images: Moments, seen: Tensor, own: Tensor, part: slice) -> SharedFit:
    covariance = images.covariance[part, part]
    into = torch.linalg.solve(_with_ridge(covariance), seen[part])
    out = torch.linalg.solve(_with_ridge(own), seen[part].T)
    explained = 2 * (out * seen[part].T).sum() - (out * (own @ out)).sum()
    return _fitted(images.mean[part], into, out, covariance.trace(), explained)


def _fitted(
    center: Tensor, into: Tensor, out: Tensor, variance: Tensor, explained: Tensor
) -> SharedFit:
    left = (variance - explained) / len(center)
    share = float(explained / variance.clamp(min=1e-12))
    return SharedFit(center, into, out, left.clamp(min=1e-8).sqrt(), share)


@dataclass(frozen=True)
class _Between:
    """How much what some levels say of the shared coordinates explains of others.

    Attributes:
        covariance: Of the dense levels' coordinates.
        parts: Where each level's lie.
        into: From each to its part in the shared ones.
        groups: Which levels are one teacher's.
    """

    covariance: Tensor
    parts: Sequence[slice]
    into: Sequence[Tensor]
    groups: Sequence[Sequence[int]]

    def explained(self, sources: Sequence[int], target: int) -> float:
        """The share of one group's variance that other groups' levels explain together."""
        levels = [level for group in sources for level in self.groups[group]]
        if not levels:
            return 0.0
        heard = torch.zeros(len(self.covariance), 0).to(self.covariance)
        for level in levels:
            column = torch.zeros(len(self.covariance), self.into[level].shape[1]).to(heard)
            column[self.parts[level]] = self.into[level]
            heard = torch.cat([heard, column], 1)
        rows = torch.cat([torch.arange(len(self.covariance))[self.parts[level]]
                          for level in self.groups[target]])  # fmt: skip
        with_target = (self.covariance @ heard)[rows]
        own = heard.T @ self.covariance @ heard
        # What levels say is not independent: directions without variance count for nothing.
        inverse = torch.linalg.pinv(own, hermitian=True, rtol=1e-6)
        variance = self.covariance.diagonal()[rows].sum().clamp(min=1e-12)
        return float((with_target @ inverse * with_target).sum() / variance)


def _with_ridge(covariance: Tensor) -> Tensor:
    ridge = RIDGE * covariance.diagonal().mean().clamp(min=1e-12)
    return covariance + ridge * torch.eye(len(covariance)).to(covariance)


def _parts(sizes: Sequence[int], start: int = 0) -> list[slice]:
    """Where sets of these sizes lie, one after the other."""
    parts: list[slice] = []
    for size in sizes:
        parts.append(slice(start, start + size))
        start += size
    return parts
