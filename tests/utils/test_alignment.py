"""Distances between clouds of tokens: known values, and what they can tell apart."""

import numpy as np
import pytest

from utils.alignment import covariance_distance, distances, largest_by_chance, linear_cka, mmd2


def cloud(count: int, width: int = 4, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=(count, width))


def test_centroids_are_apart_in_spreads_of_the_second_cloud() -> None:
    second = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
    assert distances(second + np.array([6.0, 8.0]), second).centroids == pytest.approx(5)
    first = second + np.array([6.0, 8.0])
    assert distances(10 * first, 10 * second) == pytest.approx(distances(first, second))


def test_the_distance_of_covariances_is_that_of_standard_deviations_where_the_axes_agree() -> None:
    signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    first, second = signs * [3.0, 5.0], signs * [1.0, 2.0]
    assert covariance_distance(first + 7, second) == pytest.approx(np.hypot(3 - 1, 5 - 2))
    assert covariance_distance(first, first) == pytest.approx(0, abs=1e-6)


def test_the_mean_discrepancy_is_that_of_a_plain_double_loop() -> None:
    first, second = cloud(5), cloud(4, seed=1) + 1
    both = np.concatenate([first, second])
    apart = [np.linalg.norm(both[i] - both[j]) for i in range(9) for j in range(i)]
    bandwidth = np.median(apart)

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-((a - b) ** 2).sum() / (2 * bandwidth**2)))

    within = [
        sum(kernel(part[i], part[j]) for i in range(len(part)) for j in range(len(part)) if i != j)
        / (len(part) * (len(part) - 1))
        for part in (first, second)
    ]
    between = sum(kernel(a, b) for a in first for b in second) / 20
    assert mmd2(first, second) == pytest.approx((sum(within) - 2 * between, bandwidth))


def test_the_mean_discrepancy_sees_what_centroids_and_covariances_do_not() -> None:
    one_heap = cloud(400, width=1)
    two_heaps = np.sign(one_heap) + cloud(400, width=1, seed=1, scale=0.1)
    apart, chance = distances(two_heaps, one_heap), largest_by_chance(one_heap, np.random.default_rng(0))
    assert apart.centroids < chance.centroids and apart.covariances < chance.covariances
    assert apart.mmd2 > 2 * chance.mmd2


def test_halves_of_one_cloud_are_nearer_than_clouds_that_are_apart() -> None:
    chance = largest_by_chance(cloud(200), np.random.default_rng(0))
    apart = distances(cloud(200, seed=1) + 2, cloud(200))
    assert all(getattr(apart, name) > getattr(chance, name) for name in ("centroids", "mmd2"))


def test_kernel_alignment_is_1_for_a_turned_moved_and_scaled_cloud_and_small_for_another() -> None:
    first = cloud(500)
    turn, _ = np.linalg.qr(cloud(4, seed=2))
    assert linear_cka(first, 3 * first @ turn + 5) == pytest.approx(1)
    assert linear_cka(first, cloud(500, seed=3)) < 0.05
    assert linear_cka(first, np.ones((500, 3))) == 0


def test_clouds_without_any_spread_have_finite_distances() -> None:
    same = np.ones((4, 3))
    assert np.isfinite(distances(same, same)).all()
