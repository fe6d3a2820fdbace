"""CALF's switches: what takes the place of a part, what is left out, and what is refused."""

import json
import re
from pathlib import Path

import pytest
import torch

import models
import run
from layers.backbone import load_backbone, remake_backbone
from layers.channel_order import channel_order
from layers.word_embeddings import WordEmbeddings, control_words, make_word_embeddings
from models.calf import CALF, TokenSize
from models.config import STAND_INS, SWITCHES
from tests.conftest import Tiny
from tests.helpers.commands import succeed, written
from tests.models.conftest import MakeModel
from utils.errors import UserError

WITHOUT_TEXT = {"text_branch": 0}
CASES = [
    *({"backbone": kind, **WITHOUT_TEXT} for kind in STAND_INS),
    {"backbone": "attention", "feature_w": 0},
    WITHOUT_TEXT,
    {"freeze": "none"},
    {"freeze": "none", "lora": 0, "llm_init": "random", **WITHOUT_TEXT},
    {"freeze": "all"},
    {"feature_w": 0.0},
    {"output_w": 0.5, "task_w": 2.0},
    *({"words": kind} for kind in ("random", "learned", "topk")),
    {"channel_order": "reversed"},
    {"channel_order": "random:7"},
]


@pytest.mark.parametrize("switches", CASES, ids=str)
def test_a_switched_model_trains_is_named_and_reloads(switches: dict[str, object], tiny: Tiny, workplace: Path) -> None:
    (record,) = succeed(tiny(**switches))
    (checkpoint,) = Path("checkpoints").iterdir()
    loaded, again, merged = (models.load(checkpoint, merge=merge) for merge in (False, False, True))
    x = torch.randn(4, 24, 3, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(loaded(x).forecast, again(x).forecast)
        torch.testing.assert_close(merged(x).forecast, loaded(x).forecast, rtol=0, atol=1e-5)
    for name in set(SWITCHES) & switches.keys():
        assert f"_{name}-{switches[name]}".replace(":", "-") in record["run"]["setting"]
        assert record["model"]["config"][name] == switches[name]
    (again,) = succeed([*tiny(**switches), "--is_training", "0"])
    assert again["scores"] == record["scores"]


@pytest.mark.parametrize("switches", [*CASES, {}, {"output_w": 0.0}, {"lora": 0}], ids=str)
def test_the_loss_reaches_all_that_trains(switches: dict[str, object], tiny_gpt2: Path, tiny_words: Path) -> None:
    sizes = {"llm": str(tiny_gpt2), "word_embedding_path": str(tiny_words), "gpt_layers": 2, "r": 2}
    model = CALF.build(CALF.Config(24, 8, 3, **{**sizes, **switches})).train()
    model.training_loss(torch.randn(4, 24, 3), torch.randn(4, 8, 3)).backward()
    assert not [name for name, p in model.named_parameters() if p.requires_grad != (p.grad is not None)]


COUNTS = {  # spec of Tan et al.'s code: what the loss reaches at 96 -> 96, seven channels
    "full, without LoRA": ({}, 17_875_040),
    "w/o LLM": ({"backbone": "none", "text_branch": 0}, 5_662_304),
    "LLM2Attn": ({"backbone": "attention", "text_branch": 0}, 8_023_136),
    "LLM2Trsf": ({"backbone": "transformer", "text_branch": 0}, 11_176_288),
    "random init": ({"freeze": "none", "text_branch": 0}, 48_977_504),
}


@pytest.mark.parametrize(("switches", "count"), COUNTS.values(), ids=COUNTS)
def test_at_the_published_size_as_much_trains_as_published(switches: dict[str, object], count: int) -> None:
    config = CALF.Config(96, 96, 7, lora=0, **switches)
    described = {"name": "gpt2", "init": "random", "stored": True, "fingerprint": "0" * 12}
    with torch.device("meta"):
        backbone = remake_backbone({**described, "config": {"model_type": "gpt2", "n_layer": 6}}, weights=False)
        words = WordEmbeddings(torch.zeros(500, 768)) if config.text_branch else None
        model = CALF(config, backbone if config.needs_llm else TokenSize(768, 12), words)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == count


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"backbone": "none"}, "--backbone none has no features for the feature loss: add --text_branch 0"),
        ({"text_branch": 0, "task_w": 0}, "--task_w 0 --text_branch 0"),
        ({"backbone": "lstm"}, "--backbone lstm: choose one of gpt2, none, linear, attention, transformer"),
        ({"channel_order": "random"}, "--channel_order random: choose file, reversed or random:SEED"),
        ({"words": "all"}, "--words all: choose one of pca, random, learned, topk"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_by_name(
    flags: dict[str, object], named: str, tiny: Tiny, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = run.main(tiny(**flags))
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert named in capsys.readouterr().err
    assert not written(workplace)


def test_a_width_that_eight_heads_cannot_share_is_refused() -> None:
    config = CALF.Config(24, 8, 3, backbone="attention", text_branch=0)
    with pytest.raises(UserError, match="--backbone attention has 8 heads, which width 36"):
        CALF(config, TokenSize(36, 12))


@pytest.mark.parametrize("size", [{"width": 10**9, "heads": 1}, {"width": 24, "heads": 5}, {"width": "24", "heads": 1}])
def test_a_checkpoint_with_an_impossible_width_is_refused(size: dict[str, object], tiny: Tiny, workplace: Path) -> None:
    succeed(tiny(backbone="none", text_branch=0))
    (file,) = Path("checkpoints").glob("*/config.json")
    content = json.loads(file.read_text())
    content["model"]["origin"]["tokens"] = size
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match="cannot be loaded"):
        models.load(file.parent)


def test_flags_of_a_part_that_is_left_out_have_no_effect(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    assert run.main([*tiny(text_branch=0, words="random", output_w=2), "--dry_run"]) == 0
    assert re.search("no effect with --text_branch 0: .*--output_w.*--words", caplog.text)
    assert "text branch: left out" in caplog.text


# --- order of the channels ---


@pytest.mark.parametrize("order", ["reversed", "random:3"])
def test_an_order_gives_what_a_file_in_that_order_gives(order: str, make_model: MakeModel) -> None:
    x = torch.randn(4, 7, 5, generator=torch.Generator().manual_seed(0))
    usual, switched = make_model(5), make_model(5, channel_order=order)
    taken = channel_order(order, 5)
    assert sorted(taken.tolist()) == list(range(5)) != taken.tolist()
    with torch.inference_mode():
        ours, theirs = switched.branches(x), usual.branches(x[..., taken])
    assert torch.equal(ours.forecast[..., taken], theirs.forecast)
    assert torch.equal(ours.text_forecast[..., taken], theirs.text_forecast)
    with torch.inference_mode():
        assert not torch.allclose(ours.forecast, usual(x).forecast)


# --- words ---


def test_random_and_learned_words_are_as_long_as_the_principal_ones(tiny_gpt2: Path) -> None:
    backbone = load_backbone(str(tiny_gpt2), "pretrained", 1)
    principal = make_word_embeddings(backbone, 10)
    for kind in ("random", "learned"):
        words = control_words(kind, principal, backbone)
        torch.testing.assert_close(words.words.norm(dim=1), principal.words.norm(dim=1))
        assert not torch.allclose(words.words, principal.words)
        assert words.origin["llm"].startswith(f"{kind} directions")
    first = control_words("topk", principal, backbone)
    assert torch.equal(first.words, backbone.token_table[50:])  # all of them come before 256
    assert control_words("pca", principal, backbone) is principal


def test_only_learned_words_change_in_training(tiny: Tiny, workplace: Path) -> None:
    for kind in ("random", "learned"):
        succeed(tiny(words=kind, model_id=kind))
    trained = {path.name: models.load(path) for path in Path("checkpoints").iterdir()}
    (fixed,) = (model for name, model in trained.items() if "words-random" in name)
    (learned,) = (model for name, model in trained.items() if "words-learned" in name)
    assert not fixed.match.words.requires_grad and learned.match.words.requires_grad
    # Both began with the same directions: they are drawn from the seed.
    assert not torch.equal(fixed.match.words, learned.match.words)
    torch.testing.assert_close(fixed.match.words, learned.match.words, rtol=0, atol=0.01)
