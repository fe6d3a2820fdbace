"""Checkpoints of the authors' code: made from a model of ours, translated back into theirs."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.calf import CALF
from models.calf_release import read_release
from tests.conftest import WIDTH
from tests.helpers.hostile import Code, compress
from tests.models.conftest import WORDS, MakeModel, series
from utils.errors import UserError

State = dict[str, Tensor]


def released_state(model: CALF) -> State:
    """Return the state dict that the authors' code would have saved of this model, token tables and masks included."""
    trunk = "gpt2.base_model.model." if model.config.lora else "gpt2."
    theirs = {
        "time_gpt2.": trunk,
        "text_gpt2.": "gpt2_text.",
        "time_projections.": "time_proj.",
        "text_projections.": "text_proj.",
        "embedding.linear.": "in_layer.linear.",
        "embedding.encoder.": "in_layer.transformer_encoder.layers.0.",
        "match.attention.": "in_layer.cross_attention.",
        "head.": "out_layer.",
    }
    state = {}
    for name, tensor in model.state_dict().items():
        if name != "match.words":
            prefix = next(ours for ours in theirs if name.startswith(ours))
            state[theirs[prefix] + name.removeprefix(prefix)] = tensor.clone()
    for branch in (trunk, "gpt2_text."):
        state[f"{branch}wte.weight"] = torch.zeros(60, WIDTH)
        state[f"{branch}h.0.attn.bias"] = torch.ones(1, 1, 16, 16).tril()
        state[f"{branch}h.0.attn.masked_bias"] = torch.tensor(-1e4)
    return state


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint.pth"


@pytest.fixture
def load(checkpoint: Path, tiny_gpt2: Path) -> Callable[..., CALF]:
    """Save a state and load it as a release."""

    def load(state: object, words: Tensor | None = None, **changes: object) -> CALF:
        torch.save(state, checkpoint)
        scores = np.zeros((WIDTH, WORDS), np.float32) if words is None else words.T.numpy()
        sizes = {"seq_len": 7, "pred_len": 5, "channels": 3, "gpt_layers": 2, "lora_alpha": 6, **changes}
        return CALF.from_release(checkpoint, llm=tiny_gpt2, word_embeddings=scores, **sizes)

    return load


def test_token_tables_and_masks_are_left_out(make_model: MakeModel, checkpoint: Path) -> None:
    model = make_model()
    torch.save(released_state(model), checkpoint)
    assert read_release(checkpoint).keys() == model.state_dict().keys() - {"match.words"}


@pytest.mark.parametrize("lora", [1, 0], ids=["lora", "as before August 2024"])
def test_a_released_checkpoint_gives_the_forecasts_of_the_model_it_came_from(
    make_model: MakeModel, load: Callable[..., CALF], lora: int
) -> None:
    model = make_model(lora=lora)
    loaded = load(released_state(model), model.match.words)
    assert not loaded.training
    assert (loaded.config.lora, loaded.config.r if lora else 2) == (lora, 2)
    ours, theirs = loaded.branches(series()), model.branches(series())
    assert torch.equal(ours.forecast, theirs.forecast)
    assert torch.equal(ours.text_forecast, theirs.text_forecast)


def test_word_embeddings_may_be_a_file(
    make_model: MakeModel, checkpoint: Path, tiny_gpt2: Path, tiny_words: Path
) -> None:
    torch.save(released_state(make_model()), checkpoint)
    model = CALF.from_release(
        checkpoint, llm=tiny_gpt2, word_embeddings=tiny_words, seq_len=7, pred_len=5, channels=3, gpt_layers=2
    )
    assert torch.equal(model.match.words, torch.load(tiny_words, weights_only=True).T)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_another_precision_is_converted(make_model: MakeModel, load: Callable[..., CALF], dtype: torch.dtype) -> None:
    model = make_model()
    state = {name: (tensor + 1e-9).to(dtype) for name, tensor in released_state(model.double()).items()}
    loaded = load(state)
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {torch.float32}
    torch.testing.assert_close(loaded.head.weight, model.head.weight.float(), rtol=1e-3, atol=1e-3)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.pth: there is no such file"):
        read_release(tmp_path / "absent.pth")


BROKEN = [b"", b"garbage", b"PK\x03\x04broken", b"\x80\x02}q\x00.", b"\x80\x02]q\x00(K\x01e."]


def test_a_damaged_file_is_refused(make_model: MakeModel, checkpoint: Path) -> None:
    truncated = []
    for zipped in (True, False):
        torch.save(released_state(make_model()), checkpoint, _use_new_zipfile_serialization=zipped)
        content = checkpoint.read_bytes()
        truncated += [content[: len(content) // 3], content[:-100]]
    for content in (*BROKEN, *truncated):
        checkpoint.write_bytes(content)
        with pytest.raises(UserError, match=r"checkpoint\.pth is no readable checkpoint"):
            read_release(checkpoint)


def test_a_compressed_file_is_refused_before_it_is_unpacked(checkpoint: Path) -> None:
    torch.save({"out_layer.weight": torch.zeros(1000)}, checkpoint)
    compress(checkpoint)
    with pytest.raises(UserError, match="is no readable checkpoint"):
        read_release(checkpoint)


@pytest.mark.parametrize("path", ["/dev/zero", "/"])
def test_what_is_no_regular_file_is_refused(path: str) -> None:
    with pytest.raises(UserError, match=f"{path} is not a regular file"):
        read_release(path)


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path, checkpoint: Path) -> None:
    content = {"out_layer.weight": torch.zeros(2), "code": Code(tmp_path / "ran")}
    checkpoint.write_bytes(pickle.dumps(content, protocol=2))
    for write in (lambda: None, lambda: torch.save(content, checkpoint)):
        write()
        with pytest.raises(UserError, match="holds more than tensors"):
            read_release(checkpoint)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content", [[torch.zeros(2)], torch.zeros(2), {"epoch": 3}, {"a": [1]}, {1: torch.zeros(2)}, None]
)
def test_a_file_without_a_state_dict_is_refused(checkpoint: Path, content: object) -> None:
    torch.save(content, checkpoint)
    with pytest.raises(UserError, match="holds no state dict of tensors"):
        read_release(checkpoint)


def drop(state: State) -> None:
    del state["out_layer.weight"]


def part(state: State) -> None:
    state["gpt2_text.h.1.mlp.c_fc.weight"] += 1


def put(tensor: Tensor, name: str = "out_layer.weight") -> Callable[[State], None]:
    return lambda state: state.update({name: tensor})


def adapters(down: Tensor, up: Tensor | None = None) -> Callable[[State], None]:
    def change(state: State) -> None:
        for name in [name for name in state if "lora_A" in name]:
            state[name] = down
            if up is not None:
                state[name.replace("lora_A", "lora_B")] = up

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop, r"head.weight is missing \(1 such"),
        (put(torch.zeros(2), "in_layer.extra\x1b[31m"), r"in_layer.extra\\x1b.* is unknown"),
        (put(torch.zeros(WIDTH, 5)), "head.weight has another shape"),
        (put(torch.full((5, WIDTH), torch.nan)), "has NaN or infinite values in head.weight"),
        (put(torch.full((5, WIDTH), 1e300, dtype=torch.float64)), "has NaN or infinite values in head.weight"),
        (put(torch.zeros(5, WIDTH).to_sparse()), "out_layer.weight is no dense tensor of real numbers"),
        (put(torch.zeros(5, WIDTH, dtype=torch.int64)), "out_layer.weight is no dense tensor of real numbers"),
        (put(torch.zeros(1, 1).expand(5, WIDTH)), "out_layer.weight is no dense tensor of real numbers"),
        (part, "h.1.mlp.c_fc.weight differs from another tensor"),
        (adapters(torch.zeros(())), "lora_.* has another shape"),
        (adapters(torch.zeros(0, WIDTH)), "lora_.* has another shape"),
        (adapters(torch.zeros(2)), "lora_.* has another shape"),
        (adapters(*(torch.zeros(1, 1).expand(s) for s in ((10**9, WIDTH), (3 * WIDTH, 10**9)))), "lora_.*is no dense"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    make_model: MakeModel, load: Callable[..., CALF], damage: Callable[[State], None], message: str
) -> None:
    state = released_state(make_model())
    damage(state)
    with pytest.raises(UserError, match=rf"checkpoint\.pth.*{message}"):
        load(state)


@pytest.mark.parametrize("size", ["seq_len", "pred_len"])
def test_sizes_are_compared_before_memory_is_taken(
    make_model: MakeModel, load: Callable[..., CALF], size: str, little_memory: None
) -> None:
    with pytest.raises(UserError, match=r"checkpoint\.pth does not fit: .* has another shape"):
        load(released_state(make_model()), **{size: 1_000_000})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seq_len": 8}, "check the sizes it is loaded with"),
        ({"pred_len": 4}, "check the sizes it is loaded with"),
        ({"gpt_layers": 1}, "check the sizes it is loaded with"),
        ({"gpt_layers": 9}, "--gpt_layers 9"),
        ({"task_name": "imputing"}, "'imputing' is unknown; the release has"),
    ],
)
def test_other_sizes_than_it_was_trained_with_are_refused(
    make_model: MakeModel, load: Callable[..., CALF], wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        load(released_state(make_model()), **wrong)
