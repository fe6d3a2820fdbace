"""A checkpoint folder, apart from what is in it."""

from pathlib import Path

import pytest
import torch

from utils.checkpoint import read_checkpoint, write_checkpoint
from utils.errors import UserError


def test_tensors_and_configuration_come_back_as_they_went(tmp_path: Path) -> None:
    strided = torch.arange(12.0).reshape(3, 4).T
    tensors = {"a": torch.randn(2, 3), "b": torch.nn.Parameter(torch.randn(4)), "c": strided, "d": torch.zeros(())}
    write_checkpoint(tmp_path / "new" / "folder", tensors, {"x": [1, {"y": "ü"}]}, {"epoch": 7})
    read, config = read_checkpoint(tmp_path / "new" / "folder")
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)
    assert config == {"format": 1, "x": [1, {"y": "ü"}], "best": {"epoch": 7}}


def test_a_second_checkpoint_replaces_the_first(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, {"a": torch.zeros(2)}, {"size": 2}, {"epoch": 1})
    write_checkpoint(tmp_path, {"b": torch.ones(3)}, {"size": 3}, {"epoch": 2})
    tensors, config = read_checkpoint(tmp_path)
    assert tensors.keys() == {"b"}
    assert config["best"] == {"epoch": 2}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_an_empty_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no checkpoint in .*: config\.json is missing. Train first"):
        read_checkpoint(tmp_path)


def test_a_crash_while_the_weights_are_written_leaves_the_last_pair_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(tmp_path, {"a": torch.zeros(2)}, {"size": 2}, {"epoch": 1})

    def crash(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("safetensors.torch.save_file", crash)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(tmp_path, {"a": torch.ones(2)}, {"size": 2}, {"epoch": 2})
    tensors, config = read_checkpoint(tmp_path)
    assert torch.equal(tensors["a"], torch.zeros(2))
    assert config["best"] == {"epoch": 1}
