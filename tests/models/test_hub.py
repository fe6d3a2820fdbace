"""CALF to and from folders and the Hugging Face hub, by the mixin's three methods."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import HfApi

from layers import hub
from models import CALF
from models.checkpoints import find_checkpoint
from models.forecast_network import load_forecast_network
from models.stored import load_model
from tests.models.conftest import MakeModel
from tests.models.test_stored import BEST, EXTRAS, save
from utils.errors import UserError

X = torch.linspace(-1, 1, 2 * 7 * 3).reshape(2, 7, 3)


@pytest.fixture
def checkpoint(tmp_path: Path, tiny_gpt2: Path) -> Path:
    """A checkpoint with a file beside it."""
    folder = tmp_path / "checkpoint"
    save(folder, tiny_gpt2, "local")
    (folder / "test.json").write_text("{}")
    return folder


def test_a_checkpoint_is_loaded_from_its_folder(checkpoint: Path) -> None:
    model = CALF.from_pretrained(checkpoint)
    assert not model.training
    assert torch.equal(model(X).forecast, load_model(checkpoint).model(X).forecast)


def test_what_is_saved_is_a_checkpoint_again_with_all_that_came_with_it(checkpoint: Path, tmp_path: Path) -> None:
    CALF.from_pretrained(str(checkpoint)).save_pretrained(tmp_path / "copy")
    for name in ("config.json", "model.safetensors", "test.json"):
        assert (tmp_path / "copy" / name).read_bytes() == (checkpoint / name).read_bytes()
    stored = load_model(tmp_path / "copy")
    assert stored.extras == {"format": 1, **EXTRAS, "best": BEST}
    load_forecast_network(tmp_path / "copy")


def test_a_model_made_by_hand_is_saved_whole(make_model: MakeModel, tmp_path: Path) -> None:
    model = make_model()
    model.save_pretrained(tmp_path / "saved")
    again = CALF.from_pretrained(tmp_path / "saved")
    assert torch.equal(again(X).forecast, model(X).forecast)
    again.save_pretrained(tmp_path / "twice")
    network, _ = load_forecast_network(tmp_path / "twice")
    torch.testing.assert_close(network(X), model(X).forecast)


def test_the_card_says_how_to_use_it(checkpoint: Path, tmp_path: Path) -> None:
    CALF.from_pretrained(checkpoint).save_pretrained(tmp_path / "copy")
    card = (tmp_path / "copy" / "README.md").read_text()
    for part in (
        "library_name: calf",
        "license: apache-2.0",
        "time-series-forecasting",
        "Forecaster.load",
        "2403.07300",
    ):
        assert part in card


def test_push_to_hub_uploads_what_loads(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Url:
        repo_id = "user/calf"

    def upload(api: HfApi, *, folder_path: Path, **options: Any) -> str:
        assert options["repo_id"] == "user/calf"
        shutil.copytree(folder_path, tmp_path / "uploaded")
        return "done"

    monkeypatch.setattr(HfApi, "create_repo", lambda *args, **options: Url())
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    assert CALF.from_pretrained(checkpoint).push_to_hub("user/calf") == "done"
    again = CALF.from_pretrained(tmp_path / "uploaded")
    assert torch.equal(again(X).forecast, CALF.from_pretrained(checkpoint)(X).forecast)


def test_a_repository_is_fetched_with_the_files_of_a_checkpoint_alone(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def fetch(name: str, files: tuple[str, ...], **options: Any) -> Path:
        asked.update(name=name, files=files, **options)
        return checkpoint

    monkeypatch.setattr("models.checkpoints.fetch", fetch)
    CALF.from_pretrained("user/calf", revision="v1", token="secret", local_files_only=True)
    assert asked["name"] == "user/calf"
    assert set(asked["files"]) == {
        "config.json", "model.safetensors", "intervals.safetensors", "test.json", "training.json",
    }  # fmt: skip
    assert (asked["revision"], asked["token"], asked["local_files_only"]) == ("v1", "secret", True)


def test_a_repository_that_cannot_be_had_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*args: Any, **options: Any) -> Path:
        raise ConnectionError("no network\nand more")

    monkeypatch.setattr("models.checkpoints.fetch", fetch)
    with pytest.raises(UserError, match=r"no checkpoint folder user/none, .* \(no network\)"):
        CALF.from_pretrained("user/none")


def test_a_misspelt_folder_is_not_looked_for_on_the_hub(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.checkpoints.fetch", lambda *args, **options: pytest.fail("asked the hub"))
    monkeypatch.chdir(tmp_path.parent)
    for name in (f"{tmp_path.name}/chekpoint", str(tmp_path / "nothing"), "nothing", "a/b/c", "./nothing"):
        with pytest.raises(UserError, match="There is no checkpoint in"):
            CALF.from_pretrained(name)


def test_the_cache_is_asked_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def snapshot(name: str, *, local_files_only: bool = False, **options: Any) -> str:
        asked.append(local_files_only)
        return str(tmp_path)

    (tmp_path / "config.json").touch()
    (tmp_path / "model.safetensors").touch()
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert find_checkpoint("user/calf") == tmp_path
    assert asked == [True]
    monkeypatch.setattr("huggingface_hub.model_info", lambda *args, **options: None)
    assert hub.fetch("user/calf", ("config.json", "model.safetensors"), force_download=True) == tmp_path
    assert asked == [True, False]


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_damaged_configuration_is_a_message(checkpoint: Path, content: str) -> None:
    (checkpoint / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"config\.json"):
        CALF.from_pretrained(checkpoint)


def test_what_the_mixin_calls_config_is_not_taken_from_the_file(checkpoint: Path) -> None:
    path = checkpoint / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "config": {"seq_len": 1}, "gpt2": 3}))
    CALF.from_pretrained(checkpoint)
