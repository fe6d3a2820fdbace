"""One command in several processes: the losses and metrics of one process, one copy of each output.

Each process draws the dropout of its own rows, so that losses agree only without dropout: training here has none.
"""

import json
import socket
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Tiny
from tests.helpers.commands import small, tiny_run
from tests.helpers.forked import finish, kill, start, wait_until
from tests.helpers.m4_files import write_m4

Figures = dict[str, Any]


def begin(folder: Path, flags: list[str], count: int) -> list[ForkServerProcess]:
    """Start a command in ``count`` processes on this machine, as a launcher does."""
    folder.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count), "OMP_NUM_THREADS": "1"}
    processes = []
    for rank in range(count):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(count)}
        processes.append(start(folder, flags, {**shared, **own} if count > 1 else None, dropout=False))
    return processes


def codes(folder: Path, flags: list[str], count: int) -> list[int]:
    """Run a command in ``count`` processes; return their exit codes."""
    return [finish(process) for process in begin(folder, flags, count)]


def run_in(folder: Path, flags: list[str], count: int) -> Path:
    """Run a command in ``count`` processes, which must succeed; return their folder."""
    assert codes(folder, flags, count) == [0] * count, said(folder)
    return folder


def said(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.glob("said*.txt")))


def outputs(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.suffix != ".txt"
    )


def epochs(folder: Path) -> list[Figures]:
    (path,) = folder.glob("checkpoints/*/training.json")
    return json.loads(path.read_text())["epochs"]


def scores(folder: Path) -> Figures:
    (path,) = (folder / "results").rglob("metrics.json")
    return json.loads(path.read_text())["scores"]


# 227 test windows; batches of 15 and 16 rows that two or three processes cannot share evenly.
@pytest.mark.parametrize(("count", "batch_size"), [(2, 16), (2, 15), (3, 16)])
def test_losses_and_metrics_are_those_of_one_process(tiny: Tiny, tmp_path: Path, count: int, batch_size: int) -> None:
    flags = tiny(train_epochs=2, batch_size=batch_size, learning_rate=0.001, eval_batch_size=10)
    alone, together = run_in(tmp_path / "alone", flags, 1), run_in(tmp_path / "together", flags, count)
    assert outputs(together) == outputs(alone)
    for one, several in zip(epochs(alone), epochs(together), strict=True):
        assert several == pytest.approx(one, rel=1e-4)
    one, several = scores(alone), scores(together)
    assert (several["mse"], several["mae"]) == pytest.approx((one["mse"], one["mae"]), rel=1e-4)
    assert several["metrics"]["naive"] == one["metrics"]["naive"]
    assert several["metrics"]["CALF"]["windows"] == one["metrics"]["CALF"]["windows"]
    coverage, expected = (figures["intervals"]["0.9"]["coverage"] for figures in (several, one))
    assert coverage == pytest.approx(expected, abs=0.01)
    arrays = [np.load(next(folder.glob("results/*/pred.npy"))) for folder in (alone, together)]
    np.testing.assert_allclose(*arrays, rtol=1e-3, atol=1e-3)
    assert said(together).count("best epoch") == said(alone).count("best epoch")


def test_the_metrics_of_a_checkpoint_do_not_depend_on_the_processes(tiny: Tiny, tmp_path: Path) -> None:
    flags = tiny(eval_batch_size=7)
    folder = run_in(tmp_path / "alone", flags, 1)
    (checkpoint,) = (path.parent for path in folder.glob("checkpoints/*/config.json"))
    tested = run_in(tmp_path / "tested", [*flags, "--is_training", "0", "--load", str(checkpoint)], 3)
    assert scores(tested)["mse"] == pytest.approx(scores(folder)["mse"], rel=1e-6)
    assert scores(tested)["metrics"]["CALF"]["windows"] == scores(folder)["metrics"]["CALF"]["windows"]


def test_without_the_text_branch_and_with_accumulated_batches_it_is_the_same(tiny: Tiny, tmp_path: Path) -> None:
    flags = tiny(batch_size=8, accumulate=3, output_w=0, feature_w=0)
    alone, together = run_in(tmp_path / "alone", flags, 1), run_in(tmp_path / "together", flags, 2)
    assert epochs(together)[0] == pytest.approx(epochs(alone)[0], rel=1e-4)


@pytest.mark.parametrize("llm", ["bert-tiny", "llama-tiny"])
def test_on_a_language_model_of_another_family_it_is_the_same(tiny: Tiny, tmp_path: Path, llm: str) -> None:
    flags = tiny(llm=llm, llm_init="random", word_embedding_path=None)
    alone, together = run_in(tmp_path / "alone", flags, 1), run_in(tmp_path / "together", flags, 2)
    assert epochs(together)[0] == pytest.approx(epochs(alone)[0], rel=1e-4)
    assert scores(together)["mse"] == pytest.approx(scores(alone)["mse"], rel=1e-4)


def test_all_processes_forecast_with_the_batch_statistics_that_are_stored(
    tiny: Tiny, tmp_path: Path, tiny_gpt2: Path, tiny_words: Path
) -> None:
    flags = tiny(model="PatchTST", batch_size=15, **small("PatchTST", tiny_gpt2, tiny_words))
    folder = run_in(tmp_path / "together", flags, 2)
    (checkpoint,) = (path.parent for path in folder.glob("checkpoints/*/config.json"))
    tested = run_in(tmp_path / "tested", [*flags, "--is_training", "0", "--load", str(checkpoint)], 1)
    assert scores(tested)["mse"] == pytest.approx(scores(folder)["mse"], rel=1e-6)


def test_m4_is_the_same_too_where_a_batch_has_fewer_samples_than_processes(
    tmp_path: Path, tiny_gpt2: Path, tiny_words: Path
) -> None:
    write_m4(tmp_path / "m4", "Yearly", [13, 30, 22, 41])
    place = {"root_path": tmp_path / "m4", "data_path": None, "seq_len": None, "pred_len": None}
    flags = tiny_run(
        tmp_path, tiny_gpt2, tiny_words, task_name="short_term_forecast", data="m4", seasonal_patterns="Yearly",
        task_loss="smape", output_loss="mase", feature_loss="smooth_l1", m4_draws=3, batch_size=5, train_epochs=2,
        **place,
    )  # fmt: skip
    alone, together = run_in(tmp_path / "alone", flags, 1), run_in(tmp_path / "together", flags, 3)
    assert outputs(together) == outputs(alone)
    for one, several in zip(epochs(alone), epochs(together), strict=True):
        assert several == pytest.approx(one, rel=1e-4)
    assert scores(together)["smape"] == pytest.approx(scores(alone)["smape"], rel=1e-4)
    assert scores(together)["metrics"]["naive2"] == scores(alone)["metrics"]["naive2"]


def test_wrong_input_ends_every_process_with_a_message(tiny: Tiny, tmp_path: Path) -> None:
    folder = tmp_path / "wrong"
    assert codes(folder, tiny(data_path="no_such.csv"), 2) == [2, 2]
    assert "error: " in said(folder) and "error in process 1: " in said(folder)
    assert "no_such.csv" in said(folder) and "Traceback" not in said(folder)


def test_stopped_and_started_again_they_go_on_together(tiny: Tiny, tmp_path: Path) -> None:
    flags = tiny(train_epochs=6, patience=6)
    whole, stopped = run_in(tmp_path / "whole", flags, 2), tmp_path / "stopped"
    processes = begin(stopped, flags, 2)
    wait_until(lambda: list(stopped.glob("checkpoints/*/resume.safetensors")), processes[0])
    for process in processes:
        kill(process)
    assert [finish(process) for process in begin(stopped, flags, 2)] == [0, 0]
    assert "going on after epoch" in said(stopped)
    assert epochs(stopped) == epochs(whole)
