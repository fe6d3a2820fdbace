"""Trained on one series, tested on others."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import run
from tests.conftest import Tiny, WriteCsv, hourly_table
from tests.helpers.commands import refused, succeed, written


def zero_shot_records() -> dict[str, dict[str, Any]]:
    """Return the records of zero-shot tests by the name of their target."""
    found = [json.loads(path.read_text()) for path in Path("results").glob("*/zero_shot_*/metrics.json")]
    return {record["data"]["target_data"]: record for record in found}


@pytest.fixture
def target(write_csv: WriteCsv) -> Path:
    """Another hourly series of three channels, in other units."""
    table = hourly_table(rows=500, seed=9)
    table[["c0", "c1", "OT"]] *= [3.0, 0.1, 50.0]
    return write_csv(table, name="target.csv")


class TestARun:
    def test_is_trained_once_and_tested_on_every_target(
        self, tiny: Tiny, target: Path, write_csv: WriteCsv, workplace: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        other = write_csv(name="other.csv", seed=4)
        flags = {"zero_shot": 1, "target_data": "custom,custom", "target_data_path": f"{target},{other}"}
        assert run.main(tiny(**flags)) == 0
        assert caplog.text.count("best epoch") == 1
        records = zero_shot_records()
        assert len(records) == 2
        assert len({record["run"]["setting"] for record in records.values()}) == 1
        (folder,) = (workplace / "checkpoints").iterdir()
        assert folder.name == next(iter(records.values()))["run"]["setting"]
        for name, record in records.items():
            assert name.startswith(("custom-target_", "custom-other_"))
            place = f"results/{record['run']['setting']}/zero_shot_{name}"
            assert {f"{place}/{file}" for file in ("metrics.json", "pred.npy", "true.npy")} <= set(written(workplace))

    def test_leaves_name_and_checkpoint_of_the_source_run_untouched(
        self, tiny: Tiny, target: Path, workplace: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (source,) = succeed(tiny())
        before = {path: (workplace / path).read_bytes() for path in written(workplace)}
        assert run.main(tiny(zero_shot=1, target_data="custom", target_data_path=target)) == 0
        assert f"{source['run']['setting']} is trained; --overwrite repeats it" in caplog.text
        text = "results_long_term_forecast.txt"
        newer = (text, f"results/{source['run']['setting']}/run.yaml")
        assert all((workplace / path).read_bytes() == content for path, content in before.items() if path not in newer)
        (record,) = zero_shot_records().values()
        assert record["run"]["setting"] == source["run"]["setting"]
        assert record["run"]["config"] == source["run"]["config"]
        assert "(zero-shot)" in (workplace / text).read_text()

    def test_standardises_a_target_by_its_own_training_rows(self, tiny: Tiny, target: Path, workplace: Path) -> None:
        assert run.main(tiny(zero_shot=1, target_data="custom", target_data_path=target)) == 0
        (record,) = zero_shot_records().values()
        values = hourly_table(rows=500, seed=9)[["c0", "c1", "OT"]].to_numpy() * [3.0, 0.1, 50.0]
        training = values[:350]
        true = np.load(
            workplace / "results" / record["run"]["setting"] / f"zero_shot_{record['data']['target_data']}" / "true.npy"
        )
        expected = (values[400:408] - training.mean(axis=0)) / training.std(axis=0)
        np.testing.assert_allclose(true[0], expected, rtol=1e-4, atol=1e-5)
        assert record["scores"]["metrics"]["CALF"]["windows"] == len(true) == 93

    def test_a_checkpoint_is_tested_on_a_target_later(self, tiny: Tiny, target: Path) -> None:
        zero_shot = {"zero_shot": 1, "target_data": "custom", "target_data_path": target}
        assert run.main(tiny(**zero_shot)) == 0
        (at_once,) = zero_shot_records().values()
        path = Path("results", at_once["run"]["setting"], f"zero_shot_{at_once['data']['target_data']}", "metrics.json")
        path.unlink()
        assert run.main(tiny(**zero_shot, is_training=0)) == 0
        (later,) = zero_shot_records().values()
        assert later["scores"]["metrics"] == at_once["scores"]["metrics"]
        path.unlink()
        load = ["--is_training", "0", "--load", f"checkpoints/{at_once['run']['setting']}", "--zero_shot", "1"]
        assert run.main([*load, "--target_data", "custom", "--target_data_path", str(target)]) == 0
        (loaded,) = zero_shot_records().values()
        assert loaded["scores"]["metrics"] == at_once["scores"]["metrics"]

    def test_several_seeds_train_on_the_source_alone(self, tiny: Tiny, target: Path, workplace: Path) -> None:
        flags = tiny(zero_shot=1, target_data="custom", target_data_path=target, itr=2)
        assert run.main(flags) == 0
        assert len(list((workplace / "checkpoints").iterdir())) == 2
        text = (workplace / "results_long_term_forecast.txt").read_text()
        assert "mean ± std over seeds 2021, 2022" in text
        assert "tested on custom-target" in text.split("mean ± std")[0].splitlines()[-1]

    def test_few_shot_training_leaves_the_target_whole(self, tiny: Tiny, target: Path) -> None:
        assert run.main(tiny(percent=30, zero_shot=1, target_data="custom", target_data_path=target)) == 0
        (record,) = zero_shot_records().values()
        assert record["data"]["config"]["percent"] == 30
        assert record["scores"]["metrics"]["CALF"]["windows"] == 93

    def test_warns_of_another_sampling_frequency(
        self, tiny: Tiny, write_csv: WriteCsv, caplog: pytest.LogCaptureFixture
    ) -> None:
        table = hourly_table(seed=3)
        table["date"] = table["date"].iloc[0] + (table["date"] - table["date"].iloc[0]) / 4
        path = write_csv(table, name="quarters.csv")
        assert run.main(tiny(zero_shot=1, target_data="custom", target_data_path=path)) == 0
        assert "WARNING: the step is 15min here and h in" in caplog.text

    def test_a_target_is_also_looked_for_beside_the_source(self, tiny: Tiny, target: Path, workplace: Path) -> None:
        flags = {"root_path": target.parent, "data_path": "data.csv", "zero_shot": 1, "target_data": "custom"}
        assert run.main(tiny(**flags, target_data_path="target.csv")) == 0
        (record,) = zero_shot_records().values()
        assert record["scores"]["metrics"]["CALF"]["windows"] == 93

    def test_a_target_without_the_target_column_keeps_its_own_order(
        self, tiny: Tiny, write_csv: WriteCsv, caplog: pytest.LogCaptureFixture
    ) -> None:
        table = hourly_table(seed=3).rename(columns={"OT": "z", "c0": "y", "c1": "x"})
        flags = {"zero_shot": 1, "target_data": "custom", "target_data_path": write_csv(table, name="named.csv")}
        assert run.main(tiny(**flags)) == 0
        assert "its columns are y, x, z" in caplog.text


class TestWrongInput:
    def test_another_number_of_channels_is_refused_where_weights_belong_to_one(
        self, tiny: Tiny, write_csv: WriteCsv, workplace: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        flags = {"zero_shot": 1, "target_data": "custom", "target_data_path": write_csv(name="wide.csv", channels=5)}
        error = refused(tiny(model="TimesNet", **flags), capsys)
        assert "wide.csv has 5 channels, custom has 3" in error
        assert "this TimesNet has weights for one number of them" in error
        assert run.main(tiny(**flags)) == 0
        (record,) = zero_shot_records().values()
        assert len(record["scores"]["metrics"]["CALF"]["standardised"]["per_channel"]) == 5

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            ({}, "--zero_shot 1 needs --target_data"),
            ({"target_data": "ETTm1,"}, "--zero_shot 1 needs --target_data"),
            ({"target_data": "nosuch"}, "zero-shot target: --target_data nosuch: no such data set"),
            ({"target_data": "m4"}, "zero-shot target: --target_data m4"),
            ({"target_data": "ETTm1", "target_root_path": "nowhere"}, "nowhere/ETTm1.csv does not exist"),
            ({"target_data": "custom"}, "--target_data custom needs --target_data_path"),
            (
                {"target_data": "custom", "target_data_path": "no.csv"},
                "check --target_root_path and --target_data_path",
            ),
            ({"target_data": "custom", "target_data_path": "a.csv,b.csv"}, "names 1 data set(s)"),
            ({"target_data": "custom,custom", "target_data_path": "a.csv,a.csv"}, "names custom twice"),
        ],
    )
    def test_ends_before_training_with_one_message(
        self, tiny: Tiny, workplace: Path, flags: dict[str, str], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert message in refused(tiny(zero_shot=1, **flags), capsys)
        assert written(workplace) == []


def test_a_finished_test_is_not_repeated_unless_a_target_is_new(
    tiny: Tiny, target: Path, write_csv: WriteCsv, caplog: pytest.LogCaptureFixture
) -> None:
    other = write_csv(name="other.csv", seed=4)
    one = tiny(zero_shot=1, target_data="custom", target_data_path=target)
    both = tiny(zero_shot=1, target_data="custom,custom", target_data_path=f"{target},{other}")
    said = []
    for flags in (one, both, both, one):
        caplog.clear()
        assert run.main(flags) == 0
        said.append([word for word in ("trained;", "finished;") if word in caplog.text.replace(" is ", " ")])
    assert said == [[], ["trained;"], ["finished;"], ["finished;"]]
    write_csv(hourly_table(rows=450, seed=9), name="target.csv")
    caplog.clear()
    assert run.main(one) == 0
    assert " is trained;" in caplog.text
