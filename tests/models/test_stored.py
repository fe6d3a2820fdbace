"""Checkpoints: what goes in, what comes out, and what is refused."""

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from layers.backbone import load_backbone
from layers.lora import LoRA
from models import CALF, CALFConfig
from models.stored import load_model, save_model
from tests.conftest import WIDTH, save_gpt2
from tests.models.conftest import LOW_RANK, stir
from utils.errors import UserError

CONFIG = CALFConfig(7, 5, 3, LOW_RANK)
EXTRAS = {"data": {"columns": ["a", "b", "OT"]}}
BEST = {"epoch": 3, "validation_mse": 0.25}


def save(folder: Path, llm: Path, init: str, config: CALFConfig = CONFIG) -> CALF:
    """Save a model on a backbone that is ``random``, ``local``, or ``pretrained`` as one of the hub is."""
    torch.manual_seed(0)
    backbone = load_backbone(str(llm), "random" if init == "random" else "pretrained", 2)
    described = {**backbone.describe(), "stored": init != "pretrained"}
    model = stir(CALF(config, backbone.model, torch.randn(10, WIDTH)))
    save_model(folder, model, described, EXTRAS, BEST)
    return model.eval()


@pytest.fixture(params=["pretrained", "random", "local"])
def init(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def folder(tmp_path: Path, tiny_gpt2: Path, init: str) -> Path:
    """A checkpoint on each kind of backbone."""
    save(tmp_path / "checkpoint", tiny_gpt2, init)
    return tmp_path / "checkpoint"


def read_config(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())


def write_config(folder: Path, config: object) -> None:
    (folder / "config.json").write_text(json.dumps(config))


def assert_refused(folder: Path, match: str = "") -> None:
    with pytest.raises(UserError, match=f"(?s)checkpoint.*{match}"):
        load_model(folder)


@pytest.mark.parametrize("lora", [LOW_RANK, None], ids=["lora", "no lora"])
@pytest.mark.parametrize("task", ["long_term_forecast", "short_term_forecast"])
def test_a_stored_model_forecasts_bit_for_bit_as_before(
    tmp_path: Path, tiny_gpt2: Path, init: str, lora: LoRA | None, task: str
) -> None:
    config = replace(CONFIG, lora=lora, task_name=task)
    model = save(tmp_path, tiny_gpt2, init, config)
    torch.manual_seed(99)
    stored = load_model(tmp_path)
    x = torch.randn(4, 7, 3)
    ours, theirs = stored.model.branches(x), model.branches(x)
    assert torch.equal(ours.forecast, theirs.forecast)
    assert torch.equal(ours.text_forecast, theirs.text_forecast)
    assert not stored.model.training
    assert stored.model.config == config
    assert stored.backbone["name"] == str(tiny_gpt2)
    assert stored.backbone["init"] == ("random" if init == "random" else "pretrained")
    assert {key: stored.extras[key] for key in EXTRAS} == EXTRAS
    assert stored.extras["best"] == BEST


def test_a_stored_model_trains_what_it_trained_before(tmp_path: Path, tiny_gpt2: Path, init: str) -> None:
    model = save(tmp_path, tiny_gpt2, init)
    again = load_model(tmp_path).model
    assert again.trained_state().keys() == model.trained_state().keys()


def test_on_a_pretrained_backbone_only_what_was_trained_is_stored(tmp_path: Path, tiny_gpt2: Path) -> None:
    model = save(tmp_path, tiny_gpt2, "pretrained")
    stored = load_file(tmp_path / "model.safetensors")
    assert stored.keys() == {n for n, p in model.named_parameters() if p.requires_grad} | {"match.words"}
    assert not [name for name in stored if "mlp" in name or "c_proj" in name or "base_layer" in name]


@pytest.mark.parametrize("init", ["random", "local"])
def test_on_a_backbone_that_nobody_else_has_each_frozen_tensor_is_stored_once(
    tmp_path: Path, tiny_gpt2: Path, init: str
) -> None:
    model = save(tmp_path, tiny_gpt2, init)
    stored = load_file(tmp_path / "model.safetensors")
    assert stored.keys() == dict(model.named_parameters()).keys() | {"match.words"}
    assert [name for name in stored if name.endswith("h.0.mlp.c_fc.weight")] == ["time_gpt2.h.0.mlp.c_fc.weight"]


@pytest.mark.parametrize("init", ["random", "local"])
def test_a_stored_backbone_needs_nothing_but_the_folder(tmp_path: Path, init: str) -> None:
    gpt2 = save_gpt2(tmp_path / "gpt2")
    model = save(tmp_path / "checkpoint", gpt2, init)
    for file in gpt2.iterdir():
        file.unlink()
    x = torch.randn(2, 7, 3)
    assert torch.equal(load_model(tmp_path / "checkpoint").model(x).forecast, model(x).forecast)


def test_another_backbone_under_the_same_name_is_refused_with_both_fingerprints(tmp_path: Path) -> None:
    gpt2 = save_gpt2(tmp_path / "gpt2")
    save(tmp_path / "checkpoint", gpt2, "pretrained")
    was = read_config(tmp_path / "checkpoint")["backbone"]["fingerprint"]
    save_gpt2(gpt2, seed=1)
    now = load_backbone(str(gpt2), "pretrained", 2).fingerprint
    assert_refused(tmp_path / "checkpoint", f"fingerprint {was}.*{now}")


def test_a_backbone_that_is_gone_is_refused_and_named(tmp_path: Path) -> None:
    gpt2 = save_gpt2(tmp_path / "gpt2")
    save(tmp_path / "checkpoint", gpt2, "pretrained")
    gpt2.rename(tmp_path / "elsewhere")
    assert_refused(tmp_path / "checkpoint", f"{gpt2}: there is no such folder")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert_refused(folder, f"{name} is missing")


@pytest.mark.parametrize("length", [0, 4, 8, 100, 4000, -1])
def test_truncated_weights_are_refused(folder: Path, length: int) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:length])
    assert_refused(folder, "model.safetensors is damaged")


class Code:
    """Unpickling it touches a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self.file,)


def test_a_pickle_in_place_of_the_weights_is_refused_and_not_run(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps(Code(folder / "ran")))
    assert_refused(folder, "model.safetensors is damaged")
    torch.save({"head.weight": Code(folder / "ran")}, folder / "model.safetensors")
    assert_refused(folder, "model.safetensors is damaged")
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 1', b"\xff\xfe", b"[" * 200_000])
def test_a_damaged_config_is_refused(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    assert_refused(folder, "config.json is damaged")


@pytest.mark.parametrize("content", [None, [], 3, "text", {}, {"format": 2}, {"format": "1"}])
def test_a_config_of_another_format_is_refused(folder: Path, content: object) -> None:
    write_config(folder, content)
    assert_refused(folder, "config.json is no configuration of this program's checkpoint format 1")


KEYS = [
    ("model",),
    ("backbone",),
    *(("model", key) for key in ("seq_len", "pred_len", "channels", "lora", "task_name")),
    *(("model", "lora", key) for key in ("r", "alpha", "dropout")),
    *(("backbone", key) for key in ("name", "init", "fingerprint", "config", "stored")),
    ("backbone", "config", "n_layer"),
]


def holder(config: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for key in path[:-1]:
        config = config[key]
    return config


@pytest.mark.parametrize("path", [*(path for path in KEYS if path[-1] != "stored"), ("format",)], ids=".".join)
def test_a_config_that_lacks_a_key_is_refused(folder: Path, path: tuple[str, ...]) -> None:
    config = read_config(folder)
    del holder(config, path)[path[-1]]
    write_config(folder, config)
    assert_refused(folder)


WRONG = {"null": None, "word": "zz", "list": [1], "minus": -1, "half": 0.5, "dict": {"a": 1}, "zero": 0, "empty": ""}
DROPOUT = ("model", "lora", "dropout")
MISTAKES = [(path, wrong) for path in KEYS for wrong in WRONG if path != DROPOUT or wrong not in ("half", "zero")]


@pytest.mark.parametrize(
    ("path", "wrong"), MISTAKES, ids=lambda part: part if isinstance(part, str) else ".".join(part)
)
def test_a_value_of_a_wrong_kind_is_refused(tmp_path: Path, tiny_gpt2: Path, path: tuple[str, ...], wrong: str) -> None:
    folder = tmp_path / "checkpoint"
    save(folder, tiny_gpt2, "pretrained")
    config = read_config(folder)
    holder(config, path)[path[-1]] = WRONG[wrong]
    write_config(folder, config)
    assert_refused(folder)


@pytest.mark.parametrize("wrong", ["null", "word", "list", "dict"])
@pytest.mark.parametrize(
    "key", ["n_embd", "n_head", "n_positions", "n_layer", "layer_norm_epsilon", "activation_function"]
)
def test_a_random_backbone_of_impossible_sizes_is_refused(
    tmp_path: Path, tiny_gpt2: Path, key: str, wrong: str
) -> None:
    folder = tmp_path / "checkpoint"
    save(folder, tiny_gpt2, "random")
    config = read_config(folder)
    config["backbone"]["config"][key] = WRONG[wrong]
    write_config(folder, config)
    assert_refused(folder)


@pytest.mark.parametrize("key", ["n_embd", "n_head", "n_positions", "n_layer"])
def test_a_random_backbone_of_negative_sizes_is_refused(tmp_path: Path, tiny_gpt2: Path, key: str) -> None:
    folder = tmp_path / "checkpoint"
    save(folder, tiny_gpt2, "random")
    config = read_config(folder)
    config["backbone"]["config"][key] = -1
    write_config(folder, config)
    assert_refused(folder)


@pytest.mark.parametrize(
    "change",
    [{"seq_len": 8}, {"pred_len": 6}, {"channels": 17}, {"extra": 1}, {"lora": {"r": 3, "alpha": 6, "dropout": 0.1}}],
    ids=str,
)
def test_sizes_that_contradict_the_weights_are_refused(folder: Path, change: dict[str, object]) -> None:
    config = read_config(folder)
    config["model"] |= change
    write_config(folder, config)
    assert_refused(folder)


@pytest.mark.parametrize(("init", "change"), [("random", "stored"), ("pretrained", "stored"), ("pretrained", "init")])
def test_a_backbone_of_the_other_kind_is_refused(tmp_path: Path, tiny_gpt2: Path, init: str, change: str) -> None:
    save(tmp_path / "checkpoint", tiny_gpt2, init)
    config = read_config(tmp_path / "checkpoint")
    backbone = config["backbone"]
    backbone[change] = not backbone["stored"] if change == "stored" else "random"
    write_config(tmp_path / "checkpoint", config)
    assert_refused(tmp_path / "checkpoint")


@pytest.mark.parametrize("init", ["pretrained", "random"])
def test_checkpoints_that_do_not_say_whether_the_backbone_is_stored_are_read_as_they_were_meant(
    tmp_path: Path, tiny_gpt2: Path, init: str
) -> None:
    model = save(tmp_path, tiny_gpt2, init)
    config = read_config(tmp_path)
    del config["backbone"]["stored"]
    write_config(tmp_path, config)
    x = torch.randn(2, 7, 3)
    assert torch.equal(load_model(tmp_path).model(x).forecast, model(x).forecast)


def drop(tensors: dict[str, Tensor]) -> None:
    del tensors["head.bias"]


def add(tensors: dict[str, Tensor]) -> None:
    tensors["tail.bias"] = torch.zeros(2)


def reshape(tensors: dict[str, Tensor]) -> None:
    tensors["head.bias"] = torch.zeros(1, 5)


@pytest.mark.parametrize(("damage", "name"), [(drop, "head.bias"), (add, "tail.bias"), (reshape, "head.bias")])
def test_tensors_that_do_not_fit_are_named(
    folder: Path, damage: Callable[[dict[str, Tensor]], None], name: str
) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    damage(tensors)
    save_file(tensors, file)
    assert_refused(folder, f"model.safetensors does not fit config.json: {name} is missing, unknown or of another size")


@pytest.mark.parametrize(
    "words", [torch.zeros(()), torch.zeros(24), torch.zeros(0, 24), torch.full((10, 24), torch.nan)]
)
def test_word_embeddings_that_cannot_be_used_are_refused(folder: Path, words: Tensor) -> None:
    file = folder / "model.safetensors"
    save_file({**load_file(file), "match.words": words}, file)
    assert_refused(folder, "word embeddings")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert_refused(tmp_path / "checkpoint", "Train first")


def test_what_is_stored_at_the_published_size_is_about_75_megabytes_on_a_pretrained_backbone() -> None:
    backbone = load_backbone("gpt2", "random", 6, token_table=False)
    model = CALF(CALFConfig(96, 96, 7), backbone.model, torch.zeros(500, 768))
    size = sum(tensor.numel() * 4 for tensor in model.trained_state().values())
    assert 70e6 < size < 80e6
