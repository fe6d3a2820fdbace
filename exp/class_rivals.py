"""Classify cases without a network: the most frequent class, and MiniRocket (Dempster et al., KDD 2021)."""

import time
from collections.abc import Iterator

import numpy as np
import torch

from data_provider.classification import Cases

SHORTEST = 9  # steps that its kernels take
MOST_CASES = 10_000  # its ridge regression takes the cube of their number


def rivals(train: Cases, test: Cases, seed: int) -> Iterator[tuple[str, np.ndarray, float]]:
    """Yield name, classes found for the test cases (N,), and seconds of training and test."""
    started = time.perf_counter()
    most = int(np.bincount(train.classes.numpy()).argmax())
    yield "majority_class", np.full(len(test), most), time.perf_counter() - started
    if not why_no_minirocket(train):
        yield "MiniRocket", *minirocket(train, test, seed)


def why_no_minirocket(train: Cases) -> str:
    """Return why MiniRocket cannot take part, in words; empty where it can."""
    if train.x.shape[1] < SHORTEST:
        return f"MiniRocket takes at least {SHORTEST} steps, and there are {train.x.shape[1]}"
    if len(train) > MOST_CASES:
        return f"MiniRocket would take too long for {len(train):,} training cases, more than {MOST_CASES:,}"
    return ""


def minirocket(train: Cases, test: Cases, seed: int) -> tuple[np.ndarray, float]:
    """Return the classes (N,) that MiniRocket finds for the test cases, and its seconds.

    It sees the cases as the networks do: standardised, and padded to one length.
    """
    from aeon.classification.convolution_based import MiniRocketClassifier  # late: it takes seconds

    started, threads = time.perf_counter(), torch.get_num_threads()
    model = MiniRocketClassifier(random_state=seed % 2**31, n_jobs=1)
    model.fit(_channels_first(train), train.classes.numpy())
    found = model.predict(_channels_first(test))
    torch.set_num_threads(threads)  # numba, which it computes with, leaves another number
    return found, time.perf_counter() - started


def _channels_first(cases: Cases) -> np.ndarray:
    """Return the cases as aeon takes them, (N, C, L)."""
    return cases.x.transpose(1, 2).contiguous().numpy()
