"""Trained on several series, tested on each of them and on others."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import models
import run
from exp.forecaster import Forecaster
from exp.mixed_forecast import MixedForecast
from models import MODELS, find_config, find_model
from tests.conftest import Tiny, WriteCsv, hourly_table
from tests.helpers.commands import prepared, refused, small, written
from utils.errors import UserError


@pytest.fixture
def files(write_csv: WriteCsv) -> tuple[Path, Path]:
    """An hourly series of three channels, and one of two in other units, a row every 15 minutes."""
    table = hourly_table(rows=300, channels=2, seed=7)
    table["date"] = table["date"].iloc[0] + (table["date"] - table["date"].iloc[0]) / 4
    table[["c0", "OT"]] *= [3.0, 50.0]
    return write_csv(name="three.csv"), write_csv(table, name="two.csv")


@pytest.fixture
def mixed(tiny: Tiny, files: tuple[Path, Path]) -> Tiny:
    """Flags of a tiny run on both series; keyword arguments are more flags."""
    return lambda **more: tiny(**{"data": "custom,custom", "data_path": ",".join(map(str, files)), **more})


def records() -> dict[str, dict[str, Any]]:
    """Return the records of all tests by the folder of each."""
    return {path.parent.name: json.loads(path.read_text()) for path in Path("results").glob("*/*/metrics.json")}


def scores(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {name: record["scores"] for name, record in found.items()}


def test_every_series_trained_on_is_tested_by_its_own_scale(
    mixed: Tiny, workplace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert run.main(mixed()) == 0
    assert caplog.text.count("best epoch") == 1
    assert "3 channels, a row every h" in caplog.text and "2 channels, a row every 15min" in caplog.text
    found = {name.split("-")[1].split("_")[0]: record for name, record in records().items()}
    assert set(found) == {"three", "two"} and all(name.startswith("in_domain_custom-") for name in records())
    assert {record["data"]["in_domain"] for record in found.values()} == {True}
    values = hourly_table(rows=300, channels=2, seed=7)[["c0", "OT"]].to_numpy() * [3.0, 50.0]
    training = values[:210]
    true = np.load(next(Path("results").glob("*/in_domain_custom-two*/true.npy")))
    expected = (values[240:248] - training.mean(axis=0)) / training.std(axis=0)
    np.testing.assert_allclose(true[0], expected, rtol=1e-4, atol=1e-5)
    assert all("0.9" in record["scores"]["intervals"] for record in found.values())
    assert "(in domain)" in Path("results_long_term_forecast.txt").read_text()


def test_a_target_alone_is_tested_too(mixed: Tiny, write_csv: WriteCsv, workplace: Path) -> None:
    other = write_csv(name="other.csv", channels=5, seed=4)
    assert run.main(mixed(target_data="custom", target_data_path=other)) == 0
    found = records()
    (name,) = (name for name in found if name.startswith("zero_shot_custom-other"))
    assert len(found) == 3
    assert "in_domain" not in found[name]["data"]
    first = {one: path.stat().st_mtime_ns for one in found for path in Path("results").glob(f"*/{one}/metrics.json")}
    assert run.main(mixed(target_data="custom", target_data_path=other)) == 0  # finished: nothing is repeated
    assert first == {one: path.stat().st_mtime_ns for one in found for path in Path("results").glob(f"*/{one}/*.json")}


def test_a_stored_model_is_tested_again_with_the_same_scores(mixed: Tiny, write_csv: WriteCsv, workplace: Path) -> None:
    other = write_csv(name="other.csv", channels=1, seed=4)
    assert run.main(mixed(target_data="custom", target_data_path=other)) == 0
    first, (folder,) = scores(records()), Path("checkpoints").iterdir()
    for flags in (mixed(is_training=0), ["--is_training", "0", "--load", str(folder), "--device", "cpu"]):
        shutil.rmtree("results")
        assert run.main([*flags, "--target_data", "custom", "--target_data_path", str(other)]) == 0
        assert scores(records()) == first


def test_a_stored_model_is_tested_again_where_its_files_have_moved_and_on_no_others(
    mixed: Tiny, files: tuple[Path, Path], workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(mixed()) == 0
    first, (folder,) = scores(records()), Path("checkpoints").iterdir()
    moved = [shutil.move(path, workplace / f"moved-{path.name}") for path in files]
    load = ["--is_training", "0", "--load", str(folder), "--device", "cpu", "--data_path"]
    shutil.rmtree("results")
    assert run.main([*load, ",".join(map(str, moved))]) == 0
    again = scores(records())  # whose names, and their order, follow from where the files lie
    assert sorted(one["mse"] for one in again.values()) == sorted(one["mse"] for one in first.values())
    hourly_table(rows=300, seed=11).to_csv(moved[0], index=False)
    assert "name them by --target_data" in refused([*load, ",".join(map(str, moved))], capsys)


def test_a_data_set_that_does_not_vary_in_validation_does_not_decide_alone(
    mixed: Tiny, tiny: Tiny, write_csv: WriteCsv, files: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    table = hourly_table(rows=300)
    table.loc[180:245, ["c0", "c1", "OT"]] = 5.0
    constant = write_csv(table, name="constant.csv")
    experiment = prepared(mixed(data_path=f"{files[0]},{constant}"), MixedForecast)
    assert experiment.validate() < 1000
    assert "does not vary over its validation windows" in caplog.text


def test_batches_of_a_test_are_as_large_as_its_channels_allow(mixed: Tiny) -> None:
    experiment = prepared(mixed(), MixedForecast)
    assert experiment.predictor(3).batch_size > 100 * experiment.predictor(3000).batch_size > 0


def test_a_forecaster_of_several_series_is_refused_with_what_it_is_for(mixed: Tiny, workplace: Path) -> None:
    assert run.main(mixed()) == 0
    (folder,) = Path("checkpoints").iterdir()
    with pytest.raises(UserError, match="was trained on several data sets"):
        Forecaster.load(folder)


@pytest.mark.parametrize("mix", ["proportional", "uniform"])
def test_the_best_epoch_has_the_lowest_mean_of_errors_relative_to_naive_ones(mixed: Tiny, mix: str) -> None:
    experiment = prepared(mixed(mix=mix), MixedForecast)
    ratios = []
    for data in experiment.sets.values():
        val, errors, naive = data.windows[next(s for s in data.windows if s.value == "val")], [], []
        batch = val.__getitems__(range(len(val)))
        predictor = experiment.predictor(len(data.columns))
        with predictor.evaluating():
            errors.append(((predictor.forecast(batch.x) - batch.y) ** 2).double().mean())
            naive.append(((batch.x[:, -1:] - batch.y) ** 2).double().mean())
        ratios.append(float(errors[0] / naive[0]))
    assert experiment.validate() == pytest.approx(np.mean(ratios), rel=1e-5)


def test_a_training_that_was_cut_off_goes_on_to_the_same_weights(
    mixed: Tiny, workplace: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    flags = mixed(train_epochs=2, mix="uniform")
    assert run.main(flags) == 0
    (weights,) = Path("checkpoints").glob("*/model.safetensors")
    whole = weights.read_bytes()
    shutil.rmtree("checkpoints")
    shutil.rmtree("results")
    validate = MixedForecast.validate
    calls = []

    def cut_off(self: MixedForecast) -> float:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return validate(self)

    monkeypatch.setattr(MixedForecast, "validate", cut_off)
    assert run.main(flags) == 130
    monkeypatch.setattr(MixedForecast, "validate", validate)
    assert run.main(flags) == 0
    assert "going on after epoch 1 of 2" in caplog.text
    assert weights.read_bytes() == whole


@pytest.mark.parametrize("name", [name for name in MODELS if find_config(name).trains])
def test_weights_for_any_number_of_channels_serve_more_and_fewer(name: str, tiny_gpt2: Path, tiny_words: Path) -> None:
    kind = find_model(name)
    model = kind.build(kind.Config(24, 6, 3, **small(name, tiny_gpt2, tiny_words))).eval()
    assert model.config.any_channels == (name != "TimesNet")
    for channels in (1, 5) if model.config.any_channels else ():
        assert model(torch.randn(4, 24, channels)).forecast.shape == (4, 6, channels)


def test_weights_for_one_number_of_channels_say_so() -> None:
    assert not find_config("DLinear")(24, 6, 3, individual=1).any_channels
    assert not models.find_config("CALF")(24, 6, 3, channel_order="reversed").any_channels


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"model": "TimesNet"}, "this TimesNet has weights for one number of them"),
        ({"channel_order": "reversed"}, "this CALF has weights for one number of them"),
        ({"model": "SeasonalNaive"}, "--model SeasonalNaive does not train"),
        ({"do_predict": 1}, "--do_predict forecasts one series"),
        ({"target_data": "custom"}, "--target_data custom needs --target_data_path"),
        ({"data_path": "no.csv,none.csv"}, "no.csv does not exist"),
        ({"data": "custom,custom,ETTh1"}, "names 3 data sets and --data_path 2 file(s)"),
        ({"zero_shot": 1}, "--zero_shot 1 needs --target_data"),
        ({"features": "S", "target": "c1"}, "c1"),
        ({"target": "XX"}, "XX"),
    ],
)
def test_what_cannot_be_ends_before_training_with_one_message(
    mixed: Tiny, workplace: Path, flags: dict[str, object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(mixed(**flags), capsys)
    assert written(workplace) == []


def test_a_series_trained_on_is_no_target(
    mixed: Tiny, files: tuple[Path, Path], workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = mixed(target_data="custom", target_data_path=files[1])
    assert "it is tested without being named here" in refused(flags, capsys)


def test_more_channels_than_positions_are_refused(
    tiny: Tiny, write_csv: WriteCsv, files: tuple[Path, Path], workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = write_csv(name="wide.csv", channels=17)
    assert "17 channels, but the backbone has 16 positions" in refused(
        tiny(data="custom,custom", data_path=f"{files[0]},{wide}"), capsys
    )
    flags = tiny(data_path=files[0], zero_shot=1, target_data="custom", target_data_path=wide)
    assert "17 channels, but the backbone has 16 positions" in refused(flags, capsys)


def test_flags_without_effect_are_named(mixed: Tiny, tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    assert run.main([*mixed(shuffle_input="half"), "--dry_run"]) == 0
    assert "no effect with several data sets: --shuffle_input" in caplog.text
    caplog.clear()
    assert run.main([*tiny(mix="uniform"), "--dry_run"]) == 0
    assert "no effect with --data custom: --mix" in caplog.text


def test_a_report_is_of_every_file(mixed: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    assert run.main([*mixed(), "--check_data"]) == 0
    assert caplog.text.count("The file can be used as it is.") == 2
