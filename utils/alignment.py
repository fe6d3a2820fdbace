"""Measure how far two clouds of tokens are from being one. Shapes: N and M tokens, D width.

Lengths are in units of the second cloud's spread: the root of the mean squared distance of its tokens to its centroid.
"""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import pairwise_distances

HALVINGS = 20  # random splits of one cloud in two halves: what "no difference" looks like


class Distances(NamedTuple):
    """What tells two clouds apart; 0 everywhere where they are one.

    Attributes:
        centroids: distance of the centroids, in spreads.
        covariances: distance of the covariances, in spreads: the Fréchet distance of two normal distributions without
            its part of the centroids.
        mmd2: squared maximum mean discrepancy; below 0 by chance where the clouds are one.
        bandwidth: of its kernel, in spreads.
    """

    centroids: float
    covariances: float
    mmd2: float
    bandwidth: float


def distances(first: np.ndarray, second: np.ndarray) -> Distances:
    """Return what tells clouds (N, D) and (M, D) of at least two tokens apart."""
    first, second = (np.asarray(cloud, np.float64) for cloud in (first, second))
    centroid = second.mean(0)
    spread = np.sqrt(((second - centroid) ** 2).sum(1).mean()) or 1.0
    first, second = (first - centroid) / spread, (second - centroid) / spread
    return Distances(float(np.linalg.norm(first.mean(0))), covariance_distance(first, second), *mmd2(first, second))


def covariance_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the Bures distance of the covariances A and B: the root of tr(A) + tr(B) - 2 tr((A^½ B A^½)^½).

    The Fréchet distance of normal distributions (Dowson and Landau 1982, equation 4) has this part and that of the
    means. With X and Y the centered clouds, the last trace is the sum of singular values of X Yᵀ / √(N M).
    """
    x, y = (cloud - cloud.mean(0) for cloud in (first, second))
    x, y = x / np.sqrt(len(x)), y / np.sqrt(len(y))
    squared = (x**2).sum() + (y**2).sum() - 2 * np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return float(np.sqrt(max(0.0, squared)))


def mmd2(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return the unbiased squared maximum mean discrepancy and its bandwidth (Gretton et al. 2012, equation 3).

    The kernel is exp(-d² / (2 σ²)); its bandwidth σ is the median distance of two tokens of both clouds together.
    """
    count = len(first)
    apart = pairwise_distances(np.concatenate([first, second]))
    bandwidth = float(np.median(apart[np.triu_indices_from(apart, 1)])) or 1.0
    kernel = np.exp(-(apart**2) / (2 * bandwidth**2))
    np.fill_diagonal(kernel, 0)
    within = [part.sum() / (len(part) * (len(part) - 1)) for part in (kernel[:count, :count], kernel[count:, count:])]
    return float(sum(within) - 2 * kernel[:count, count:].mean()), bandwidth


def linear_cka(first: np.ndarray, second: np.ndarray) -> float:
    """Return the linear centered kernel alignment of clouds (N, D) whose rows belong together, from 0 to 1.

    Kornblith et al. 2019, equation for linear kernels in section 3: 1 where one is the other turned, moved and scaled.
    """
    x, y = (np.asarray(cloud, np.float64) - np.mean(cloud, 0, dtype=np.float64) for cloud in (first, second))
    norms = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.linalg.norm(y.T @ x) ** 2 / norms) if norms else 0.0


def largest_by_chance(cloud: np.ndarray, random: np.random.Generator) -> Distances:
    """Return the largest distances of ``HALVINGS`` random halvings of one cloud: those of clouds that are one."""
    found = []
    for _ in range(HALVINGS):
        order = random.permutation(len(cloud))
        found.append(distances(cloud[order[: len(cloud) // 2]], cloud[order[len(cloud) // 2 :]]))
    return Distances(*(max(values) for values in zip(*found, strict=True)))
