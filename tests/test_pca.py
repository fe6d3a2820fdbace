"""``pca.py`` on the command line."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import pca
from layers.word_embeddings import load_word_embeddings
from tests.helpers.places import GOLDEN, golden_cases

CASES = golden_cases("model/*/wte_pca.npy")


@pytest.mark.skipif(not CASES, reason=f"no golden models under {GOLDEN} (CALF_GOLDEN)")
@pytest.mark.parametrize("words", CASES, ids=lambda path: path.parent.name)
def test_gives_the_released_words_up_to_the_sign_of_each(words: Path, tmp_path: Path) -> None:
    theirs = np.load(words)
    output = tmp_path / "wte.pt"
    flags = ["--llm", str(words.parent / "gpt2"), "--n_components", str(theirs.shape[1]), "--output", str(output)]
    assert pca.main(flags) == 0
    ours = torch.load(output, weights_only=True).numpy()
    signs = np.sign((ours * theirs).sum(axis=0))
    np.testing.assert_allclose(ours * signs, theirs, atol=1e-4)


def test_is_deterministic_and_says_where_the_words_come_from(tiny_gpt2: Path, tmp_path: Path) -> None:
    files = [tmp_path / "a.pt", tmp_path / "b.pt"]
    for file in files:
        assert pca.main(["--llm", str(tiny_gpt2), "--n_components", "12", "--output", str(file)]) == 0
    first, second = (load_word_embeddings(file) for file in files)
    assert torch.equal(first.words, second.words)
    assert first.words.shape == (12, 24)
    assert first.llm == f"{tiny_gpt2} (pretrained)"
    assert first.token_fingerprint == second.token_fingerprint is not None


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--n_components", "25"], "--n_components 25: .* 1 to 24 principal words"),
        (["--n_components", "0"], "--n_components 0"),
        (["--llm", "./nosuch"], "no such folder"),
    ],
)
def test_wrong_input_ends_with_one_message_and_no_file(
    flags: list[str], message: str, tiny_gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "wte.pt"
    assert pca.main(["--llm", str(tiny_gpt2), "--output", str(output), *flags]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert re.search(message, error)
    assert not output.exists()


def test_a_full_disk_ends_with_one_message(
    tiny_gpt2: Path, tmp_path: Path, full_disk: None, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "wte.pt"
    assert pca.main(["--llm", str(tiny_gpt2), "--n_components", "24", "--output", str(output)]) == 2
    assert capsys.readouterr().err == f"error: {output}: File too large. What was there before is whole.\n"
    assert not list(tmp_path.iterdir())
