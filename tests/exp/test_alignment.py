"""Pictures and numbers of the alignment: of which tokens they are, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import models
from exp.alignment import examine, main, words_for
from layers.branches import branch_states
from layers.cross_modal_match import CrossModalMatch
from tests.conftest import POSITIONS, Tiny
from tests.helpers.commands import succeed

LAYERS = ["tokens", "block 1", "block 2"]


@pytest.fixture
def trained(tiny: Tiny, tiny_gpt2: Path, workplace: Path) -> list[str]:
    """A CALF and a GPT4TS, trained on one tiny language model: ``--load`` with their folders."""
    succeed(tiny())
    succeed(tiny(model="GPT4TS", word_embedding_path=None, patch_len=8, stride=4))
    return [part for folder in sorted(Path("checkpoints").iterdir()) for part in ("--load", str(folder))]


def test_both_models_are_measured_and_drawn_beside_the_same_words(trained: list[str]) -> None:
    assert main([*trained, "--windows", "6", "--points", "20", "--output", "out"]) == 0
    out = Path("out")
    found = {path.name for path in out.iterdir()}
    assert {"tokens.png", "layers_CALF.png", "layers_GPT4TS.png", "attention_CALF.png", "words_CALF.csv"} <= found
    table = pd.read_csv(out / "distances.csv")
    assert list(table.layer.unique()) == LAYERS
    pairs = {name: set(zip(rows["first"], rows.second, strict=True)) for name, rows in table.groupby("model")}
    assert ("time", "text") in pairs["CALF"] and ("projected time", "projected text") in pairs["CALF"]
    assert pairs["GPT4TS"] == {("time", "words"), ("half of the words", "half of the words")}
    assert table.drop(columns="cka").notna().all(axis=None)
    assert set(table[table.cka.notna()].second) == {"text", "projected text"}
    tokens = pd.read_csv(out / "tokens.csv")
    assert tokens.groupby("cloud").size().to_dict() == {"CALF": 18, "GPT4TS": 20, "words": 10}


def test_a_run_again_gives_the_same_numbers(trained: list[str]) -> None:
    for folder in ("one", "two"):
        assert main([*trained, "--windows", "6", "--points", "20", "--output", folder]) == 0
    for path in Path("one").glob("*.csv"):
        assert path.read_bytes() == (Path("two") / path.name).read_bytes()


def test_the_clouds_are_the_states_of_the_branches(trained: list[str]) -> None:
    model = models.load(trained[1])
    one = examine("CALF", model, words_for([model]), windows=4, points=100)
    x, blocks = one.windows.x, len(LAYERS) - 1
    with torch.inference_mode():
        tokens = model.embedding((x - x.mean(1, keepdim=True)) / torch.sqrt(x.var(1, False, keepdim=True) + 1e-5))
        last = model.time_gpt2(inputs_embeds=tokens).last_hidden_state
        text = model.match(tokens)
        features = model.branches(x).text_features
    np.testing.assert_allclose(one.states["time"][0], tokens.flatten(0, 1), atol=1e-5)
    np.testing.assert_allclose(one.states["time"][blocks], last.flatten(0, 1), atol=1e-4)
    np.testing.assert_allclose(one.states["text"][0], text.flatten(0, 1), atol=1e-5)
    np.testing.assert_allclose(one.states["projected text"][1], features[1].flatten(0, 1), atol=1e-5)
    np.testing.assert_allclose(one.words[0], model.match.words)
    with torch.inference_mode():
        of_words = branch_states(model.time_gpt2, model.match.words[None])
    np.testing.assert_allclose(one.words[blocks], of_words[blocks][0], atol=1e-5)


def test_attention_weights_are_shares_that_give_the_match() -> None:
    torch.manual_seed(0)
    match, tokens = CrossModalMatch(torch.randn(10, 24), num_heads=1), torch.randn(3, 5, 24)
    weights = match.weights(tokens)
    assert weights.shape == (3, 5, 10)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 5))
    values = match.words @ match.attention.in_proj_weight[48:].T + match.attention.in_proj_bias[48:]
    torch.testing.assert_close(match.attention.out_proj(weights @ values), match(tokens))


def test_gpt4ts_alone_is_measured_beside_principal_words_of_its_language_model(trained: list[str]) -> None:
    assert main([*trained[2:], "--windows", "4", "--points", "20", "--output", "out"]) == 0
    assert (pd.read_csv("out/tokens.csv").cloud == "words").sum() == POSITIONS  # fewer than the width allows


def test_what_has_no_language_model_is_refused(tiny: Tiny, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    succeed(tiny(backbone="none", text_branch=0))
    (folder,) = Path("checkpoints").iterdir()
    assert main(["--load", str(folder), "--output", "out"]) == 2
    assert "is not made by a language model" in capsys.readouterr().err
    assert not Path("out").exists()


def test_models_on_other_widths_are_refused(trained: list[str], tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    succeed(tiny(model="GPT4TS", llm="gpt2-tiny", llm_init="random", word_embedding_path=None, patch_len=8, stride=4))
    (other,) = set(map(str, Path("checkpoints").iterdir())) - set(trained)
    assert main([*trained[:2], "--load", other, "--output", "out"]) == 2
    assert "GPT4TS has width 96, the words have 24" in capsys.readouterr().err


def test_words_of_a_random_language_model_alone_are_refused(
    tiny: Tiny, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    succeed(tiny(model="GPT4TS", llm="gpt2-tiny", llm_init="random", word_embedding_path=None, patch_len=8, stride=4))
    (folder,) = Path("checkpoints").iterdir()
    assert main(["--load", str(folder)]) == 2
    assert "the token table of a random language model is not kept" in capsys.readouterr().err
