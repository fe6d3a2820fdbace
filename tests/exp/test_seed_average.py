"""``--itr N --seed_average``: the mean of the forecasts of several seeds, as one forecaster in one checkpoint."""

from pathlib import Path

import numpy as np
import pytest
import torch

import models
import run
from exp.forecaster import Forecaster
from models.members import SeedAverage
from tests.conftest import Tiny, hourly_table
from tests.helpers.commands import refused, succeed
from utils.tables.records import cell_of, read_records

AVERAGED = {"itr": 2, "seed_average": 1, "log": "none"}


def averaged() -> Path:
    """Return the checkpoint of the average in the working directory."""
    (folder,) = Path("checkpoints").glob("*averaged*")
    return folder


@pytest.mark.parametrize("model", ["CALF", "DLinear"])
def test_the_average_forecasts_the_mean_of_its_seeds(tiny: Tiny, model: str) -> None:
    alone = [record for record in succeed(tiny(model=model, **AVERAGED)) if not record["run"]["config"]["averaged"]]
    average = models.load(averaged())
    members = [models.load(Path("checkpoints", record["run"]["setting"])) for record in alone]
    x = torch.randn(5, 24, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(average(x).forecast, sum(member(x).forecast for member in members) / 2)
    assert isinstance(average, SeedAverage) and average.origin["seeds_averaged"] == [2021, 2022]


def test_the_average_is_scored_beside_its_seeds_with_the_cost_of_all(
    tiny: Tiny, caplog: pytest.LogCaptureFixture
) -> None:
    records = succeed(tiny(model="DLinear", **AVERAGED))
    (own,) = [record for record in records if record["run"]["config"]["averaged"]]
    alone = [record for record in records if record is not own]
    assert own["run"]["training"]["seconds"] == sum(record["run"]["training"]["seconds"] for record in alone)
    assert own["model"]["parameters"]["total"] == 2 * alone[0]["model"]["parameters"]["total"]
    assert own["scores"]["mse"] < np.mean([record["scores"]["mse"] for record in alone])  # the square is convex
    assert "mean ± std over seeds 2021, 2022" in caplog.text


def test_the_tables_never_show_an_average_as_a_run_of_one_seed(tiny: Tiny) -> None:
    succeed(tiny(model="DLinear", **AVERAGED))
    networks = [cell_of(record)[0].network for record in read_records(Path("results"))[0]]
    assert sorted(networks) == ["DLinear", "DLinear", "DLinear, --seed_average 2"]


def test_the_average_forecasts_the_future_with_seeds_trained_on_all_rows(tiny: Tiny) -> None:
    succeed(tiny(model="DLinear", **AVERAGED, do_predict=1, refit=1))
    forecaster = Forecaster.load(averaged())
    assert forecaster.model.stored.folder.name == "refit"
    seeds = [Forecaster.load(folder) for folder in Path("checkpoints").glob("*seed202[12]_*")]
    own, *theirs = (one.predict(hourly_table())["forecast"].to_numpy() for one in (forecaster, *seeds))
    np.testing.assert_allclose(own, np.mean(theirs, axis=0), rtol=1e-5)


def test_the_flags_left_beside_the_figures_repeat_the_average(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    first = succeed(tiny(model="DLinear", **AVERAGED))
    (file,) = Path("results").glob("*averaged*/run.yaml")
    monkeypatch.setattr("exp.base.Experiment.test", lambda self: pytest.fail("it tests again"))
    assert succeed(["--config", str(file)]) == first


def test_a_checkpoint_of_an_average_is_tested_without_its_seeds(tiny: Tiny) -> None:
    succeed(tiny(model="DLinear", **AVERAGED))
    folder = averaged().rename("moved")
    for record in Path("results").glob("*averaged*/metrics.json"):
        record.unlink()
    assert run.main(["--is_training", "0", "--load", str(folder), "--log", "none"]) == 0
    assert len(list(Path("results").glob("*averaged*/metrics.json"))) == 1


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ({"itr": 1}, "not for --itr 1"),
        ({"model": "Naive"}, "not for --model Naive"),
        ({"model": "auto"}, "not for --model auto"),
        ({"seq_len": "search"}, "choose one of the two"),
    ],
)
def test_what_cannot_be_averaged_is_refused(
    flags: dict[str, object], reason: str, tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reason in refused(tiny(**{"model": "DLinear", **AVERAGED} | flags), capsys)
