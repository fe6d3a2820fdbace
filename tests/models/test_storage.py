"""Models to and from checkpoint folders, the Hugging Face hub and public weights."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GPT2Config, GPT2Model

import models
from layers.backbone import Backbone
from layers.word_embeddings import WordEmbeddings
from models.calf import CALF
from models.dlinear import DLinear
from tests.conftest import save_gpt2
from tests.models.conftest import MakeModel, series
from utils.errors import UserError

EXTRAS = {"data": {"columns": ["a", "b", "OT"]}, "run": {}}
BEST = {"epoch": 3, "validation_mse": 0.25}
every_backbone = pytest.mark.parametrize("backbone", ["local", "random", "hub"])

Save = Callable[..., CALF]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint"


@pytest.fixture
def save(make_model: MakeModel, folder: Path) -> Save:
    """Save a CALF as a checkpoint, and return it."""

    def save(**fields: Any) -> CALF:
        model = make_model(**fields)
        model.save(folder, EXTRAS, BEST)
        return model

    return save


def edit_config(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    config = json.loads((folder / "config.json").read_text())
    edit(config["model"])
    (folder / "config.json").write_text(json.dumps(config))


def assert_refused(folder: Path, match: str, merge: bool = False) -> None:
    with pytest.raises(UserError, match=f"(?s)checkpoint.*{match}"):
        models.load(folder, merge)


@every_backbone
@pytest.mark.parametrize("lora", [0, 1], ids=["no lora", "lora"])
def test_a_stored_model_forecasts_bit_for_bit_as_before(save: Save, folder: Path, backbone: str, lora: int) -> None:
    model = save(source=backbone, lora=lora)
    torch.manual_seed(99)
    loaded = models.load(folder)
    ours, theirs = loaded.branches(series()), model.branches(series())
    assert torch.equal(ours.forecast, theirs.forecast)
    assert torch.equal(ours.text_forecast, theirs.text_forecast)
    assert (loaded.config, loaded.origin, loaded.training) == (model.config, model.origin, False)
    assert loaded.trained_state().keys() == model.trained_state().keys()


@every_backbone
@pytest.mark.parametrize("lora", [0, 1], ids=["no lora", "lora"])
def test_a_model_loaded_with_merged_adapters_gives_the_forecast_without_them(
    save: Save, folder: Path, backbone: str, lora: int
) -> None:
    model, merged = save(source=backbone, lora=lora), models.load(folder, merge=True)
    assert not [name for name in merged.state_dict() if "lora" in name]
    with torch.no_grad():
        torch.testing.assert_close(merged(series()).forecast, model(series()).forecast, rtol=1e-5, atol=1e-5)
        with torch.autocast("cpu", torch.bfloat16), model.merged_adapters():
            torch.testing.assert_close(merged(series()).forecast, model(series()).forecast, rtol=0.05, atol=0.05)


def test_of_a_backbone_from_elsewhere_only_what_was_trained_is_stored(save: Save, folder: Path) -> None:
    model, stored = save(source="hub"), load_file(folder / "model.safetensors")
    assert stored.keys() == {name for name, p in model.named_parameters() if p.requires_grad} | {"match.words"}


@pytest.mark.parametrize("backbone", ["random", "local"])
def test_a_backbone_that_nobody_else_has_is_stored_once_and_needs_no_other_file(
    save: Save, folder: Path, tmp_path: Path, backbone: str
) -> None:
    gpt2 = save_gpt2(tmp_path / "gpt2")
    model, stored = save(source=backbone, llm=gpt2), load_file(folder / "model.safetensors")
    assert stored.keys() == dict(model.named_parameters()).keys() | {"match.words"}
    assert [name for name in stored if name.endswith("h.0.mlp.c_fc.weight")] == ["time_gpt2.h.0.mlp.c_fc.weight"]
    shutil.rmtree(gpt2)
    assert torch.equal(models.load(folder)(series()).forecast, model(series()).forecast)


@pytest.mark.parametrize("merge", [False, True])
def test_another_backbone_under_the_same_name_is_refused_with_both_fingerprints(
    save: Save, folder: Path, tmp_path: Path, merge: bool
) -> None:
    gpt2 = save_gpt2(tmp_path / "gpt2")
    was = save(source="hub", llm=gpt2).origin["backbone"]["fingerprint"]
    save_gpt2(gpt2, seed=1)
    assert_refused(folder, f"cannot be loaded: it was trained on .* with fingerprint {was}; the .* found here", merge)
    shutil.rmtree(gpt2)
    assert_refused(folder, f"cannot be loaded: .*{gpt2}: there is no such folder", merge)


def rank(tensors: dict[str, Tensor]) -> None:
    for name in [name for name in tensors if "lora_A" in name]:
        tensors[name] = torch.zeros(3, 24)


def lose(tensors: dict[str, Tensor]) -> None:
    del tensors["time_gpt2.h.0.attn.c_attn.lora_B.default.weight"]


def stray(tensors: dict[str, Tensor]) -> None:
    tensors["time_gpt2.h.7.attn.c_attn.lora_B.default.weight"] = torch.zeros(2)


def nan(tensors: dict[str, Tensor]) -> None:
    tensors["time_gpt2.h.0.attn.c_attn.lora_B.default.weight"][0, 0] = torch.nan


def words(tensors: dict[str, Tensor]) -> None:
    tensors["match.words"][0, 0] = torch.inf


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("damage", [rank, lose, stray, nan, words])
def test_adapters_and_words_that_cannot_be_used_are_refused_for_tests_and_forecasts_alike(
    save: Save, folder: Path, damage: Callable[[dict[str, Tensor]], None], merge: bool
) -> None:
    save()
    file = folder / "model.safetensors"
    tensors = load_file(file)
    damage(tensors)
    save_file(tensors, file)
    assert_refused(folder, r"model\.safetensors does not fit config\.json: (time_gpt2.*lora|match\.words)", merge)


SIZES = ("seq_len", "pred_len", "channels", "gpt_layers", "r")


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_compared_before_memory_is_taken(
    save: Save, folder: Path, name: str, merge: bool, little_memory: None
) -> None:
    save()
    most = {"gpt_layers": 1000, "r": 10_000, "channels": 17}.get(name, 1_000_000)
    edit_config(folder, lambda model: model["config"].update({name: most}))
    assert_refused(folder, "", merge)


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("name", ["n_positions", "n_inner", "n_embd", "n_layer"])
def test_sizes_of_the_backbone_are_compared_before_memory_is_taken(
    save: Save, folder: Path, name: str, merge: bool, little_memory: None
) -> None:
    save(source="random")
    edit_config(folder, lambda model: model["origin"]["backbone"]["config"].update({name: 240_000}))
    assert_refused(folder, "", merge)


WRONG = (None, 3, [], "text", {}, {"count": 11}, {"count": "10"}, {"count": 10, "llm": [1]})


@pytest.mark.parametrize("part", ["backbone", "word_embeddings"])
def test_an_origin_of_a_wrong_kind_is_refused(save: Save, folder: Path, part: str) -> None:
    save()
    for wrong in WRONG:
        edit_config(folder, lambda model, wrong=wrong: model["origin"].update({part: wrong}))
        assert_refused(folder, "cannot be loaded")


def test_a_model_made_by_hand_is_saved_whole(make_model: MakeModel, folder: Path, tmp_path: Path) -> None:
    model = make_model()
    words = WordEmbeddings(model.match.words)
    model = CALF(model.config, Backbone.of(model.text_gpt2), words).eval()
    model.save_pretrained(folder)
    CALF.from_pretrained(folder).save_pretrained(tmp_path / "twice")
    assert torch.equal(models.load(tmp_path / "twice")(series()).forecast, model(series()).forecast)
    assert models.load(tmp_path / "twice").describe()


def test_at_the_published_size_75_megabytes_are_stored_on_a_pretrained_backbone() -> None:
    with torch.device("meta"):
        gpt2 = GPT2Model(GPT2Config(n_layer=6))
        gpt2.wte = None
        model = CALF(CALF.Config(96, 96, 7), Backbone(gpt2, None, {}), WordEmbeddings(torch.zeros(500, 768)))
    assert 70e6 < sum(tensor.numel() * 4 for tensor in model.trained_state().values()) < 80e6


@pytest.fixture
def dlinear(folder: Path) -> DLinear:
    """A saved DLinear with a file beside it."""
    model = DLinear(DLinear.Config(12, 4, 3))
    model.save(folder, EXTRAS, BEST)
    (folder / "test.json").write_text("{}")
    return model.eval()


def test_what_is_saved_again_is_a_copy_with_all_that_lies_beside_it(
    dlinear: DLinear, folder: Path, tmp_path: Path
) -> None:
    models.load(folder).save_pretrained(tmp_path / "copy")
    for name in ("config.json", "model.safetensors", "test.json"):
        assert (tmp_path / "copy" / name).read_bytes() == (folder / name).read_bytes()
    assert models.load(tmp_path / "copy").stored.best == BEST
    card = (tmp_path / "copy" / "README.md").read_text()
    for part in ("library_name: calf", "license: apache-2.0", "time-series-forecasting", "Forecaster.load"):
        assert part in card


def test_push_to_hub_uploads_what_loads(
    dlinear: DLinear, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Url:
        repo_id = "user/model"

    def upload(api: object, *, folder_path: Path, repo_id: str, **options: Any) -> str:
        shutil.copytree(folder_path, tmp_path / repo_id)
        return "done"

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", lambda *args, **options: Url())
    monkeypatch.setattr("huggingface_hub.HfApi.upload_folder", upload)
    assert models.load(folder).push_to_hub("user/model") == "done"
    assert models.load(tmp_path / "user/model").stored.best == BEST


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """Weights as the public code of DLinear names them."""
    (tmp_path / "config.json").write_text(json.dumps({"model": "DLinear", "seq_len": 8, "pred_len": 2, "channels": 3}))
    parts = {"weight": torch.randn(2, 8), "bias": torch.randn(2)}
    tensors = {f"Linear_{part}.{kind}": t for part in ("Trend", "Seasonal") for kind, t in parts.items()}
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, tmp_path / "weights.safetensors")
    return tmp_path


def test_public_weights_are_loaded(public: Path) -> None:
    model = models.from_public(public)
    assert not model.training
    assert torch.equal(model.trend.weight, load_file(public / "weights.safetensors")["Linear_Trend.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "Nothing"}, "no such model"),
        ({"model": 3}, "does not name its model"),
        ({"model": "CALF"}, "CALF.from_release"),
        ({"seq_len": None}, "seq_len None is not a whole number"),
        ({"seq_len": 1_000_000, "pred_len": 1_000_000}, "has another shape"),
        ({"individual": True}, "has another shape"),
        ({"moving_avg": "25"}, "moving_avg is '25', not an odd number"),
    ],
)
def test_public_sizes_that_do_not_fit_are_named(public: Path, change: dict[str, object], message: str) -> None:
    config = json.loads((public / "config.json").read_text())
    (public / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(UserError, match=rf"{public}.*{message}"):
        models.from_public(public)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "seasonal.bias is missing"),
        ({"Linear_Trend.0.weight": torch.zeros(2, 8), "Linear_Trend.x.weight": torch.zeros(2)}, "is missing"),
        ({"Linear_Trend.0.weight": torch.zeros(2, 8), "Linear_Trend.1.weight": torch.zeros(2)}, "is missing"),
    ],
)
def test_public_tensors_that_do_not_fit_are_named(public: Path, tensors: dict[str, Tensor], message: str) -> None:
    save_file(tensors, public / "weights.safetensors")
    with pytest.raises(UserError, match=rf"{public}.*{message}"):
        models.from_public(public)


def test_a_public_folder_that_lacks_a_file_is_named(public: Path) -> None:
    (public / "weights.safetensors").unlink()
    with pytest.raises(UserError, match=f"{public} holds no readable public weights"):
        models.from_public(public)
