"""Fingerprints differ when the numbers do, and only then."""

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from utils.fingerprint import fingerprint, fingerprint_of_files

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(())}


def test_it_is_the_hash_of_names_shapes_and_little_endian_numbers_in_name_order() -> None:
    content = b"a(2, 3)" + struct.pack("<6f", *range(6)) + b"b()" + struct.pack("<f", 0)
    assert fingerprint(TENSORS) == hashlib.sha256(content).hexdigest()[:12]


@pytest.mark.parametrize(
    "same",
    [
        lambda: dict(reversed(TENSORS.items())),
        lambda: {name: tensor.double() for name, tensor in TENSORS.items()},
        lambda: {"a": TENSORS["a"].T.contiguous().T, "b": torch.nn.Parameter(TENSORS["b"])},
    ],
    ids=["order", "precision", "memory"],
)
def test_order_precision_and_memory_layout_do_not_matter(same: Callable[[], dict[str, Tensor]]) -> None:
    assert fingerprint(same()) == fingerprint(TENSORS)


@pytest.mark.parametrize(
    "other",
    [
        {"a": TENSORS["a"] + 1e-6, "b": TENSORS["b"]},
        {"c": TENSORS["a"], "b": TENSORS["b"]},
        {"a": TENSORS["a"].reshape(3, 2), "b": TENSORS["b"]},
        {"a": TENSORS["a"]},
        {},
    ],
    ids=["number", "name", "shape", "fewer", "none"],
)
def test_any_difference_shows(other: dict[str, Tensor]) -> None:
    assert fingerprint(other) != fingerprint(TENSORS)


def test_files_are_told_apart_by_their_contents_and_their_borders(tmp_path: Path) -> None:
    for name, text in (("a", "12"), ("b", "3"), ("c", "1"), ("d", "23"), ("e", "12")):
        (tmp_path / name).write_text(text)

    def of(*names: str) -> str:
        return fingerprint_of_files(tmp_path / name for name in names)

    assert of("a", "b") == of("e", "b")
    assert len({of("a", "b"), of("c", "d"), of("b", "a"), of("a"), of()}) == 5
