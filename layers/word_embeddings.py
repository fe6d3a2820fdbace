"""Principal word embeddings: a GPT-2's token table reduced to K words (CALF, section 3.2)."""

import codecs
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.lib import format as npy_format
from sklearn.decomposition import PCA
from torch import Tensor

from utils.errors import UserError
from utils.files import replacing

DEFAULT_COMPONENTS = 500


@dataclass(frozen=True)
class WordEmbeddings:
    """K principal words and the token table they were made from.

    Attributes:
        words: (K, D) float32.
        llm: name of that GPT-2, and ``token_fingerprint`` of its token table;
            None where the file does not say (the release's files, bare arrays).
    """

    words: Tensor
    llm: str | None = None
    token_fingerprint: str | None = None


def principal_words(token_table: Tensor, components: int = DEFAULT_COMPONENTS) -> Tensor:
    """Reduce a token table (V, D) to ``components`` principal words (K, D).

    PCA of the transposed table: the D widths are the samples, the V tokens the variables. Exact and
    deterministic (full SVD, signs fixed by scikit-learn).

    Raises:
        UserError: more components than the table has widths or tokens.
    """
    vocabulary, width = token_table.shape
    if not 1 <= components <= min(width, vocabulary):
        raise UserError(
            f"--n_components {components}: a token table of {vocabulary} tokens and width {width} "
            f"has 1 to {min(width, vocabulary)} principal words."
        )
    samples = token_table.T.numpy().astype(np.float64)  # (D, V)
    scores = PCA(n_components=components, svd_solver="full").fit_transform(samples)  # (D, K)
    return torch.from_numpy(np.ascontiguousarray(scores.T.astype(np.float32)))


def save_word_embeddings(path: Path, embeddings: WordEmbeddings) -> None:
    """Write the (D, K) scores: ``.npy`` as a bare array, anything else as a tensor file.

    The tensor file loads with ``torch.load(path, weights_only=True)``; its origin rides along as
    attributes ``llm`` and ``token_fingerprint`` of the tensor. A bare array has no origin.
    """
    scores = embeddings.words.T.contiguous()
    with replacing(path) as temporary, temporary.open("wb") as file:
        if path.suffix == ".npy":
            np.save(file, scores.numpy())
        else:
            scores.llm = embeddings.llm
            scores.token_fingerprint = embeddings.token_fingerprint
            torch.save(scores, file)


def load_word_embeddings(path: Path) -> WordEmbeddings:
    """Read principal word embeddings: ours, the release's pickled array, or a ``.npy`` array.

    Only tensors and plain numpy arrays can come out of the file; no code in it is run.

    Raises:
        UserError: the file is missing, damaged, or holds anything but a finite (D, K) array with K <= D.
    """
    try:
        scores = _load_array(path) if path.suffix == ".npy" else _load_tensor_file(path)
        table = torch.as_tensor(scores)
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file; make it with pca.py.") from error
    except Exception as error:  # damage can surface as anything inside the unpickler
        raise UserError(
            f"{path} is no readable file of word embeddings (damaged, or it holds more than numbers); "
            "make it anew with pca.py."
        ) from error
    if table.ndim != 2 or not 1 <= table.shape[1] <= table.shape[0] or table.is_complex():
        raise UserError(f"{path} must hold a (width, components) array of real numbers with 1 <= components <= width.")
    words = table.to(torch.float32).T.contiguous()
    if not torch.isfinite(words).all():
        raise UserError(f"{path} holds NaN or infinite values; make it anew with pca.py.")
    return WordEmbeddings(words, getattr(scores, "llm", None), getattr(scores, "token_fingerprint", None))


def _load_array(path: Path) -> np.ndarray:
    with path.open("rb") as file:
        array = npy_format.read_array(file, allow_pickle=False)
    return array.astype(array.dtype.newbyteorder("="), copy=False)  # PyTorch knows native numbers only


def _load_tensor_file(path: Path) -> np.ndarray | Tensor:
    """``torch.load`` restricted to tensors and, for the release's files, numpy arrays of numbers."""
    reconstruct = np._core.multiarray._reconstruct
    plain_arrays = [
        (reconstruct, "numpy.core.multiarray._reconstruct"),
        (reconstruct, "numpy._core.multiarray._reconstruct"),
        np.ndarray,
        np.dtype,
        type(np.dtype(np.float32)),
        type(np.dtype(np.float64)),
        codecs.encode,
    ]
    with torch.serialization.safe_globals(plain_arrays):
        return torch.load(path, map_location="cpu", weights_only=True)
