"""Principal word embeddings: a GPT-2's token table reduced to K words (CALF, section 3.2)."""

import codecs
import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.lib import format as npy_format
from sklearn.decomposition import PCA
from torch import Tensor

from utils.errors import UserError
from utils.files import replacing
from utils.fingerprint import fingerprint

logger = logging.getLogger(__name__)
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


class Chosen:
    def __init__(self, words, origin, path, made):
        self.words, self.origin, self.path, self.made = words.words, origin, path, made
        self.full = words

    def save_if_made(self):
        if self.made:
            save_word_embeddings(self.path, self.full)
            logger.info("word embeddings saved to %s", self.path)


def choose_word_embeddings(path, backbone, write):
    token_fingerprint = fingerprint({"wte": backbone.token_table})
    path = word_embedding_path(path, backbone, token_fingerprint)
    make = not path.exists()
    if make:
        words = _make_words(backbone, token_fingerprint, path, pretend=not write)
    else:
        words = load_word_embeddings(path)
        _check_origin(words, backbone, token_fingerprint, path)
    origin = {
        "file": str(path),
        "llm": words.llm,
        "token_fingerprint": words.token_fingerprint,
        "count": len(words.words),
    }
    return Chosen(words, origin, path, make)


def word_embedding_path(path, backbone, token_fingerprint):
    if path:
        return Path(path)
    name = f"wte_pca_{min(DEFAULT_COMPONENTS, *backbone.token_table.shape)}"
    if backbone.name == "gpt2" and backbone.init == "pretrained":
        return Path(f"{name}.pt")
    return Path(f"{name}_{re.sub(r'[^A-Za-z0-9.-]+', '-', Path(backbone.name).name)}_{token_fingerprint}.pt")


def _make_words(backbone, token_fingerprint: str, path: Path, pretend: bool) -> WordEmbeddings:
    vocabulary, width = backbone.token_table.shape
    components = min(DEFAULT_COMPONENTS, vocabulary, width)
    if pretend:
        logger.info("word embeddings: %s is missing and would be made from the token table", path)
        return WordEmbeddings(torch.zeros(components, width), backbone.name, token_fingerprint)
    logger.info("word embeddings: %s is missing; making it from the token table of %s", path, backbone.name)
    words = principal_words(backbone.token_table, components)
    return WordEmbeddings(words, f"{backbone.name} ({backbone.init})", token_fingerprint)


def _check_origin(words: WordEmbeddings, backbone, token_fingerprint: str, path: Path) -> None:
    if words.words.shape[1] != backbone.width:
        raise UserError(
            f"{path} has word embeddings of width {words.words.shape[1]}, the backbone {backbone.name} has width "
            f"{backbone.width}. Leave --word_embedding_path out to make a fitting file."
        )
    if words.token_fingerprint not in (None, token_fingerprint):
        raise UserError(
            f"{path} was made from the token table of {words.llm}, {words.token_fingerprint}; "
            f"this run's backbone is {backbone.name} ({backbone.init}), {token_fingerprint}. Leave "
            "--word_embedding_path out to make a fitting file, or, to mix them on purpose, give a bare array (.npy)."
        )
