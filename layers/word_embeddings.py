"""Principal word embeddings: the token table of a language model reduced to K words (CALF, section 3.2).

Shapes: V tokens, D width, K words.
"""

import codecs
import io
import logging
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy_format
from torch import Tensor

from layers.backbone import Backbone
from utils.errors import UserError, shown_path
from utils.files import check_regular, check_uncompressed, replacing
from utils.fingerprint import fingerprint

logger = logging.getLogger(__name__)

DEFAULT_COMPONENTS = 500
MOST_BYTES = 2**30  # of a file
NUMBERS = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int16, torch.int32, torch.int64)
REMEDY = "Leave --word_embedding_path out to make a fitting file"


@dataclass(frozen=True)
class WordEmbeddings:
    """K principal words and the token table they were made from.

    Attributes:
        words: (K, D) float32.
        llm: name of the language model; None where the file does not say (the release's files, bare arrays).
        token_fingerprint: of the token table; None where the file does not say.
        path: their file; None where there is none.
        made: whether they were made just now, and the file is still to be written.
    """

    words: Tensor
    llm: str | None = None
    token_fingerprint: str | None = None
    path: Path | None = None
    made: bool = False

    @property
    def origin(self) -> dict[str, Any]:
        """Return where the words come from, as JSON for records and checkpoints."""
        return {
            "file": None if self.path is None else str(self.path),
            "llm": self.llm,
            "token_fingerprint": self.token_fingerprint,
            "count": len(self.words),
        }

    def save_if_made(self) -> None:
        """Write words that were made for a run, so that later runs find them."""
        if self.made and self.path is not None:
            save_word_embeddings(self.path, self)
            logger.info("word embeddings saved to %s", shown_path(self.path))


def choose_word_embeddings(path: str | Path | None, backbone: Backbone, write: bool = True) -> WordEmbeddings:
    """Return the word embeddings for a backbone: those in its file, or new ones from its token table.

    New ones are not yet saved: call :meth:`WordEmbeddings.save_if_made` once everything else fits.

    Args:
        path: the file; None for the one that is named after the backbone.
        backbone: with its token table.
        write: make words that are missing; without it they are zeros of the right shape.

    Raises:
        UserError: the file is damaged, or made from another token table.
    """
    token_fingerprint = fingerprint({"wte": backbone.token_table})
    path = Path(path) if path else _default_path(backbone, token_fingerprint)
    if path.exists():
        found = load_word_embeddings(path)
        _check_origin(found, backbone, token_fingerprint)
        return found
    components = min(DEFAULT_COMPONENTS, *backbone.token_table.shape)
    name = shown_path(path)
    if not write:
        logger.info("word embeddings: %s is missing and would be made from the token table", name)
        return WordEmbeddings(torch.zeros(components, backbone.width), backbone.name, token_fingerprint, path)
    logger.info("word embeddings: %s is missing; making it from the token table of %s", name, shown_path(backbone.name))
    return replace(make_word_embeddings(backbone, components), path=path, made=True)


def make_word_embeddings(backbone: Backbone, components: int = DEFAULT_COMPONENTS) -> WordEmbeddings:
    """Make word embeddings from the token table of a backbone.

    Raises:
        UserError: more components than the table has widths or tokens.
    """
    words, table = principal_words(backbone.token_table, components), backbone.token_table
    return WordEmbeddings(words, f"{backbone.name} ({backbone.init})", fingerprint({"wte": table}))


def principal_words(token_table: Tensor, components: int = DEFAULT_COMPONENTS) -> Tensor:
    """Reduce a token table (V, D) to ``components`` principal words (K, D).

    PCA of the transposed table: the D widths are the samples, the V tokens the variables. Exact and
    deterministic (full SVD, signs fixed by scikit-learn).

    Raises:
        UserError: more components than the table has widths or tokens.
    """
    from sklearn.decomposition import PCA  # imported late: it takes a second, and a forecast needs no PCA

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

    The tensor file loads with ``torch.load(path, weights_only=True)``; its tensor has attributes ``llm`` and
    ``token_fingerprint``. A bare array does not say where it comes from.
    """
    scores, content = embeddings.words.T.contiguous(), io.BytesIO()
    if path.suffix == ".npy":
        np.save(content, scores.numpy())
    else:
        scores.llm = embeddings.llm
        scores.token_fingerprint = embeddings.token_fingerprint
        torch.save(scores, content)  # on a full disk torch fails in its own words, so not into the file itself
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def load_word_embeddings(path: Path) -> WordEmbeddings:
    """Read principal word embeddings: ours, the release's pickled array, or a ``.npy`` array.

    Only tensors and plain numpy arrays can come out of the file; no code in it is run.

    Raises:
        UserError: the file is missing, damaged, or holds anything but a finite (D, K) array with K <= D.
    """
    try:
        check_regular(path, MOST_BYTES)
    except FileNotFoundError as error:
        raise UserError(f"{shown_path(path)}: there is no such file; make it with pca.py.") from error
    try:
        scores = _load_array(path) if path.suffix == ".npy" else _load_tensor_file(path)
        table = torch.as_tensor(scores).detach()
    except Exception as error:  # damage can surface as anything inside the unpickler
        raise UserError(
            f"{shown_path(path)} is no readable file of word embeddings (damaged, or it holds more than numbers); "
            "make it anew with pca.py."
        ) from error
    _check_table(table, path)
    words = table.to(torch.float32).T.contiguous()
    if not torch.isfinite(words).all():
        raise UserError(f"{shown_path(path)} holds NaN or infinite values; make it anew with pca.py.")
    llm, token_fingerprint = (getattr(scores, name, None) for name in ("llm", "token_fingerprint"))
    if not isinstance(llm, str | None) or not isinstance(token_fingerprint, str | None):
        raise UserError(f"{shown_path(path)} does not name its language model properly; make it anew with pca.py.")
    return WordEmbeddings(words, llm and shown_path(llm), token_fingerprint, path)


def _load_array(path: Path) -> np.ndarray:
    with path.open("rb") as file:
        array = npy_format.read_array(file, allow_pickle=False)
    return array.astype(array.dtype.newbyteorder("="), copy=False)  # PyTorch knows native numbers only


def _load_tensor_file(path: Path) -> np.ndarray | Tensor:
    """Call ``torch.load``, restricted to tensors and, for the release's files, numpy arrays of numbers."""
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
    check_uncompressed(path)
    with torch.serialization.safe_globals(plain_arrays):
        return torch.load(path, map_location="cpu", weights_only=True)


def _check_table(table: Tensor, path: Path) -> None:
    """Refuse a tensor without numbers of its own (sparse, quantized, meta, repeated), and one of the wrong shape."""
    plain = table.layout == torch.strided and table.dtype in NUMBERS and not (table.is_meta or table.is_nested)
    if not plain or table.ndim != 2 or not 1 <= table.shape[1] <= table.shape[0]:
        raise UserError(
            f"{shown_path(path)} must hold a (width, components) array of real numbers with 1 <= components <= width; "
            "make it anew with pca.py."
        )
    if table.numel() > path.stat().st_size:
        raise UserError(f"{shown_path(path)} repeats its numbers; make it anew with pca.py.")


def _default_path(backbone: Backbone, token_fingerprint: str) -> Path:
    """Return one file per token table, so that those of different backbones never meet."""
    name = f"wte_pca_{min(DEFAULT_COMPONENTS, *backbone.token_table.shape)}"
    if backbone.name == "gpt2" and backbone.init == "pretrained":
        return Path(f"{name}.pt")
    slug = re.sub(r"[^A-Za-z0-9.-]+", "-", Path(backbone.name).name)
    return Path(f"{name}_{slug}_{token_fingerprint}.pt")


def _check_origin(found: WordEmbeddings, backbone: Backbone, token_fingerprint: str) -> None:
    name, width = shown_path(found.path), found.words.shape[1]
    if width != backbone.width:
        raise UserError(
            f"{name} has word embeddings of width {width}, the backbone {shown_path(backbone.name)} has width "
            f"{backbone.width}. {REMEDY}."
        )
    if found.token_fingerprint not in (None, token_fingerprint):
        raise UserError(
            f"{name} was made from the token table of {found.llm}, {shown_path(found.token_fingerprint)}; "
            f"this run's backbone is {shown_path(backbone.name)} ({backbone.init}), {token_fingerprint}. {REMEDY}, or, "
            "to mix them on purpose, give a bare array (.npy)."
        )
