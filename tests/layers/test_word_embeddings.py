"""Principal words: the PCA, the files, and what is refused."""

import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from layers.backbone import Backbone, load_backbone
from layers.word_embeddings import (
    WordEmbeddings,
    choose_word_embeddings,
    load_word_embeddings,
    principal_words,
    save_word_embeddings,
)
from tests.helpers.hostile import compress
from utils.errors import UserError


def table(vocabulary: int = 60, width: int = 24) -> Tensor:
    return 5 + torch.randn(vocabulary, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("vocabulary", "width", "components"), [(60, 24, 10), (60, 24, 24), (8, 24, 8), (60, 24, 1)])
def test_principal_words_equal_an_independent_svd_up_to_sign(vocabulary: int, width: int, components: int) -> None:
    tokens = table(vocabulary, width)
    words = principal_words(tokens, components)
    assert words.shape == (components, width)
    assert words.dtype == torch.float32
    samples = tokens.T.double()  # (D, V)
    u, s, _ = torch.linalg.svd(samples - samples.mean(0), full_matrices=False)
    scores = (u * s).T[:components]
    signs = torch.sign((words * scores).sum(1, keepdim=True))
    torch.testing.assert_close(words.double(), signs * scores, rtol=1e-4, atol=1e-5)


def test_principal_words_are_the_same_every_time() -> None:
    torch.manual_seed(1)
    first = principal_words(table(), 10)
    torch.manual_seed(2)
    assert torch.equal(principal_words(table(), 10), first)


@pytest.mark.parametrize("components", [0, -1, 25])
def test_a_number_of_words_that_the_table_does_not_have_is_refused(components: int) -> None:
    with pytest.raises(UserError, match=f"--n_components {components}: .* has 1 to 24 principal words"):
        principal_words(table(), components)


@pytest.mark.parametrize("suffix", [".pt", ".npy", ".bin"])
def test_words_come_back_as_they_went(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"words{suffix}"
    words = principal_words(table(), 10)
    save_word_embeddings(path, WordEmbeddings(words, "gpt2 (pretrained)", "0123456789ab"))
    loaded = load_word_embeddings(path)
    assert torch.equal(loaded.words, words)
    origin = (loaded.llm, loaded.token_fingerprint)
    assert origin == ((None, None) if suffix == ".npy" else ("gpt2 (pretrained)", "0123456789ab"))


def test_our_file_is_a_tensor_of_scores_to_plain_torch(tmp_path: Path) -> None:
    words = principal_words(table(), 10)
    save_word_embeddings(tmp_path / "words.pt", WordEmbeddings(words, "gpt2", "0123456789ab"))
    scores = torch.load(tmp_path / "words.pt", weights_only=True)
    assert scores.shape == (24, 10)
    assert torch.equal(scores, words.T)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_the_pickled_array_of_the_release_loads(tmp_path: Path, dtype: str, order: str, zipped: bool) -> None:
    scores = np.asarray(table().numpy()[:24, :10], dtype=dtype, order=order)
    torch.save(scores, tmp_path / "words.pt", _use_new_zipfile_serialization=zipped)
    loaded = load_word_embeddings(tmp_path / "words.pt")
    assert np.array_equal(loaded.words.numpy(), scores.T.astype(np.float32))
    assert loaded.llm is None
    assert loaded.token_fingerprint is None


def test_an_array_of_foreign_byte_order_loads(tmp_path: Path) -> None:
    scores = table()[:24, :10].numpy()
    np.save(tmp_path / "words.npy", scores.astype(">f4"))
    assert np.array_equal(load_word_embeddings(tmp_path / "words.npy").words.numpy(), scores.T)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int32])
def test_a_tensor_of_other_numbers_loads(tmp_path: Path, dtype: torch.dtype) -> None:
    scores = table()[:24, :10].to(dtype)
    torch.save(scores, tmp_path / "words.pt")
    assert torch.equal(load_word_embeddings(tmp_path / "words.pt").words, scores.float().T)


class Code:
    """Unpickling it touches a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self.file,)


def torch_zip(path: Path, content: object) -> None:
    torch.save(content, path)


def torch_legacy(path: Path, content: object) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def plain_pickle(path: Path, content: object) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


def numpy_object(path: Path, content: object) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([[content]], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("w.pt", torch_zip),
        ("w.pt", torch_legacy),
        ("w.pt", plain_pickle),
        ("w.npy", plain_pickle),
        ("w.npy", numpy_object),
    ],
)
def test_code_in_a_file_is_refused_and_not_run(
    tmp_path: Path, name: str, write: Callable[[Path, object], None]
) -> None:
    write(tmp_path / name, Code(tmp_path / "ran"))
    with pytest.raises(UserError, match=rf"{name} is no readable file of word embeddings"):
        load_word_embeddings(tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["words.pt", "words.npy"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"{name}: there is no such file; make it with pca\.py"):
        load_word_embeddings(tmp_path / name)


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("name", ["words.pt", "words.npy"])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    save_word_embeddings(path, WordEmbeddings(principal_words(table(), 10)))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"no readable file of word embeddings .* make it anew"):
        load_word_embeddings(path)


@pytest.mark.parametrize("name", ["words.pt", "words.npy"])
@pytest.mark.parametrize("shape", [(24,), (10, 24), (24, 10, 1), (), (24, 0)])
def test_an_array_of_another_shape_is_refused(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    path = tmp_path / name
    if name.endswith("npy"):
        np.save(path, np.zeros(shape))
    else:
        torch.save(torch.zeros(shape), path)
    with pytest.raises(UserError, match=r"must hold a \(width, components\) array of real numbers"):
        load_word_embeddings(path)


@pytest.mark.parametrize("name", ["words.pt", "words.npy"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, name: str, value: float) -> None:
    scores = np.zeros((24, 10), np.float32)
    scores[3, 4] = value
    if name.endswith("npy"):
        np.save(tmp_path / name, scores)
    else:
        torch.save(scores, tmp_path / name)
    with pytest.raises(UserError, match="holds NaN or infinite values"):
        load_word_embeddings(tmp_path / name)


@pytest.mark.parametrize(
    "array",
    [np.array([["a"], ["b"]]), np.zeros((4, 2), [("x", "f4")]), np.zeros((4, 2), "c8")],
    ids=["text", "rows", "complex"],
)
@pytest.mark.parametrize("name", ["words.pt", "words.npy"])
def test_an_array_of_anything_but_real_numbers_is_refused(tmp_path: Path, name: str, array: np.ndarray) -> None:
    if name.endswith("npy"):
        np.save(tmp_path / name, array)
    else:
        torch.save(array, tmp_path / name)
    with pytest.raises(UserError, match=name):
        load_word_embeddings(tmp_path / name)


def quantized(scores: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(scores, 0.1, 0, torch.qint8)


@pytest.mark.parametrize(
    "change",
    [
        Tensor.to_sparse,
        Tensor.to_sparse_csr,
        quantized,
        lambda scores: scores.to("meta"),
        lambda scores: torch.nested.nested_tensor([scores, scores]),
        lambda scores: scores.to(torch.float8_e4m3fn),
        lambda scores: scores > 0,
        lambda scores: scores[:1, :1].expand(100_000, 100_000),
    ],
    ids=["sparse", "sparse rows", "quantized", "meta", "nested", "float8", "bool", "one number repeated"],
)
@pytest.mark.filterwarnings("ignore:.*prototype stage", "ignore:Sparse")
def test_a_tensor_without_plain_numbers_of_its_own_is_refused(
    tmp_path: Path, change: Callable[[Tensor], Tensor]
) -> None:
    torch.save(change(table()[:24, :10].clone()), tmp_path / "words.pt")
    with pytest.raises(UserError, match=r"words\.pt .*make it anew with pca\.py"):
        load_word_embeddings(tmp_path / "words.pt")


@pytest.mark.parametrize("name", ["words.pt", "words.npy"])
def test_what_is_no_file_is_refused_instead_of_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=f"{name} is not a regular file"):
        load_word_embeddings(tmp_path / name)


@pytest.mark.parametrize("attribute", ["llm", "token_fingerprint"])
def test_an_origin_that_is_no_text_is_refused(tmp_path: Path, attribute: str) -> None:
    scores = table()[:24, :10].clone()
    setattr(scores, attribute, 5)
    torch.save(scores, tmp_path / "words.pt")
    with pytest.raises(UserError, match=r"words\.pt does not name its language model properly"):
        load_word_embeddings(tmp_path / "words.pt")


@pytest.mark.parametrize("name", ["words.pt", "words.npy"])
def test_a_full_disk_is_told_of_the_file(tmp_path: Path, full_disk: None, name: str) -> None:
    words = WordEmbeddings(torch.zeros(50, 100))
    with pytest.raises(OSError) as error:
        save_word_embeddings(tmp_path / name, words)
    assert (error.value.filename, error.value.strerror) == (str(tmp_path / name), "File too large")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def backbone(tiny_gpt2: Path) -> Backbone:
    return load_backbone(str(tiny_gpt2), "pretrained", 1)


def test_missing_words_are_made_once_under_a_name_of_the_token_table(backbone: Backbone, workplace: Path) -> None:
    made = choose_word_embeddings(None, backbone)
    assert not list(workplace.iterdir())
    save_word_embeddings(made.path, made)
    (path,) = workplace.iterdir()
    assert path.name == f"wte_pca_24_tiny-gpt2_{made.token_fingerprint}.pt"
    found = choose_word_embeddings(None, backbone)
    assert torch.equal(found.words, made.words)
    assert found.origin == made.origin
    assert found.origin == {
        "file": path.name, "llm": f"{backbone.origin['name']} (pretrained)", "count": 24,
        "token_fingerprint": made.token_fingerprint,
    }  # fmt: skip


def test_the_pretrained_gpt2_has_the_file_of_the_release(backbone: Backbone, workplace: Path) -> None:
    for init, fits in (("pretrained", True), ("random", False)):
        named = Backbone.of(backbone.model, backbone.token_table, "gpt2", init)
        assert (choose_word_embeddings(None, named).path == Path("wte_pca_24.pt")) == fits


def test_words_that_may_not_be_written_are_zeros_of_their_shape(backbone: Backbone, workplace: Path) -> None:
    words = choose_word_embeddings(workplace / "words.pt", backbone, write=False)
    assert torch.equal(words.words, torch.zeros(24, 24))
    assert not list(workplace.iterdir())


def test_words_of_another_width_or_token_table_are_refused(backbone: Backbone, tmp_path: Path) -> None:
    save_word_embeddings(tmp_path / "wide.pt", WordEmbeddings(torch.ones(10, 25)))
    with pytest.raises(UserError, match=r"wide\.pt has word embeddings of width 25, of .* of width 24, .* Leave"):
        choose_word_embeddings(tmp_path / "wide.pt", backbone)
    save_word_embeddings(tmp_path / "other.pt", WordEmbeddings(torch.ones(10, 24), "other\x1b[31m", "0123456789ab"))
    with pytest.raises(UserError, match=r"other\.pt .* made from the token table of other\\x1b\[31m, 0123456789ab"):
        choose_word_embeddings(tmp_path / "other.pt", backbone)


@pytest.mark.parametrize("content", [{"words": torch.zeros(4, 2)}, "words", None])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "words.pt")
    with pytest.raises(UserError, match=r"words\.pt"):
        load_word_embeddings(tmp_path / "words.pt")


def test_an_npz_archive_under_the_name_of_an_array_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "words.npy").open("wb") as file:
        np.savez(file, words=np.zeros((4, 2)))
    with pytest.raises(UserError, match="is no readable file of word embeddings"):
        load_word_embeddings(tmp_path / "words.npy")


def test_a_compressed_file_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    torch.save(torch.zeros(1000, 10), tmp_path / "words.pt")
    compress(tmp_path / "words.pt")
    with pytest.raises(UserError, match="is no readable file of word embeddings"):
        load_word_embeddings(tmp_path / "words.pt")
