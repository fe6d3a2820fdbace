"""Runs that are stopped, and started again by the same command."""

import csv
import json
import os
import random
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pytest
import yaml
from matplotlib.image import imread
from safetensors import safe_open

import run
from exp.long_term_forecast import LongTermForecast
from tests.conftest import Tiny
from tests.helpers.commands import succeed
from tests.helpers.forked import finish, kill, signal_all, start, wait_until

KILLS = 30
SAME = ("model.safetensors", "pred.npy", "true.npy", "metrics.npy", "errors.npy", "intervals.safetensors")


def files(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in folder.rglob("*") if path.is_file()}


def check_that_everything_loads(folder: Path) -> None:
    """Every file that has its own name, not that of a temporary one."""
    for path in folder.rglob("*"):
        if path.is_dir() or path.name.startswith((".", "said")):
            continue
        if path.suffix == ".safetensors":
            with safe_open(path, "np") as file:
                assert [file.get_tensor(name) for name in file.keys()]  # noqa: SIM118 (it is no dict)
        elif path.suffix == ".json":
            assert json.loads(path.read_text())
        elif path.suffix == ".npy":
            assert np.load(path).size
        elif path.suffix == ".png":
            assert imread(path).size
        elif path.suffix == ".yaml":
            assert yaml.safe_load(path.read_text())
        elif path.suffix == ".html":
            assert path.read_text().rstrip().endswith("</html>")
        elif path.suffix == ".csv":
            assert len({len(row) for row in csv.reader(path.read_text().splitlines())}) == 1
        else:
            assert path.suffix == ".txt" and path.read_text().endswith("\n\n")


def figures(folder: Path) -> dict[str, object]:
    """All that has to be the same, bit for bit."""
    found = files(folder)
    record, training = (json.loads(found[name].read_text()) for name in ("metrics.json", "training.json"))
    log = [
        (row["epoch"], row["train_loss"], row["validation_mse"])
        for row in csv.DictReader(found["log.csv"].read_text().splitlines())
    ]
    contents = {name: found[name].read_bytes() for name in SAME}
    return {
        **contents,
        "metrics": record["scores"]["metrics"],
        "best": record["run"]["best"],
        "epochs": training["epochs"],
        "log": log,
    }


@pytest.fixture
def flags(tiny: Tiny) -> list[str]:
    """A run of four short epochs, with dropout everywhere."""
    return tiny(train_epochs=4, patience=4, batch_size=16)


def test_killed_at_thirty_moments_it_ends_as_if_it_had_never_been_stopped(flags: list[str], tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    assert finish(start(tmp_path, [*flags, "--dry_run"])) == 0  # the server has imported everything
    began = time.monotonic()
    assert finish(start(whole, flags)) == 0
    length = time.monotonic() - began
    expected = figures(whole)

    seed = random.randrange(2**32)
    print(f"moments drawn from seed {seed}")  # shown when it fails
    moments, kills, rounds = random.Random(seed), 0, 0
    while kills < KILLS:
        rounds += 1
        folder = tmp_path / f"killed{rounds}"
        folder.mkdir()
        while True:
            process = start(folder, flags)
            process.join(moments.uniform(0, length * 0.7) if kills < KILLS else 120)
            if process.exitcode is not None or kills == KILLS:
                assert process.exitcode == 0, (folder / "said.txt").read_text()
                break
            kill(process)
            kills += 1
            check_that_everything_loads(folder)
        check_that_everything_loads(folder)
        assert figures(folder) == expected
        assert not [name for name in files(folder) if name.endswith((".tmp", ".lock")) or name == "resume.safetensors"]


@pytest.mark.parametrize("last", ["checkpoint: ", "pictures: "])
def test_a_run_killed_after_its_training_leaves_no_lock_to_the_next(last: str, tiny: Tiny, workplace: Path) -> None:
    process, said = start(workplace, tiny(train_epochs=1)), workplace / "said.txt"
    deadline = time.monotonic() + 60
    while not (said.exists() and last in said.read_text()) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    process.join(60)
    assert run.main(tiny(train_epochs=1)) == 0
    assert not [name for name in files(workplace) if name.endswith((".tmp", ".lock"))]


def test_checkpoints_and_results_may_be_one_folder(tiny: Tiny, workplace: Path) -> None:
    assert run.main(tiny(train_epochs=1, checkpoints="./results")) == 0
    assert {"model.safetensors", "metrics.json"} <= files(workplace / "results").keys()


STOPS = {signal.SIGINT: 130, signal.SIGTERM: 143}  # exit codes


def stop_once_it_says(line: str, folder: Path, flags: list[str], number: signal.Signals) -> str:
    """Start a run, send it a signal once it has said something; return all that it said."""
    process, said = start(folder, flags), folder / "said.txt"
    wait_until(lambda: said.exists() and line in said.read_text(), process)
    signal_all(process, number)
    assert finish(process) == STOPS[number]
    assert "Traceback" not in said.read_text(), said.read_text()
    return said.read_text()


def stop_after_an_epoch(folder: Path, flags: list[str], number: signal.Signals = signal.SIGINT) -> str:
    return stop_once_it_says("epoch 2/", folder, flags, number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_hand_it_says_what_is_saved_and_how_to_go_on(
    number: signal.Signals, tiny: Tiny, workplace: Path
) -> None:
    flags = tiny(train_epochs=500, patience=500)
    said = stop_after_an_epoch(workplace, flags, number)
    assert "of at most 500 epochs are saved in checkpoints/" in said
    assert "the same command goes on from there:\n  python run.py --data custom" in said
    check_that_everything_loads(workplace)
    assert "resume.safetensors" in files(workplace)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("number", STOPS)
def test_stopped_just_after_its_training_it_does_not_pretend_to_have_ended(
    number: signal.Signals, workers: int, tiny: Tiny, workplace: Path
) -> None:
    flags = tiny(train_epochs=2, num_workers=workers)
    stop_once_it_says("checkpoint: ", workplace, flags, number)
    assert "metrics.json" not in files(workplace)
    check_that_everything_loads(workplace)
    assert finish(start(workplace, flags)) == 0
    assert "is trained; --overwrite repeats it" in (workplace / "said.txt").read_text()


@pytest.mark.parametrize("workers", [0, 2])
def test_stopped_at_any_moment_it_says_so_and_the_next_one_goes_on(workers: int, tiny: Tiny, tmp_path: Path) -> None:
    flags, seed = tiny(train_epochs=3, batch_size=16, num_workers=workers), random.randrange(2**32)
    print(f"moments drawn from seed {seed}")  # shown when it fails
    moments, folder, stops = random.Random(seed), tmp_path / "stopped", 0
    folder.mkdir()
    said = folder / "said.txt"
    while True:
        length = said.stat().st_size if said.exists() else 0
        process, number = start(folder, flags), moments.choice(list(STOPS))
        wait_until(lambda length=length: said.exists() and said.stat().st_size > length, process)
        process.join(moments.uniform(0, 2) if stops < 8 else 120)
        if process.exitcode is not None or stops == 8:
            break
        signal_all(process, number)
        stops += 1
        assert finish(process) in (STOPS[number], 0)
        check_that_everything_loads(folder)
        if process.exitcode == 0:
            break
    assert process.exitcode == 0
    assert "metrics.json" in files(folder)
    assert "Traceback" not in said.read_text(), said.read_text()


class StopsWhenCollected:
    """Sends this process a signal from where Python drops every exception."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)
        time.sleep(0.01)  # the handler runs here


@pytest.mark.parametrize("number", STOPS)
@pytest.mark.parametrize(
    "place", ["exp.base.return_freed", "exp.base.Experiment.batch_loss", "exp.predict.closing_lines"]
)
def test_a_stop_within_the_garbage_collector_is_not_lost(
    place: str, number: signal.Signals, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    function, stops = resolve_name(place), [StopsWhenCollected(number)]

    def collecting(*arguments: Any) -> Any:
        stops.clear()
        return function(*arguments)

    monkeypatch.setattr(place, collecting)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)  # a stop replaces it
    assert run.main([*tiny(), "--do_predict"]) == STOPS[number]
    assert "Traceback" not in capsys.readouterr().err


def test_another_folder_can_be_gone_on_from_with_other_epochs(
    tiny: Tiny, workplace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flags = tiny(train_epochs=500, patience=500)
    stop_after_an_epoch(workplace, flags)
    (stopped,) = Path("checkpoints").iterdir()
    (record,) = succeed(tiny(train_epochs=6, patience=500, resume=stopped))
    assert "going on after epoch" in caplog.text
    records = succeed(tiny(train_epochs=6, patience=500, des="whole"))
    (whole,) = (other for other in records if other["run"]["setting"] != record["run"]["setting"])
    assert whole["run"]["training"]["epochs"] == record["run"]["training"]["epochs"]
    assert whole["scores"]["metrics"] == record["scores"]["metrics"]


def test_a_folder_that_does_not_fit_is_refused(tiny: Tiny, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stop_after_an_epoch(workplace, tiny(train_epochs=500, patience=500))
    (stopped,) = Path("checkpoints").iterdir()
    assert run.main(tiny(train_epochs=500, learning_rate=0.01, resume=stopped)) == 2
    assert "does not fit this run: learning_rate is 0.01 here and 0.0001 there" in capsys.readouterr().err
    assert run.main(tiny(resume="nowhere")) == 2
    assert "--resume nowhere: there is no resume.safetensors in this folder" in capsys.readouterr().err


def test_a_damaged_state_is_refused_with_the_way_out(
    tiny: Tiny, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = tiny(train_epochs=500, patience=500)
    stop_after_an_epoch(workplace, flags)
    files(workplace)["resume.safetensors"].write_bytes(b"damaged")
    assert run.main(flags) == 2
    said = capsys.readouterr().err
    assert "resume.safetensors is damaged" in said
    assert "--resume never begins the training anew" in said


def stop_in_epoch(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on trainings are stopped by hand in their epoch ``count``."""
    validate, calls = LongTermForecast.validate, []

    def stop(experiment: LongTermForecast) -> float:
        calls.append(experiment)
        if len(calls) == count:
            raise KeyboardInterrupt
        return validate(experiment)

    monkeypatch.setattr(LongTermForecast, "validate", stop)


@pytest.mark.parametrize("resume", ["never", "auto"])
def test_never_begins_anew_and_auto_goes_on(
    resume: str, tiny: Tiny, workplace: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    flags = tiny(train_epochs=4)
    with monkeypatch.context() as stopped:
        stop_in_epoch(3, stopped)
        assert run.main(flags) == 130
    (record,) = succeed([*flags, "--resume", resume])
    assert ("going on after epoch 2 of 4" in caplog.text) == (resume == "auto")
    whole = succeed(tiny(train_epochs=4, des="whole"))
    assert [other["run"]["training"]["epochs"] for other in whole] == [record["run"]["training"]["epochs"]] * 2


def test_fewer_epochs_than_are_finished_are_refused(
    tiny: Tiny, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as stopped:
        stop_in_epoch(4, stopped)
        assert run.main(tiny(train_epochs=9)) == 130
    (folder,) = Path("checkpoints").iterdir()
    assert run.main(tiny(train_epochs=2, resume=folder)) == 2
    assert "3 epochs are finished there, more than --train_epochs 2" in capsys.readouterr().err


def test_other_word_embeddings_than_before_begin_anew(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    words = tmp_path / "own.npy"
    np.save(words, np.random.default_rng(0).normal(size=(24, 10)))
    flags = tiny(train_epochs=3, word_embedding_path=words)
    with monkeypatch.context() as stopped:
        stop_in_epoch(2, stopped)
        assert run.main(flags) == 130
    np.save(words, np.random.default_rng(1).normal(size=(24, 10)))
    succeed(flags)
    assert "its word embeddings differs: beginning anew" in caplog.text


def test_of_two_runs_with_one_configuration_the_second_is_refused(
    tiny: Tiny, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = tiny(train_epochs=500, patience=500)
    first = start(workplace, flags)
    wait_until(lambda: list(workplace.glob("checkpoints/*/resume.safetensors")), first)
    assert run.main(flags) == 2
    assert f"process {first.pid} on " in (said := capsys.readouterr().err)
    assert "is at work on a run of this name; wait for it to end, or stop it" in said
    assert first.is_alive()
    kill(first)


def test_a_full_disk_ends_it_with_a_message_and_leaves_what_was_there(tiny: Tiny, workplace: Path) -> None:
    flags = tiny()
    succeed(flags)
    # The log is that of the newest epoch.
    there = [path for path in workplace.rglob("*") if path.is_file() and path.name != "log.csv"]
    contents = {path: path.read_bytes() for path in there}
    assert finish(start(workplace, [*flags, "--overwrite"], file_size=20_000)) == 2
    said = (workplace / "said.txt").read_text()
    assert re.search(r"error: checkpoints/.*/model.safetensors: .*File too large.*What was there before is whole", said)
    assert "Traceback" not in said
    assert {path: path.read_bytes() for path in contents} == contents
    assert sorted(set(files(workplace)) - {path.name for path in contents}) == ["log.csv", "said.txt"]


def test_a_killed_overwrite_is_not_taken_for_the_finished_training_before(
    tiny: Tiny, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = tiny(train_epochs=3)
    (first,) = succeed(flags)
    with monkeypatch.context() as stopped:
        stop_in_epoch(2, stopped)
        assert run.main([*flags, "--overwrite"]) == 130
    shutil.rmtree("results")
    (again,) = succeed(flags)
    assert (again["run"]["training"]["epochs"], again["scores"]["metrics"]) == (
        first["run"]["training"]["epochs"],
        first["scores"]["metrics"],
    )
