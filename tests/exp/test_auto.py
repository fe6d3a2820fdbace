"""Choosing among forecasters: ties, columns, averages, limits, and what a run leaves."""

import json
import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import models
import run
from exp.choice import Candidate, Span, Trial, by_date, choose, compared, pick
from exp.forecaster import Forecaster
from models.base import Output
from models.combination import auto
from models.naive import Naive, SeasonalNaive
from tests.conftest import WriteCsv
from tests.helpers.commands import refused, succeed

Flags = Callable[..., list[str]]


def two_kinds(rows: int = 400) -> pd.DataFrame:
    """A column that repeats each week, and one that goes on with its last value."""
    random = np.random.default_rng(0)
    days = np.arange(rows)
    weekly = 100 + 30 * np.sin(2 * np.pi * days / 7) + random.normal(0, 1, rows)
    walk = 50 + np.cumsum(random.normal(0, 1, rows))
    dates = pd.date_range("2022-01-01", periods=rows)
    return pd.DataFrame({"date": dates, "walk": walk, "weekly": weekly})


@pytest.fixture
def flags(write_csv: WriteCsv, workplace: Path) -> Flags:
    """Flags of a short run on the two columns."""

    def build(model: str = "auto", table: pd.DataFrame | None = None, **more: object) -> list[str]:
        values = {
            "model": model, "data_path": write_csv(two_kinds() if table is None else table, "two.csv"),
            "seq_len": 14, "pred_len": 7, "candidates": "Naive,SeasonalNaive,DLinear", "train_epochs": 1,
            "device": "cpu", "log": "none", "llm": "gpt2-tiny", "llm_init": "random", **more,
        }  # fmt: skip
        return [part for flag, value in values.items() if value is not None for part in (f"--{flag}", str(value))]

    return build


def chosen_in(record: dict) -> pd.DataFrame:
    """The table of candidates of a run."""
    return pd.read_csv(Path("results") / record["run"]["setting"] / "candidates.csv", index_col="candidate")


def test_the_best_on_the_target_is_chosen_and_forecasts(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        (record,) = succeed(flags())
    table = chosen_in(record)
    assert table["chosen for weekly"].idxmax() == "SeasonalNaive" == table["validation_mae"].idxmin()
    simple = record["scores"]["metrics"]["seasonal_naive"]["standardised"]
    assert record["scores"]["mse"] == pytest.approx(simple["mse"], rel=1e-6)
    assert "SeasonalNaive" in caplog.text and "<- chosen" in caplog.text
    forecast = pd.read_csv(Path("results") / record["run"]["setting"] / "forecast.csv")
    last = two_kinds()["weekly"].to_numpy()[-7:]
    np.testing.assert_allclose(forecast[forecast["column"] == "weekly"]["forecast"], last, rtol=1e-5)
    assert "model" not in forecast


def test_where_none_are_named_all_that_fit_are_tried(flags: Flags) -> None:
    (record,) = succeed(flags(candidates=None, table=two_kinds(150), gpt_layers=1, refit=0, do_predict=0))
    statistical = ["AutoTheta", "AutoETS", "MSTL"] if find_spec("statsforecast") else []
    found = [name for name in chosen_in(record).index if not name.startswith("SeasonalNaive-")]
    assert found == ["Naive", "SeasonalNaive", *statistical, "DLinear", "iTransformer", "CALF", "ensemble"]


def test_each_column_can_have_a_model_of_its_own(flags: Flags) -> None:
    (record,) = succeed(flags(auto_per="column", candidates="Naive,SeasonalNaive"))
    forecast = pd.read_csv(Path("results") / record["run"]["setting"] / "forecast.csv")
    named = forecast.groupby("column")["model"].unique()
    assert list(named["weekly"]) == ["SeasonalNaive"]
    assert list(named["walk"]) in (["Naive"], ["Naive + SeasonalNaive"])
    last = two_kinds()["weekly"].to_numpy()[-7:]
    np.testing.assert_allclose(forecast[forecast["column"] == "weekly"]["forecast"], last, rtol=1e-5)


def test_an_ensemble_is_the_median_of_the_best(flags: Flags) -> None:
    (record,) = succeed(flags("ensemble", candidates="Naive,SeasonalNaive", refit=0))
    folder = Path("checkpoints") / record["run"]["setting"]
    model = models.load(folder)
    assert [member["label"] for member in model.origin["members"]] == ["Naive", "SeasonalNaive"]
    forecast = Forecaster.load(folder).predict(two_kinds()).query("column == 'weekly'")["forecast"]
    values = two_kinds()["weekly"].to_numpy()
    np.testing.assert_allclose(forecast, (values[-7:] + values[-1]) / 2, rtol=1e-5)
    written = pd.read_csv(Path("results") / record["run"]["setting"] / "forecast.csv")
    assert (written["model"] == "Naive + SeasonalNaive").all()


def test_all_plausible_seasons_are_tried(flags: Flags) -> None:
    hours = np.arange(1200)
    random = np.random.default_rng(0)
    values = 10 * (hours % 168 >= 120) + np.sin(2 * np.pi * hours / 24) + random.normal(0, 0.1, 1200)
    table = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=1200, freq="h"), "load": values})
    (record,) = succeed(flags(table=table, seq_len=24, pred_len=24, candidates="Naive,SeasonalNaive"))
    found = chosen_in(record)
    assert list(found.index) == ["Naive", "SeasonalNaive", "SeasonalNaive-168", "ensemble"]
    assert found["chosen for load"].idxmax() == "SeasonalNaive-168"


def test_what_was_chosen_is_loaded_in_full(flags: Flags) -> None:
    (record,) = succeed(flags("ensemble", refit=0))
    folder = Path("checkpoints") / record["run"]["setting"]
    written = pd.read_csv(Path("results") / record["run"]["setting"] / "forecast.csv")
    again = Forecaster.load(folder).predict(two_kinds())
    np.testing.assert_allclose(again["forecast"], written["forecast"], rtol=1e-6)


def test_a_refit_trains_the_members_on_all_rows(flags: Flags) -> None:
    (record,) = succeed(flags("ensemble"))
    folder = Path("checkpoints") / record["run"]["setting"]
    tested, refit = (models.load(one) for one in (folder, folder / "refit"))
    labels = [member["label"] for member in tested.origin["members"]]
    assert labels == [member["label"] for member in refit.origin["members"]] and "DLinear" in labels
    place = labels.index("DLinear")
    assert not (tested.members[place].trend.weight == refit.members[place].trend.weight).all()


def test_a_finished_choice_is_not_made_again(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    succeed(flags())
    caplog.clear()
    with caplog.at_level(logging.INFO):
        succeed(flags())
    assert "is finished" in caplog.text and "candidate:" not in caplog.text


def test_a_choice_that_was_stopped_keeps_the_candidates_that_are_trained(
    flags: Flags, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as replaced:
        replaced.setattr("exp.auto.Choosing._choose", stop)
        assert run.main(flags()) == 130
    caplog.clear()
    with caplog.at_level(logging.INFO):
        succeed(flags())
    assert "epoch 1/1" not in caplog.text.split("refit:")[0]


def test_a_choice_that_is_repeated_trains_its_candidates_anew(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    succeed(flags(refit=0))
    caplog.clear()
    with caplog.at_level(logging.INFO):
        succeed([*flags(refit=0), "--overwrite"])
    assert "epoch 1/1" in caplog.text


def test_candidates_go_on_from_those_of_an_earlier_choice(flags: Flags) -> None:
    (first,) = succeed(flags("ensemble", train_epochs=3, learning_rate=0.01, refit=0))
    folder = Path("checkpoints") / first["run"]["setting"]
    records = succeed(flags("ensemble", learning_rate=1e-9, init_from=folder, refit=0))
    (second,) = [record for record in records if record["run"]["setting"] != first["run"]["setting"]]
    start, again = (models.load(Path("checkpoints") / one["run"]["setting"]) for one in (first, second))
    weights = [model.members[model.labels[0].split(" + ").index("DLinear")].trend.weight for model in (start, again)]
    np.testing.assert_allclose(*(weight.detach() for weight in weights), atol=1e-6)


def test_a_choice_does_not_go_on_from_a_single_model(flags: Flags, capsys: pytest.CaptureFixture[str]) -> None:
    (record,) = succeed(flags("DLinear", candidates=None, llm=None, llm_init=None, refit=0))
    folder = Path("checkpoints") / record["run"]["setting"]
    assert "holds a model DLinear, and this run chooses among several" in refused(flags(init_from=folder), capsys)


def test_what_has_nothing_to_train_is_not_refit_and_says_so(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        (record,) = succeed(flags(candidates="Naive,SeasonalNaive"))
    assert chosen_in(record)["chosen for weekly"].idxmax() == "SeasonalNaive"
    assert "The model has nothing to train." in caplog.text
    assert not (Path("checkpoints") / record["run"]["setting"] / "refit").exists()


def test_a_time_limit_ends_the_training_of_candidates_and_is_no_part_of_their_name(
    flags: Flags, caplog: pytest.LogCaptureFixture
) -> None:
    argv = flags(time_limit="3s", train_epochs=100_000, patience=100_000, candidates="SeasonalNaive,DLinear")
    with caplog.at_level(logging.INFO):
        (record,) = succeed([*argv, "--do_predict", "0"])
    assert "the time of --time_limit has passed" in caplog.text
    folder = Path("checkpoints") / record["run"]["setting"] / "candidates" / "DLinear"
    assert json.loads((folder / "config.json").read_text())["run"]["config"]["time_limit"] is None


def test_columns_known_in_advance_reach_those_that_can_read_them(flags: Flags) -> None:
    table = two_kinds()
    table["promo"] = np.random.default_rng(0).integers(0, 2, len(table))  # nothing but itself foretells it
    table["weekly"] += 40 * table["promo"]
    later = pd.DataFrame({"date": pd.date_range("2023-02-05", periods=7), "promo": [1, 0, 0, 0, 0, 1, 0]})
    (record,) = succeed(
        flags(
            table=pd.concat([table, later]), future_cols="promo", candidates="SeasonalNaive,DLinear,iTransformer",
            train_epochs=8, learning_rate=0.002,
        )
    )  # fmt: skip
    found = chosen_in(record)["validation_mae"]
    assert found["iTransformer"] < 0.5 * found["DLinear"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"candidates": "Naive,Prophet"}, "--candidates Prophet: no such model"),
        ({"candidates": "auto"}, "--candidates auto: no such model"),
        ({"candidates": "SeasonalNaive", "season": 1}, "--candidates SeasonalNaive: none of them suits the data"),
        ({"data": "ETTh1,ETTh2", "data_path": None}, "--model auto chooses for one file"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(
    flags: Flags, capsys: pytest.CaptureFixture[str], more: dict[str, object], message: str
) -> None:
    assert run.main(flags(**more)) == 2
    assert message in capsys.readouterr().err


def test_a_damaged_member_is_refused_by_name(flags: Flags, capsys: pytest.CaptureFixture[str]) -> None:
    (record,) = succeed(flags(refit=0))
    folder = Path("checkpoints") / record["run"]["setting"]
    (folder / "members" / "0" / "config.json").write_text("{")
    assert "members/0/config.json is damaged" in refused(
        ["--is_training", "0", "--do_predict", "--load", str(folder), "--device", "cpu"], capsys
    )
    content = json.loads((folder / "config.json").read_text())
    content["model"]["origin"]["members"] = []
    (folder / "config.json").write_text(json.dumps(content))
    assert "it does not name its members" in refused(
        ["--is_training", "0", "--do_predict", "--load", str(folder), "--device", "cpu"], capsys
    )


# --- the rule ---


def test_the_simpler_one_wins_a_tie_and_only_a_tie() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(0, 0.3, size=(3, 40))
    simple, better, best = 1.01 + noise[0], 1.0 + noise[1], 0.5 + noise[2]
    assert pick(np.stack([simple, better]), overlap=1) == 0
    assert pick(np.stack([simple, better, best]), overlap=1) == 2
    certain = np.full(40, 1.0)
    assert pick(np.stack([certain + 0.01, certain]), overlap=1) == 1  # small, but without any doubt
    assert pick(np.stack([certain * 2 + noise[0] * 9, certain]), overlap=40) == 1  # in doubt, but large


@pytest.mark.parametrize(
    ("network", "chosen"), [(1.1, "ensemble"), (1.0, "ensemble"), (0.97, "ensemble"), (0.7, "network")]
)
def test_a_network_alone_has_to_be_better_than_the_ensemble_beyond_doubt(network: float, chosen: str) -> None:
    random = np.random.default_rng(0)
    errors = np.array([2.0, network, 1.0])[:, None, None] + random.normal(0, 0.3, size=(3, 40, 1))
    kinds = (Naive, models.find_model("DLinear"))
    tried = [kind.build(kind.Config(4, 2, 1)) for kind in kinds]
    trials = [Trial(Candidate("any"), *one, seconds=0.0) for one in zip(tried, errors, errors, strict=False)]
    assert ("naive", "network", "ensemble")[choose(trials, errors, 0, Span(400, 2), None)] == chosen


def test_windows_that_overlap_count_less() -> None:
    errors = np.random.default_rng(0).normal(size=(2, 64))
    alone, shared = (compared(*errors, overlap)[1] for overlap in (1, 16))
    assert shared == pytest.approx(4 * alone)


def test_series_that_share_a_date_count_once() -> None:
    errors = np.array([[1.0], [3.0], [np.nan], [5.0], [np.nan]])
    np.testing.assert_array_equal(by_date(errors, np.array([7, 7, 7, 4, 9])), [[5.0], [2.0], [np.nan]])


def test_a_span_tells_its_horizons_and_how_far_its_dates_overlap() -> None:
    span = Span.of(np.array([10, 14, 12]), pred_len=8)
    assert span == Span(5, 8)
    assert span.horizons == 12 / 8
    assert span.overlap(5) == 8 and span.overlap(1) == 8 / 5 and Span(80, 8).overlap(4) == 1


def test_where_validation_is_too_short_to_choose_by_all_take_part(
    flags: Flags, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        (record,) = succeed(flags(table=two_kinds(100), pred_len=12, refit=0))
    assert "validation spans 1.8 horizons, too few to tell the best by" in caplog.text
    members = models.load(Path("checkpoints") / record["run"]["setting"]).origin["members"]
    assert [member["label"] for member in members] == ["SeasonalNaive", "DLinear"]


def test_stores_of_one_chain_are_compared_by_date_and_no_date_is_left_out(flags: Flags) -> None:
    table = pd.concat([two_kinds(120).drop(columns="walk").assign(store=name) for name in ("north", "south", "east")])
    (record,) = succeed(flags(table=table, refit=0))
    assert chosen_in(record)["chosen for weekly"].idxmax() == "ensemble"  # six dates of seven days


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_combination_takes_the_median_of_those_that_are_used(count: int) -> None:
    class Constant(Naive):
        def __init__(self, value: float) -> None:
            super().__init__(Naive.Config(4, 2, 2))
            self.value = value

        def forward(self, x: Tensor) -> Output:
            return Output(torch.full((len(x), 2, 2), self.value))

    values = [5.0, -3.0, 9.0, 1.0][:count]
    used = torch.ones(count, 2)
    used[0, 1] = 1.0 if count == 1 else 0.0
    model = auto(auto.Config(4, 2, 2), [Constant(value) for value in values], used)
    forecast = model(torch.zeros(3, 4, 2)).forecast
    assert (forecast[..., 0] == np.median(values)).all()
    assert (forecast[..., 1] == np.median(values[1:] or values)).all()


def test_two_names_of_one_method_are_one_in_an_ensemble(flags: Flags, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.MODELS", {**models.MODELS, "Twin": "tests.exp.test_auto:Twin"})
    (record,) = succeed(flags("ensemble", candidates="SeasonalNaive,Twin,Naive,DLinear", refit=0))
    members = models.load(Path("checkpoints") / record["run"]["setting"]).origin["members"]
    assert [member["label"] for member in members] == ["Naive", "SeasonalNaive", "DLinear"]
    assert issubclass(Twin, SeasonalNaive)


class Twin(SeasonalNaive):
    """Another name of a method."""

    Config = SeasonalNaive.Config
