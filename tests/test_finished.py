"""A command given again: what is finished is not repeated, what was trained is only tested."""

from pathlib import Path

import pytest

import run
from exp.config import RunConfig
from exp.flags import parse
from exp.long_term_forecast import LongTermForecast
from tests.conftest import Tiny, WriteCsv, hourly_table
from tests.helpers.commands import succeed


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
    caplog.clear()
    (second,) = succeed(tiny())
    assert second == first
    assert len(training) == 1
    assert caplog.messages == [
        f"{first['run']['setting']} is finished; --overwrite repeats it",
        f"  CALF on custom, 24 -> 8, seed 2021: mse:{first['scores']['mse']:.4f}, mae:{first['scores']['mae']:.4f} "
        f"(results/{first['run']['setting']}/metrics.json)",
    ]


def test_overwrite_repeats_it(tiny: Tiny, training: list[str]) -> None:
    (first,) = succeed(tiny())
    (second,) = succeed([*tiny(), "--overwrite"])
    assert len(training) == 2
    assert second["scores"]["metrics"] == first["scores"]["metrics"]


def test_overwrite_begins_anew_where_a_kill_left_the_state_of_a_training_that_had_ended(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr("exp.training.clear_state", lambda folder: None)
        (first,) = succeed(tiny(train_epochs=2))
    caplog.clear()
    (second,) = succeed([*tiny(train_epochs=2), "--overwrite"])
    assert not [message for message in caplog.messages if "going on after" in message]
    assert len([message for message in caplog.messages if message.startswith("epoch ")]) == 2
    assert second["scores"] == first["scores"]


def test_what_another_run_has_trained_meanwhile_is_not_trained_again(tiny: Tiny, training: list[str]) -> None:
    experiment = LongTermForecast(RunConfig.from_flags(parse(tiny())))
    (first,) = succeed(tiny())
    (again,) = experiment.train_and_test()
    assert len(training) == 1
    assert again["scores"] == first["scores"]


def test_another_configuration_is_another_run(tiny: Tiny, training: list[str]) -> None:
    succeed(tiny())
    succeed(tiny(learning_rate=0.001))
    assert len(training) == 2


def test_a_file_with_other_contents_is_trained_on_anew(
    tiny: Tiny, training: list[str], write_csv: WriteCsv, caplog: pytest.LogCaptureFixture
) -> None:
    (first,) = succeed(tiny())
    write_csv(hourly_table(seed=8))
    (second,) = succeed(tiny())
    assert len(training) == 2
    assert second["scores"]["mse"] != first["scores"]["mse"]
    assert f"the data of {first['run']['setting']} have changed since its last test" in caplog.messages


def test_a_run_that_was_trained_but_not_tested_is_only_tested(
    tiny: Tiny, training: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    (first,) = succeed(tiny())
    Path("results", first["run"]["setting"], "metrics.json").unlink()
    (second,) = succeed(tiny())
    assert second["scores"]["metrics"] == first["scores"]["metrics"]
    assert len(training) == 1
    assert f"{first['run']['setting']} is trained; --overwrite repeats it" in caplog.messages


def test_a_run_killed_between_its_text_and_its_record_leaves_its_text_once(tiny: Tiny) -> None:
    (first,) = succeed(tiny())
    text = Path("results_long_term_forecast.txt").read_text()
    Path("results", first["run"]["setting"], "metrics.json").unlink()
    succeed(tiny())
    assert Path("results_long_term_forecast.txt").read_text() == text
    assert text.count(first["run"]["setting"]) == 1


def test_a_repetition_stopped_before_its_first_epoch_leaves_the_training_before_it(
    tiny: Tiny, training: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = succeed(tiny())
    with monkeypatch.context() as broken:
        broken.setattr("exp.long_term_forecast.LongTermForecast.validate", lambda self: (_ for _ in ()).throw(OSError))
        assert run.main([*tiny(), "--overwrite"]) == 2
    Path("results", first["run"]["setting"], "metrics.json").unlink()
    (second,) = succeed(tiny())
    assert second["scores"]["metrics"] == first["scores"]["metrics"]
    assert len(training) == 2


@pytest.mark.parametrize("content", ["", "[]", '{"config": 1}'])
def test_a_damaged_record_does_not_count_as_finished(tiny: Tiny, content: str) -> None:
    (first,) = succeed(tiny())
    Path("results", first["run"]["setting"], "metrics.json").write_text(content)
    (second,) = succeed(tiny())
    assert second["scores"]["metrics"] == first["scores"]["metrics"]


def test_of_several_seeds_only_the_missing_are_run(tiny: Tiny, training: list[str]) -> None:
    succeed(tiny(seed=2022))
    records = succeed(tiny(itr=3))
    assert [record["run"]["seed"] for record in records] == [2021, 2022, 2023]
    assert len(training) == 3


def test_a_dry_run_describes_a_finished_run_as_any_other(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    succeed(tiny())
    caplog.clear()
    assert run.main([*tiny(), "--dry_run"]) == 0
    assert "windows of 24 -> 8" in caplog.text


def test_a_test_on_changed_data_is_no_finished_run_of_these_data(
    tiny: Tiny, training: list[str], write_csv: WriteCsv, caplog: pytest.LogCaptureFixture
) -> None:
    (trained,) = succeed(tiny())
    write_csv(hourly_table(seed=8))
    (tested,) = succeed(tiny(is_training=0))
    assert tested["scores"]["mse"] != trained["scores"]["mse"]
    assert "note: the data are not those that" in caplog.text
    (again,) = succeed(tiny())
    assert f"the data of {trained['run']['setting']} have changed since it was trained" in caplog.messages
    assert len(training) == 2
    assert again["scores"]["mse"] not in (trained["scores"]["mse"], tested["scores"]["mse"])


def test_a_checkpoint_tested_on_another_file_leaves_the_run_of_that_file_alone(
    tiny: Tiny, write_csv: WriteCsv, caplog: pytest.LogCaptureFixture
) -> None:
    other = write_csv(hourly_table(seed=8), name="other.csv")
    (one,) = succeed(tiny())
    records = succeed(tiny(data_path=other))
    two = next(record for record in records if record["run"]["setting"] != one["run"]["setting"])
    caplog.clear()
    load = ["--is_training", "0", "--load", f"checkpoints/{one['run']['setting']}", "--data_path", str(other)]
    records = succeed(load)
    assert one in records
    assert two in records
    (tested,) = (record for record in records if record not in (one, two))
    assert tested["run"]["setting"].startswith(f"{one['run']['setting']}_on_other_")
    assert tested["data"]["target_data"].startswith("other_")
    assert tested["run"]["config"] == one["run"]["config"]
    assert tested["data"]["digest"] == two["data"]["digest"]
    assert "note: the data are not those that" in caplog.text
