"""Short names of runs, and the links that point to the newest one."""

import json
import os
from pathlib import Path

import pytest

import models
import run
from exp.config import RunConfig
from exp.flags import parse
from exp.forecaster import Forecaster
from exp.latest import short_name
from tests.conftest import Tiny, WriteCsv, hourly_table
from tests.helpers.commands import refused
from utils.tables.records import read_records

pytestmark = pytest.mark.usefixtures("links")


def plain(tiny: Tiny, **flags: object) -> list[str]:
    """Flags of a run of a second, on a model without a language model."""
    return tiny(model="DLinear", llm=None, word_embedding_path=None, gpt_layers=None, **flags)


def config_of(argv: list[str]) -> RunConfig:
    return RunConfig.from_flags(parse(argv))


def folders(place: str) -> set[str]:
    """The names of the real folders in a place."""
    return {path.name for path in Path(place).iterdir() if path.name != "latest"}


# --- names ---


def test_a_name_shortens_the_folders_and_changes_no_figure(tiny: Tiny) -> None:
    long, short = config_of(plain(tiny)), config_of(plain(tiny, name="sales"))
    assert short.identity == long.identity
    assert short.setting == f"sales_{long.setting[-8:]}"
    assert config_of(plain(tiny, name="sales", seed=1)).setting != short.setting
    assert run.main(plain(tiny, name="sales")) == 0
    assert folders("checkpoints") == folders("results") == folders("test_results") == {short.setting}


def test_a_finished_run_of_another_name_is_not_taken_for_this_one(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    assert run.main(plain(tiny, name="sales")) == 0
    caplog.clear()
    assert run.main(plain(tiny, name="costs")) == 0
    assert "is finished" not in caplog.text and "is trained" not in caplog.text
    one, two = (json.loads(Path(f"results/latest/../{name}/metrics.json").read_text()) for name in folders("results"))
    assert one["scores"]["metrics"] == two["scores"]["metrics"] and one["run"]["setting"] != two["run"]["setting"]
    caplog.clear()
    assert run.main(plain(tiny, name="sales")) == 0
    assert f"{config_of(plain(tiny, name='sales')).setting} is finished" in caplog.text


@pytest.mark.parametrize("options", [{}, {"name": "costs"}])
def test_a_test_of_a_checkpoint_of_another_name_stays_with_that_name(tiny: Tiny, options: dict[str, str]) -> None:
    assert run.main(plain(tiny, name="sales")) == 0
    before = folders("results")
    assert run.main(plain(tiny, is_training=0, **options)) == 0
    assert folders("results") == before
    assert run.main(plain(tiny, **options)) == 0  # so that this one is no finished run
    assert len(folders("checkpoints")) == 2


@pytest.mark.parametrize("name", [".hidden", "..", "a/b", "../up", "two words", "ümlaut", "a" * 101, "a\n", "-"[:0]])
def test_a_name_that_could_lead_elsewhere_is_refused(
    name: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused([f"--name={name}"], capsys)
    assert said.startswith("error: --name ")
    assert "choose at most 100 letters A to Z, digits, '.', '_' and '-', the first of them no '.'." in said


# --- links ---


def test_links_lead_to_the_newest_run_also_after_another_one(tiny: Tiny) -> None:
    for seed in (1, 2):
        assert run.main(plain(tiny, name="sales", seed=seed)) == 0
        newest = config_of(plain(tiny, name="sales", seed=seed))
        assert os.readlink("results/latest") == newest.setting
        assert os.readlink("checkpoints/latest/sales") == f"../{newest.setting}"
    assert run.main(plain(tiny, name="sales", seed=1)) == 0  # which is finished
    assert Path("results/latest/metrics.json").samefile(
        f"results/{config_of(plain(tiny, name='sales', seed=1)).setting}/metrics.json"
    )
    assert not [path for path in Path().rglob(".*") if path.name.endswith((".tmp", ".lock"))]


def test_a_dry_run_is_no_newest_run(tiny: Tiny, workplace: Path) -> None:
    assert run.main([*plain(tiny), "--dry_run"]) == 0
    assert not list(workplace.iterdir())


def test_a_linked_checkpoint_is_used_under_the_name_of_its_own_folder(tiny: Tiny, write_csv: WriteCsv) -> None:
    assert run.main(plain(tiny, name="sales")) == 0
    (setting,) = folders("results")
    link, newer = "checkpoints/latest/sales", str(write_csv(hourly_table(rows=450), name="newer.csv"))
    assert run.main(["--is_training", "0", "--load", link]) == 0
    assert folders("results") == {setting}
    assert run.main(["--is_training", "0", "--load", link, "--data_path", newer, "--do_predict"]) == 0
    (other,) = folders("results") - {setting}
    assert other.startswith(f"{setting}_on_newer_")
    assert os.readlink("results/latest") == other
    assert os.readlink(link) == f"../{setting}"
    assert isinstance(Forecaster.load(link).model, models.find_model("DLinear"))


def test_a_test_without_training_leaves_the_newest_checkpoint_as_it_is(tiny: Tiny) -> None:
    for seed in (1, 2):
        assert run.main(plain(tiny, name="sales", seed=seed)) == 0
    older, newest = (config_of(plain(tiny, name="sales", seed=seed)).setting for seed in (1, 2))
    assert run.main(["--is_training", "0", "--load", f"checkpoints/{older}"]) == 0
    assert os.readlink("checkpoints/latest/sales") == f"../{newest}"
    assert os.readlink("results/latest") == older


def test_what_lists_runs_counts_a_linked_one_once(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    assert run.main(plain(tiny, seed=1)) == 0
    records, notes = read_records(Path("results"))
    assert len(records) == 1 and not notes
    caplog.clear()
    assert run.main(plain(tiny, seed=1, learning_rate=0.5, is_training=0)) == 0
    assert "the only checkpoint of this model and data" in caplog.text


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("--data sample", "sample"),
        ("--data sample --name mine", "mine"),
        ("--data_path some/Sales.2024.csv", "Sales.2024"),
        ("--data_path .csv", "csv"),
        ("--data_path 销售.csv", "销售"),
        ("--data_path a&b.csv", "a-b"),
        ("--data ETTh1,weather", "ETTh1-weather"),
        ("--data m4 --task_name short_term_forecast", "m4"),
    ],
)
def test_without_a_name_the_link_is_called_after_the_data(line: str, name: str) -> None:
    assert short_name(config_of(line.split())) == name


def test_where_links_cannot_be_made_a_text_file_holds_the_path(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert run.main(plain(tiny, name="sales")) == 0
    (setting,) = {path.name for path in Path("results").iterdir()} - {"latest.txt"}
    assert Path("results/latest.txt").read_text() == f"{setting}\n"
    assert Path("checkpoints/latest", Path("checkpoints/latest/sales.txt").read_text().strip(), "config.json").is_file()


def test_a_folder_of_the_users_in_the_place_of_a_link_stays(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    Path("results/latest").mkdir(parents=True)
    Path("results/latest/mine.txt").write_text("mine")
    Path("checkpoints").mkdir()
    Path("checkpoints/latest").write_text("mine, too")
    assert run.main(plain(tiny, name="sales")) == 0
    assert Path("results/latest/mine.txt").read_text() == "mine"
    assert Path("checkpoints/latest").read_text() == "mine, too"
    assert len([line for line in caplog.messages if "in the place of the link" in line]) == 2
