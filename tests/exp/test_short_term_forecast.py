"""M4 from its files to scores, forecasts and a picture."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import run
from exp.evaluation import Predictor
from exp.short_term_forecast import ShortTermForecast
from tests.helpers.commands import prepared, succeed, tiny_run, written
from tests.helpers.m4_files import write_m4
from utils.m4.scores import score, seasonal_scale

LENGTHS = {"Yearly": [13, 30, 22, 41], "Hourly": [700, 720], "Weekly": [80, 95, 110]}


@pytest.fixture
def m4(tmp_path: Path, tiny_gpt2: Path, tiny_words: Path, workplace: Path) -> list[str]:
    """Return the flags of a tiny run on the Yearly series of a small M4."""
    for pattern, lengths in LENGTHS.items():
        write_m4(tmp_path / "m4", pattern, lengths)
    flags = {"task_name": "short_term_forecast", "data": "m4", "data_path": None, "seq_len": None, "pred_len": None}
    losses = {"task_loss": "smape", "output_loss": "mase", "feature_loss": "smooth_l1", "m4_draws": 3}
    return tiny_run(
        tmp_path, tiny_gpt2, tiny_words, **flags, **losses, root_path=tmp_path / "m4", seasonal_patterns="Yearly"
    )


def table(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return header, [row[0] for row in rows], np.array([[float(cell) for cell in row[1:]] for row in rows])


class TestARun:
    @pytest.mark.pictures
    def test_leaves_scores_forecasts_and_a_picture(self, m4: list[str], workplace: Path) -> None:
        (record,) = succeed(m4)
        setting = record["run"]["setting"]
        assert set(written(workplace)) == {
            *(f"checkpoints/{setting}/{name}" for name in ("config.json", "model.safetensors", "training.json")),
            *(f"results/{setting}/{name}" for name in ("metrics.json", "log.csv", "loss.png", "run.yaml")),
            f"results/{setting}/Yearly_forecast.csv",
            f"test_results/{setting}/series.png",
            "m4_results/CALF/Yearly_forecast.csv",
            "results_short_term_forecast.txt",
        }
        sizes, data = record["model"]["config"], record["data"]
        assert (sizes["seq_len"], sizes["pred_len"], data["config"]["seasonal_patterns"]) == (12, 6, "Yearly")
        assert (data["selected_on"], data["naive2"]) == ("validation", "computed")

    def test_shuffled_windows_are_not_for_it(self, m4: list[str], caplog: pytest.LogCaptureFixture) -> None:
        (record,) = succeed([*m4, "--shuffle_input", "all"])
        assert "shuffle_input" not in record["data"]
        assert "no effect with --task_name short_term_forecast: --shuffle_input" in caplog.text

    def test_scores_the_forecasts_it_writes(self, m4: list[str], tmp_path: Path) -> None:
        (record,) = succeed(m4)
        header, ids, forecast = table(Path("m4_results/CALF/Yearly_forecast.csv"))
        assert header == ["id", "V1", "V2", "V3", "V4", "V5", "V6"]
        assert ids == ["Y1", "Y2", "Y3", "Y4"]
        series = write_m4(tmp_path / "m4", "Yearly", LENGTHS["Yearly"])
        truth = np.array([values[-6:] for values in series])
        training = [values[:-6] for values in series]
        offsets = np.cumsum([0, *map(len, training)])
        scale = seasonal_scale(np.concatenate(training), offsets, 1)
        last = np.repeat([[values[-1]] for values in training], 6, axis=1)
        reference = score(last, truth, scale)  # without a season Naive2 is the last value
        ours, reports = score(forecast, truth, scale, reference), record["scores"]["metrics"]
        for name in ("smape", "mase", "mape", "owa"):
            assert record["scores"][name] == pytest.approx(getattr(ours, name), rel=1e-6)
            assert record["scores"][name] == reports["CALF"][name]
        for name in ("naive", "seasonal_naive", "naive2"):
            assert reports[name]["smape"] == pytest.approx(reference.smape)
            assert reports[name]["owa"] == pytest.approx(1)

    def test_needs_no_test_values_to_train(
        self, m4: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (first,) = succeed([*m4, "--train_epochs", "2"])
        write_m4(tmp_path / "other", "Yearly", LENGTHS["Yearly"], seed=1)
        (tmp_path / "m4" / "Yearly-test.csv").write_text((tmp_path / "other" / "Yearly-test.csv").read_text())
        (second,) = succeed([*m4, "--train_epochs", "2"])
        assert "is trained; --overwrite repeats it" in caplog.text
        (third,) = succeed([*m4, "--train_epochs", "2", "--overwrite"])
        assert third["scores"]["smape"] == second["scores"]["smape"] != first["scores"]["smape"]
        assert third["run"]["best"] == first["run"]["best"]
        assert third["run"]["best"].keys() == {"epoch", "validation_smape"}
        assert third["run"]["training"]["epochs"] == first["run"]["training"]["epochs"]

    def test_the_released_protocol_says_everywhere_that_it_selects_on_test(
        self, m4: list[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        (record,) = succeed([*m4, "--m4_protocol", "release"])
        assert record["data"]["selected_on"] == "test"
        assert record["run"]["best"]["test_smape"] == pytest.approx(record["scores"]["smape"], rel=1e-4)
        assert "selected-on-test" in record["run"]["setting"]
        assert "selected on test" in Path("results_short_term_forecast.txt").read_text()
        lines = [line for line in caplog.text.splitlines() if "selected on test" in line]
        assert any("test sMAPE (selected on test)" in line for line in lines)
        assert any("M4, seed 2021, selected on test" in line for line in lines)
        assert sum("selected on test." in line for line in lines) == 2
        assert written(Path("m4_results")) == ["CALF_selected-on-test/Yearly_forecast.csv"]
        config = json.loads(Path("checkpoints", record["run"]["setting"], "config.json").read_text())
        assert config["data"]["selected_on"] == "test"
        training = json.loads(Path("checkpoints", record["run"]["setting"], "training.json").read_text())
        assert "test_smape" in training["epochs"][0]

    def test_tested_again_later_gives_the_same_figures(self, m4: list[str]) -> None:
        (trained,) = succeed(m4)
        Path("results", trained["run"]["setting"], "metrics.json").unlink()
        (again,) = succeed([*m4, "--is_training", "0"])
        assert again["scores"]["metrics"] == trained["scores"]["metrics"]
        Path("results", trained["run"]["setting"], "metrics.json").unlink()
        (loaded,) = succeed(["--is_training", "0", "--load", f"checkpoints/{trained['run']['setting']}"])
        assert loaded["scores"]["metrics"] == trained["scores"]["metrics"]

    def test_pools_the_patterns_that_have_been_run_and_names_the_others(
        self, m4: list[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        for pattern in ("Yearly", "Weekly"):
            succeed([*m4, "--seasonal_patterns", pattern])
        succeed([*m4, "--seasonal_patterns", "Yearly", "--seed", "5"])
        caplog.clear()
        records = succeed([*m4, "--seasonal_patterns", "Hourly"])
        own = {record["data"]["config"]["seasonal_patterns"]: record["scores"]["smape"] for record in records}
        smape = (3 * own["Weekly"] + 2 * own["Hourly"]) / 5
        others = next(line for line in caplog.text.splitlines() if "Others" in line)
        assert f"{smape:10.3f}" in others
        assert "without Daily: not run with this seed and backbone" in caplog.text
        assert "without Quarterly, Monthly, Daily: not run" in caplog.text

    @pytest.mark.parametrize("losses", [("l1", "l1"), ("mape", "smape")])
    def test_trains_with_every_kind_of_loss(self, m4: list[str], losses: tuple[str, str]) -> None:
        (record,) = succeed([*m4, "--task_loss", losses[0], "--output_loss", losses[1]])
        assert np.isfinite(record["scores"]["smape"])

    def test_official_naive2_forecasts_are_used_once_they_are_there(
        self, m4: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (before,) = succeed(m4)
        assert before["data"]["naive2"] == "computed"
        rows = [f"Y{i},1,1,1,1,1,1" for i in range(1, 5)]
        (tmp_path / "m4" / "submission-Naive2.csv").write_text("\n".join(["id,F1,F2,F3,F4,F5,F6", *rows]))
        (record,) = succeed(m4)
        assert "is trained; --overwrite repeats it" in caplog.text
        assert record["data"]["naive2"] == "official"
        assert record["scores"]["metrics"]["naive2"]["smape"] > record["scores"]["metrics"]["naive"]["smape"]

    def test_a_forecast_that_is_not_finite_stops_training_with_a_message(
        self, m4: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(ShortTermForecast, "_forecast_all", lambda self, before_end, name: np.full((4, 6), np.nan))
        assert run.main(m4) == 2
        assert "validation error is not finite in epoch 1" in capsys.readouterr().err

    def test_dry_run_writes_nothing(self, m4: list[str], workplace: Path, caplog: pytest.LogCaptureFixture) -> None:
        assert run.main([*m4, "--dry_run"]) == 0
        assert "4 series of 13 to 41 values" in caplog.text
        assert "1 training batches, 3 sample(s) of each series" in caplog.text
        assert written(workplace) == []


class TestHoldout:
    """No training sample sees the last horizon of a training series; the choice of the epoch is made on it."""

    def experiment(self, flags: list[str]) -> ShortTermForecast:
        return prepared(flags, ShortTermForecast)

    def rewrite(self, path: Path, change: Callable[[int, int, float], float]) -> None:
        """Change every value by its series, its place from the end of it (-1 is the last), and itself."""
        header, *rows = path.read_text().splitlines()
        for i, row in enumerate(rows):
            name, *cells = row.rstrip(",").replace('"', "").split(",")
            changed = (change(i, at - len(cells), float(cell)) for at, cell in enumerate(cells))
            rows[i] = ",".join([name, *(f"{value:g}" for value in changed)])
        path.write_text("\n".join([header, *rows]))

    def test_what_is_held_out_changes_no_training_sample(self, m4: list[str], tmp_path: Path) -> None:
        before = list(self.experiment(m4).train_loader)
        train = tmp_path / "m4" / "Yearly-train.csv"
        self.rewrite(train, lambda _, place, value: 7e5 if place >= -6 else value)
        after = list(self.experiment(m4).train_loader)
        for one, other in zip(before, after, strict=True):
            assert all(torch.equal(getattr(one, part), getattr(other, part)) for part in ("x", "y", "mask"))
        self.rewrite(train, lambda _, place, value: 7e5 if place == -7 else value)
        seen = torch.cat([torch.cat([batch.x, batch.y], dim=1) for batch in self.experiment(m4).train_loader])
        assert (seen == 7e5).any()

    def test_validation_scores_forecasts_of_what_is_held_out(
        self, m4: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.rewrite(tmp_path / "m4" / "Yearly-train.csv", lambda i, place, _: 1000 * (i + 1) + place)
        experiment = self.experiment(m4)
        asked = []

        def one_more_each_step(_: Predictor, x: torch.Tensor) -> torch.Tensor:
            asked.append(x)
            return x[:, -1:] + torch.arange(1, 7)[:, None]

        monkeypatch.setattr(Predictor, "forecast", one_more_each_step)
        assert experiment.validate() == 0
        assert torch.cat(asked)[:, -1, 0].tolist() == [993, 1993, 2993, 3993]

    def test_every_sample_of_an_epoch_is_trained_on(self, m4: list[str]) -> None:
        batches = list(self.experiment([*m4, "--batch_size", "5"]).train_loader)
        assert [len(batch.x) for batch in batches] == [5, 5, 2]


class TestWrongInput:
    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (["--seasonal_patterns", "Monthly"], "Monthly-train.csv does not exist"),
            (["--seasonal_patterns", "Secondly"], "--seasonal_patterns Secondly: choose one of Yearly, "),
            (["--m4_protocol", "mine"], "--m4_protocol mine: choose one of holdout, release."),
            (["--zero_shot", "1", "--target_data", "ETTh1"], "--zero_shot 1 does not go with --task_name short_term"),
            (["--m4_draws", "10000"], "--m4_draws 10000: 40,000 samples an epoch, more than 30,000"),
            (["--model", "iTransformer", "--marks", "1"], "--marks 1: the series of M4 have no dates"),
            (["--data", "sample"], "--task_name short_term_forecast does not go with --data sample"),
            (["--task_name", "long_term_forecast"], "--task_name long_term_forecast does not go with --data m4"),
        ],
    )
    def test_ends_with_one_message(
        self,
        m4: list[str],
        workplace: Path,
        flags: list[str],
        message: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr("exp.short_term_forecast.MOST_SAMPLES", 30_000)
        if "long_term_forecast" in flags:
            flags = [*flags, "--task_loss", "l1", "--output_loss", "l1"]
        assert run.main([*m4, *flags]) == 2
        assert message in capsys.readouterr().err
        assert written(workplace) == []

    def test_a_checkpoint_is_not_tested_under_flags_that_contradict_it(
        self, m4: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        (record,) = succeed(m4)
        load = ["--is_training", "0", "--load", f"checkpoints/{record['run']['setting']}"]
        for flags, message in (
            (["--m4_protocol", "release"], "--m4_protocol is release here and holdout in"),
            (["--m4_draws", "9"], "--m4_draws is 9 here and 3 in"),
            (["--seasonal_patterns", "Hourly"], "--seasonal_patterns is Hourly here and Yearly in"),
            (["--data", "ETTh1"], "--data is ETTh1 here and m4 in"),
        ):
            assert run.main([*load, *flags]) == 2
            assert message in capsys.readouterr().err


def test_a_record_is_plain_json(m4: list[str]) -> None:
    (record,) = succeed(m4)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
