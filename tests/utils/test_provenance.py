"""What a result says about its making."""

import json
import subprocess

import pytest
import torch

from utils.device import environment


def test_it_names_device_and_versions_as_json() -> None:
    found = environment(torch.device("cpu"))
    assert found["torch"] == torch.__version__
    assert found["device"].startswith("CPU")
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("error", [FileNotFoundError("git"), subprocess.CalledProcessError(128, "git")])
def test_without_git_or_a_repository_there_is_no_commit(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    assert environment(torch.device("cpu"))["commit"] is None
