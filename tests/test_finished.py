"""A command given again: what is finished is not repeated, what was trained is only tested."""

from pathlib import Path

import pytest

import run
from tests.commands import succeed
from tests.conftest import Tiny, WriteCsv, hourly_table


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each time that a network was trained."""
    from exp.base import Experiment

    fit, calls = Experiment.fit, []

    def recorded(experiment: Experiment) -> None:
        calls.append(experiment.config.setting)
        fit(experiment)

    monkeypatch.setattr(Experiment, "fit", recorded)
    return calls


def test_a_finished_run_is_not_repeated_and_shows_its_figures(
    tiny: Tiny, training: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    (first,) = succeed(tiny())
    figures = [line for line in caplog.messages if "all" in line]
    caplog.clear()
    (second,) = succeed(tiny())
    assert second == first
    assert len(training) == 1
    assert f"{first['setting']} is finished; --overwrite repeats it" in caplog.messages
    assert f"figures: results/{first['setting']}/metrics.json" in caplog.messages
    assert [line for line in caplog.messages if "all" in line] == figures


def test_overwrite_repeats_it(tiny: Tiny, training: list[str]) -> None:
    (first,) = succeed(tiny())
    (second,) = succeed([*tiny(), "--overwrite"])
    assert len(training) == 2
    assert second["metrics"] == first["metrics"]


def test_another_configuration_is_another_run(tiny: Tiny, training: list[str]) -> None:
    succeed(tiny())
    succeed(tiny(learning_rate=0.001))
    assert len(training) == 2


def test_a_file_with_other_contents_is_trained_on_anew(tiny: Tiny, training: list[str], write_csv: WriteCsv) -> None:
    (first,) = succeed(tiny())
    write_csv(hourly_table(seed=8))
    (second,) = succeed(tiny())
    assert len(training) == 2
    assert second["mse"] != first["mse"]


def test_a_run_that_was_trained_but_not_tested_is_only_tested(
    tiny: Tiny, training: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    (first,) = succeed(tiny())
    Path("results", first["setting"], "metrics.json").unlink()
    (second,) = succeed(tiny())
    assert second["metrics"] == first["metrics"]
    assert len(training) == 1
    assert f"{first['setting']} is trained; --overwrite repeats it" in caplog.messages


def test_a_run_stopped_in_training_is_trained_again(
    tiny: Tiny, training: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = succeed(tiny())
    with monkeypatch.context() as broken:
        broken.setattr("exp.long_term_forecast.LongTermForecast.validate", lambda self: (_ for _ in ()).throw(OSError))
        assert run.main([*tiny(), "--overwrite"]) == 2
    Path("results", first["setting"], "metrics.json").unlink()
    (second,) = succeed(tiny())
    assert second["metrics"] == first["metrics"]
    assert len(training) == 3


@pytest.mark.parametrize("content", ["", "[]", '{"config": 1}'])
def test_a_damaged_record_does_not_count_as_finished(tiny: Tiny, content: str) -> None:
    (first,) = succeed(tiny())
    Path("results", first["setting"], "metrics.json").write_text(content)
    (second,) = succeed(tiny())
    assert second["metrics"] == first["metrics"]


def test_of_several_seeds_only_the_missing_are_run(tiny: Tiny, training: list[str]) -> None:
    succeed(tiny(seed=2022))
    records = succeed(tiny(itr=3))
    assert [record["seed"] for record in records] == [2021, 2022, 2023]
    assert len(training) == 3


def test_a_dry_run_describes_a_finished_run_as_any_other(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    succeed(tiny())
    caplog.clear()
    assert run.main([*tiny(), "--dry_run"]) == 0
    assert "windows of 24 -> 8" in caplog.text
