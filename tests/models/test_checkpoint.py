"""The folder of a checkpoint: what goes in, what comes out, and what is refused."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import models
from layers import hub
from models.checkpoint import find_checkpoint, read_best, read_config, read_training
from models.dlinear import DLinear
from tests.helpers.hostile import Code
from utils.errors import UserError

EXTRAS = {"data": {"columns": ["a", "b", "OT"]}, "run": {"config": {"seed": 1}}}
BEST = {"epoch": 3, "validation_mse": 0.25}
Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def model() -> DLinear:
    torch.manual_seed(0)
    return DLinear(DLinear.Config(12, 4, 3)).eval()


@pytest.fixture
def folder(tmp_path: Path, model: DLinear) -> Path:
    """A checkpoint."""
    folder = tmp_path / "checkpoint"
    model.save(folder, EXTRAS, BEST)
    return folder


def edit_config(folder: Path, edit: Edit) -> None:
    config = json.loads((folder / "config.json").read_text())
    edit(config)
    (folder / "config.json").write_text(json.dumps(config))


def edit_weights(folder: Path, edit: Callable[[dict[str, Tensor]], None], best: object = BEST) -> None:
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors", {"best": json.dumps(best)})


def assert_refused(folder: Path, match: str = "") -> None:
    with pytest.raises(UserError, match=f"(?s)checkpoint.*{match}"):
        models.load(folder)


def test_what_was_saved_is_loaded_bit_for_bit(folder: Path, model: DLinear) -> None:
    loaded, x = models.load(folder), torch.randn(5, 12, 3)
    assert type(loaded) is DLinear
    assert loaded.config == model.config
    assert not loaded.training
    assert torch.equal(loaded(x).forecast, model(x).forecast)
    assert (loaded.stored.best, loaded.stored.extras) == (BEST, {"format": 2, **EXTRAS})


def test_of_its_class_from_pretrained_loads_it_and_another_does_not(folder: Path) -> None:
    assert DLinear.from_pretrained(folder).stored.best == BEST
    with pytest.raises(UserError, match="holds a model DLinear, not Naive"):
        models.Naive.from_pretrained(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert_refused(folder, f"{name} is missing")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_what_is_no_regular_file_is_refused_at_once(folder: Path, name: str, kind: str) -> None:
    path = folder / name
    path.unlink()
    {"fifo": os.mkfifo, "device": lambda p: p.symlink_to("/dev/zero"), "folder": os.mkdir}[kind](path)
    assert_refused(folder, f"{name} is not a regular file")
    assert read_best(folder) == ({} if name == "model.safetensors" else BEST)


def test_a_file_of_an_absurd_size_is_not_read(folder: Path) -> None:
    os.truncate(folder / "config.json", 10**11)
    assert_refused(folder, "config.json has 100,000,000,000 bytes")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 200_000, b'{"format": NaN}', b"1e999"])
def test_a_damaged_configuration_is_refused(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    assert_refused(folder, "config.json is damaged")


@pytest.mark.parametrize("content", [None, [], 3, "text", {}, {"format": 1}, {"format": "2"}, {"format": "\x1b[31m"}])
def test_a_configuration_of_another_format_is_refused(folder: Path, content: object) -> None:
    (folder / "config.json").write_text(json.dumps(content))
    assert_refused(folder, "config.json has format .*; this program reads checkpoints of format 2")


def test_a_configuration_that_was_edited_is_used_and_the_user_told_in_one_line(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    models.load(folder)
    assert not caplog.records
    edit_config(folder, lambda config: config["data"]["columns"].reverse())
    read_config(folder)
    models.load(folder)
    assert [record.message for record in caplog.records] == [
        f"note: {folder}/config.json was changed after it was saved"
    ]


@pytest.mark.parametrize("length", [0, 4, 8, 100, -1])
def test_truncated_weights_are_refused(folder: Path, length: int) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:length])
    assert_refused(folder, "model.safetensors is damaged")
    assert read_best(folder) == {}


def test_code_in_place_of_the_weights_is_refused_and_not_run(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Code(folder / "ran")))
    models.load(folder)
    for write in (lambda path: path.write_bytes(pickle.dumps(Code(folder / "ran"))),
                  lambda path: torch.save({"trend.weight": Code(folder / "ran")}, path)):  # fmt: skip
        write(folder / "model.safetensors")
        assert_refused(folder, "model.safetensors is damaged")
    assert not (folder / "ran").exists()


def drop(tensors: dict[str, Tensor]) -> None:
    del tensors["trend.bias"]


def add(tensors: dict[str, Tensor]) -> None:
    tensors["extra\x1b[31m"] = torch.zeros(2)


def put(value: Tensor) -> Callable[[dict[str, Tensor]], None]:
    return lambda tensors: tensors.update({"trend.bias": value})


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (drop, "trend.bias is missing"),
        (add, r"extra\\x1b\[31m is unknown"),
        (put(torch.zeros(1, 4)), "trend.bias has another shape"),
        (put(torch.tensor([0, 0, 0, torch.nan])), "trend.bias holds NaN or infinite values"),
        (put(torch.tensor([0, torch.inf, -torch.inf, 0])), "trend.bias holds NaN or infinite values"),
        (put(torch.zeros(4, dtype=torch.float64)), "trend.bias holds torch.float64, not torch.float32"),
        (put(torch.zeros(4, dtype=torch.int64)), "trend.bias holds torch.int64"),
        (put(torch.zeros(4, dtype=torch.float8_e4m3fn)), "trend.bias holds torch.float8"),
    ],
)  # fmt: skip
def test_tensors_that_cannot_be_used_are_named(
    folder: Path, damage: Callable[[dict[str, Tensor]], None], problem: str
) -> None:
    edit_weights(folder, damage)
    assert_refused(folder, f"model.safetensors does not fit config.json: {problem}")


@pytest.mark.parametrize("best", [3, [], "text", None, {"epoch": "3"}, {"epoch": None}, {"epoch": float("nan")}])
def test_a_best_epoch_that_is_none_is_refused(folder: Path, best: object) -> None:
    edit_weights(folder, lambda tensors: None, best)
    assert_refused(folder, "model.safetensors is damaged")
    assert read_best(folder) == {}


PARTS = [("model",), ("data",), ("run",), ("model", "name"), ("model", "config"), ("model", "origin")]


@pytest.mark.parametrize("path", PARTS, ids=".".join)
@pytest.mark.parametrize("wrong", [None, 3, [], "te\x1b[31mxt"], ids=["null", "number", "list", "text"])
def test_a_part_of_a_wrong_kind_is_refused(folder: Path, path: tuple[str, ...], wrong: object) -> None:
    def edit(config: dict[str, Any]) -> None:
        (config if len(path) == 1 else config["model"])[path[-1]] = wrong

    edit_config(folder, edit)
    with pytest.raises(UserError, match="checkpoint") as refused:
        models.load(folder)
    assert str(refused.value).isprintable()


WRONG = (None, "zz", "", "24", [1], {"a": 1}, -1, True, 24.0, 10**30)
FIELDS = ("seq_len", "pred_len", "channels", "season", "task_loss", "moving_avg", "individual")


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_a_wrong_kind_is_refused(folder: Path, name: str) -> None:
    for wrong in [0.5, *WRONG, *([] if name == "individual" else [0])]:
        edit_config(folder, lambda config, wrong=wrong: config["model"]["config"].update({name: wrong}))
        assert_refused(folder, f"cannot be loaded: {name} ")


def test_a_field_too_few_or_too_many_is_named(folder: Path) -> None:
    edit_config(folder, lambda config: config["model"]["config"].pop("moving_avg"))
    assert_refused(folder, "'moving_avg' is missing or unknown")
    edit_config(folder, lambda config: config["model"]["config"].update(moving_avg=25, extra=1))
    assert_refused(folder, "'extra' is missing or unknown")


@pytest.mark.parametrize("name", ["seq_len", "pred_len"])
def test_sizes_are_compared_before_memory_is_taken(folder: Path, name: str, little_memory: None) -> None:
    edit_config(folder, lambda config: config["model"]["config"].update({name: 1_000_000}))
    assert_refused(folder, "model.safetensors does not fit config.json")


def test_a_bug_in_a_model_is_no_damaged_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.dlinear.TimeLinear", lambda *sizes: sizes.misspelt)
    with pytest.raises(AttributeError, match="misspelt"):
        models.load(folder)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"seconds": NaN}', b'{"seconds": 1e999}'])
def test_a_record_of_training_that_is_lost_or_damaged_is_none(folder: Path, content: bytes | None) -> None:
    if content is not None:
        (folder / "training.json").write_bytes(content)
    assert read_training(folder) == {}


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert_refused(tmp_path / "checkpoint", "Train first")
    (tmp_path / "checkpoint").touch()
    assert_refused(tmp_path / "checkpoint", "is a file; name the folder")


def test_a_repository_is_fetched_with_the_files_of_a_checkpoint_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def fetch(name: str, files: tuple[str, ...], **options: Any) -> Path:
        asked.update(name=name, files=files, **options)
        return folder

    monkeypatch.setattr("models.checkpoint.fetch", fetch)
    models.load("user/calf", revision="v1", token="secret", local_files_only=True)
    names = {"config.json", "model.safetensors", "test.json", "training.json"}
    names |= {"intervals.safetensors", "intervals_of_total.safetensors", "scores.safetensors"}
    assert (asked.pop("name"), {*asked.pop("files")}) == ("user/calf", names)
    assert asked == {"revision": "v1", "token": "secret", "local_files_only": True}


def test_what_is_neither_a_folder_nor_a_repository_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(name: str, *args: Any) -> Path:
        raise ConnectionError(f"no network for {name}\nand more")

    monkeypatch.setattr("models.checkpoint.fetch", fetch)
    monkeypatch.chdir(folder.parent.parent)
    with pytest.raises(UserError, match=r"no checkpoint folder user/none, .* \(no network for user/none\)"):
        models.load("user/none")
    for name in (f"{folder.parent.name}/chekpoint", str(folder.parent / "nothing"), "nothing", "a/b/c", "./nothing"):
        with pytest.raises(UserError, match="There is no checkpoint in"):  # without a look at the hub
            models.load(name)


def test_the_cache_is_asked_before_the_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def snapshot(name: str, *, local_files_only: bool = False, **options: Any) -> str:
        asked.append(local_files_only)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert find_checkpoint("user/calf") == folder
    assert asked == [True]
    monkeypatch.setattr("huggingface_hub.model_info", lambda *args, **options: None)
    assert hub.fetch("user/calf", ("config.json", "model.safetensors"), force_download=True) == folder
    assert asked == [True, False]
