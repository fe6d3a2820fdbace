"""Give a set of tensors or files a short name that is equal only for equal content."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

DIGITS = 12


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Return the first 12 hex digits of the SHA-256 over names, shapes and float32 bytes, in name order."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy())
    return digest.hexdigest()[:DIGITS]


def fingerprint_of_files(paths: Iterable[Path]) -> str:
    """Return the first 12 hex digits of the SHA-256 over the digests of the files' contents, in the given order."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:DIGITS]
