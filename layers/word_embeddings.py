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
from layers.families import FAMILIES
from utils.errors import UserError, shown_path
from utils.files import check_regular, check_uncompressed, replacing
from utils.fingerprint import fingerprint
from utils.flags import whole

logger = logging.getLogger(__name__)

DEFAULT_COMPONENTS = 500
MOST_BYTES = 2**30  # of a file


@dataclass(frozen=True)
class WordEmbeddings:
    """K principal words (K, D), and the token table they were made from if the file says it.

    The release's files and bare arrays do not say it.
    """

    words: Tensor
    llm: str | None = None
    token_fingerprint: str | None = None
    path: Path | None = None

    @property
    def origin(self) -> dict[str, Any]:
        """Return where the words come from, as JSON for records and checkpoints."""
        file = None if self.path is None else str(self.path)
        return {"file": file, "llm": self.llm, "token_fingerprint": self.token_fingerprint, "count": len(self.words)}


def empty_word_embeddings(origin: Any, width: int) -> WordEmbeddings:
    """Return the words that a checkpoint describes (``WordEmbeddings.origin``), to be filled in from it.

    Raises:
        UserError: a part of the description is missing, or not possible.
    """
    if not isinstance(origin, dict) or not whole().fits(origin.get("count")):
        raise UserError("it does not say how many word embeddings it has")
    file, llm, made_from = (origin.get(part) for part in ("file", "llm", "token_fingerprint"))
    if not all(isinstance(part, str | None) for part in (file, llm, made_from)):
        raise UserError("it does not say properly where its word embeddings come from")
    return WordEmbeddings(torch.zeros(origin["count"], width), llm, made_from, Path(file) if file else None)


def choose_word_embeddings(path: str | Path | None, backbone: Backbone, write: bool = True) -> WordEmbeddings:
    """Return the word embeddings for a backbone: those in its file, or new ones from its token table.

    New ones are not yet saved: call :func:`save_word_embeddings` once everything else fits.

    Args:
        path: None for the file that is named after the backbone.
        write: make words that are missing; without it they are zeros of the right shape.

    Raises:
        UserError: the file is damaged, or made from another token table.
    """
    components = min(DEFAULT_COMPONENTS, *backbone.token_table.shape)
    token_fingerprint = fingerprint({"wte": backbone.token_table})
    path = Path(path) if path else _default_path(backbone, components, token_fingerprint)
    if path.exists():
        found = load_word_embeddings(path)
        _check_origin(found, backbone, token_fingerprint)
        return found
    missing = f"word embeddings: {shown_path(path)} is missing"
    if not write:
        logger.info("%s and would be made from the token table", missing)
        return WordEmbeddings(torch.zeros(components, backbone.width), backbone.label, token_fingerprint, path)
    logger.info("%s; making it from the token table of %s", missing, shown_path(backbone.origin["name"]))
    return replace(make_word_embeddings(backbone, components), path=path)


def make_word_embeddings(backbone: Backbone, components: int) -> WordEmbeddings:
    """Make word embeddings from the token table of a backbone."""
    words = principal_words(backbone.token_table, components)
    return WordEmbeddings(words, backbone.label, fingerprint({"wte": backbone.token_table}))


def control_words(kind: str, words: WordEmbeddings, backbone: Backbone) -> WordEmbeddings:
    """Return as many words (K, D) of another kind as there are principal words, to see whether these matter.

    Args:
        kind: ``pca`` for the principal ``words`` themselves; ``random`` for directions from the current torch seed,
            each as long as the principal word in its place; ``learned`` for such directions to start training from;
            ``topk`` for the first tokens of the vocabulary without bytes and marks: byte-pair merges are learnt by
            frequency, the most frequent first.
    """
    if kind == "pca":
        return words
    of = words.llm or "unknown origin"
    if kind == "topk":
        table, count = backbone.token_table, len(words.words)
        first = max(0, min(FAMILIES[backbone.model.config.model_type].first_word, len(table) - count))
        return replace(words, words=table[first : first + count], llm=f"the first tokens of {of}", path=None)
    directions = torch.nn.functional.normalize(torch.randn_like(words.words), dim=1)
    lengths = words.words.norm(dim=1, keepdim=True)
    return replace(words, words=directions * lengths, llm=f"{kind} directions as long as those of {of}", path=None)


def principal_words(token_table: Tensor, components: int) -> Tensor:
    """Reduce a token table (V, D) to ``components`` principal words (K, D).

    PCA of the transposed table: the D widths are the samples, the V tokens the variables. Exact and
    deterministic (full SVD, signs fixed by scikit-learn).

    Raises:
        UserError: more components than the table has widths or tokens.
    """
    from sklearn.decomposition import PCA  # imported late: it takes a second, and a forecast needs no PCA

    vocabulary, width = token_table.shape
    if not 1 <= components <= min(width, vocabulary):
        table = f"a token table of {vocabulary} tokens and width {width}"
        raise UserError(f"--n_components {components}: {table} has 1 to {min(width, vocabulary)} principal words.")
    samples = token_table.T.numpy().astype(np.float64)  # (D, V)
    scores = PCA(n_components=components, svd_solver="full").fit_transform(samples)  # (D, K)
    return torch.from_numpy(np.ascontiguousarray(scores.T.astype(np.float32)))


def save_word_embeddings(path: Path, embeddings: WordEmbeddings) -> None:
    """Write the (D, K) scores: ``.npy`` as a bare array, anything else as a tensor that names its origin."""
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
        content = _read(path)
        plain = content.float() if getattr(content, "dtype", None) is torch.bfloat16 else content
        scores = plain.detach().numpy() if isinstance(plain, Tensor) else np.asarray(plain)
    except Exception as error:  # damage can surface as anything inside the unpickler
        raise _refusal(path, "is no readable file of word embeddings (damaged, or more than numbers)") from error
    if scores.dtype.kind not in "fiu" or scores.ndim != 2 or not 1 <= scores.shape[1] <= scores.shape[0]:
        raise _refusal(path, "must hold a (width, components) array of real numbers with 1 <= components <= width")
    if scores.size > path.stat().st_size:
        raise _refusal(path, "repeats its numbers")
    words = torch.from_numpy(np.ascontiguousarray(scores.T, np.float64)).to(torch.float32)
    if not torch.isfinite(words).all():
        raise _refusal(path, "holds NaN or infinite values")
    llm, token_fingerprint = (getattr(content, name, None) for name in ("llm", "token_fingerprint"))
    if not isinstance(llm, str | None) or not isinstance(token_fingerprint, str | None):
        raise _refusal(path, "does not name its language model properly")
    return WordEmbeddings(words, llm and shown_path(llm), token_fingerprint, path)


def _read(path: Path) -> Any:
    """Read an array or a tensor, and of Python's objects only the arrays of numbers in the release's files."""
    if path.suffix == ".npy":
        with path.open("rb") as file:
            return npy_format.read_array(file, allow_pickle=False)
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


def _refusal(path: Path, reason: str) -> UserError:
    return UserError(f"{shown_path(path)} {reason}; make it anew with pca.py.")


def _default_path(backbone: Backbone, components: int, token_fingerprint: str) -> Path:
    """Return one file per token table, so that those of different backbones never meet."""
    if backbone.label == "gpt2 (pretrained)":
        return Path(f"wte_pca_{components}.pt")
    slug = re.sub(r"[^A-Za-z0-9.-]+", "-", Path(backbone.origin["name"]).name)
    return Path(f"wte_pca_{components}_{slug}_{token_fingerprint}.pt")


def _check_origin(found: WordEmbeddings, backbone: Backbone, token_fingerprint: str) -> None:
    width, made_from = found.words.shape[1], found.token_fingerprint
    if width == backbone.width and made_from in (None, token_fingerprint):
        return
    origin = f"made from the token table of {found.llm}, {shown_path(made_from)}" if made_from else "of unknown origin"
    raise UserError(
        f"{shown_path(found.path)} has word embeddings of width {width}, {origin}; this run's backbone is "
        f"{shown_path(backbone.label)} of width {backbone.width}, {token_fingerprint}. Leave "
        "--word_embedding_path out to make a fitting file, or, to mix them on purpose, give a bare array (.npy) of "
        f"width {backbone.width}."
    )
