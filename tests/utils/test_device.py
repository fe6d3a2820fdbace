"""Devices, seeds, what a result says about its making, and memory."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from scripts.benchmark_files import reset_peak
from utils import device
from utils.device import device_name, environment, peak_memory, pick_device, return_freed, seed_everything
from utils.errors import UserError

CPU = torch.device("cpu")
LINUX_ALONE = pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Pretend that the machine has as many cards as the test asks for."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)


@pytest.mark.parametrize("cards", [2], indirect=True)
@pytest.mark.parametrize(
    ("name", "use_gpu", "gpu", "device"),
    [
        ("auto", True, 0, "cuda:0"),
        ("auto", True, 1, "cuda:1"),
        ("auto", False, 1, "cpu"),
        ("cuda", True, 1, "cuda:1"),
        ("cuda:0", True, 1, "cuda:0"),
        ("cpu", True, 1, "cpu"),
    ],
)
def test_a_name_means_a_device(cards: None, name: str, use_gpu: bool, gpu: int, device: str) -> None:
    assert pick_device(name, use_gpu, gpu) == torch.device(device)


@pytest.mark.parametrize("cards", [0], indirect=True)
def test_without_cards_auto_means_the_cpu(cards: None) -> None:
    assert pick_device("auto") == CPU


@pytest.mark.parametrize("cards", [0], indirect=True)
@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_without_cards_cuda_is_refused(cards: None, name: str) -> None:
    with pytest.raises(UserError, match=rf"--device {name}, card 0: this machine shows 0 CUDA device\(s\)"):
        pick_device(name)


@pytest.mark.parametrize("cards", [2], indirect=True)
@pytest.mark.parametrize(("name", "gpu"), [("cuda:2", 0), ("cuda", 2), ("auto", 2), ("cuda", -1), ("auto", -1)])
def test_a_card_that_is_not_there_is_refused(cards: None, name: str, gpu: int) -> None:
    with pytest.raises(UserError, match=r"card (2|-1): this machine shows 2 CUDA device\(s\)"):
        pick_device(name, gpu=gpu)


@pytest.mark.parametrize("name", ["", "gpu", "cuda:x", "cuda:-1", "cuda:1:2", "mps", "meta", "cuda:99999999999999"])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="choose auto, cpu, cuda or cuda:N"):
        pick_device(name)


@pytest.mark.parametrize("cards", [1], indirect=True)
def test_cuda_contradicts_no_gpu(cards: None) -> None:
    with pytest.raises(UserError, match="--device cuda and --use_gpu 0 contradict each other"):
        pick_device("cuda", use_gpu=False)


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), float(torch.rand(()))


def test_a_seed_repeats_the_numbers_of_all_three_generators() -> None:
    seed_everything(7, CPU)
    first = draw()
    seed_everything(7, CPU)
    assert draw() == first
    seed_everything(8, CPU)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


def test_the_cpu_is_named_with_its_threads() -> None:
    assert device_name(CPU) == f"CPU, {torch.get_num_threads()} threads"


# --- what a result says about its making ---


def test_it_names_device_and_versions_as_json() -> None:
    found = environment(CPU)
    assert found["torch"] == torch.__version__
    assert found["device"].startswith("CPU")
    assert json.loads(json.dumps(found)) == found


@pytest.fixture
def asked_anew() -> Iterator[None]:
    """Git is asked in this test, and again after it."""
    device._commit.cache_clear()
    yield
    device._commit.cache_clear()


@pytest.mark.usefixtures("asked_anew")
@pytest.mark.parametrize("error", [FileNotFoundError("git"), subprocess.CalledProcessError(128, "git")])
def test_without_git_or_a_repository_there_is_no_commit(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    assert environment(CPU)["commit"] is None


@pytest.mark.usefixtures("asked_anew")
def test_the_commit_of_a_project_that_the_code_is_installed_in_is_not_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / ".venv" / "utils" / "device.py"
    place.parent.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr("utils.device.__file__", str(place))
    monkeypatch.setattr(subprocess, "check_output", lambda *_, **__: "theirs")
    assert environment(CPU)["commit"] is None


# --- memory ---


def resident() -> int:
    """Return the bytes of the process in memory."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) * 1024


@LINUX_ALONE
def test_the_peak_counts_what_was_taken_and_given_back_since_its_reset() -> None:
    torch.ones(2**27).sum()
    if not reset_peak(CPU):
        pytest.skip("this machine does not let a process reset its peak")
    before = peak_memory(CPU)
    torch.ones(2**25).sum()
    assert 2**26 < peak_memory(CPU) - before < 2**28


@LINUX_ALONE
def test_what_small_pieces_leave_behind_is_given_back() -> None:
    pieces = [torch.ones(1000) for _ in range(40_000)]  # 160 MB, too small each to be a mapping of its own
    kept = torch.ones(1000)  # above them: the heap cannot shrink
    full = resident()
    del pieces
    return_freed()
    assert len(kept) == 1000
    assert full - resident() > 100 * 2**20
