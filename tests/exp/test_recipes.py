"""``--recipe``: settings by name, for the flags that are not given."""

from pathlib import Path

import pytest

import run
from exp.config import RunConfig
from exp.flags import parse
from exp.own_file import filled_in
from exp.recipes import BEST, PAPER, RECIPES
from models import MODELS, find_config
from tests.conftest import Tiny, WriteCsv
from tests.helpers.commands import succeed
from utils.flags import flags_of
from utils.tables.records import cell_of, read_records


def configured(*flags: str) -> RunConfig:
    return RunConfig.from_flags(parse(["--data", "ETTh1", "--root_path", ".", *flags]))


def values_of(config: RunConfig) -> dict[str, object]:
    return {**config.schedule.__dict__, **config.training.__dict__, **config.network}


def test_without_a_recipe_the_settings_are_those_of_the_paper(workplace: Path) -> None:
    Path("ETTh1.csv").touch()
    plain, paper = configured(), configured("--recipe", PAPER)
    assert plain == paper and "recipe" not in plain.setting
    assert not RECIPES[PAPER]


@pytest.mark.parametrize("model", [name for name in MODELS if find_config(name).trains])
def test_a_recipe_sets_what_a_model_has_of_its_flags(model: str, workplace: Path) -> None:
    Path("ETTh1.csv").touch()
    values = values_of(configured("--recipe", BEST, "--model", model))
    set_here = {name: value for name, value in RECIPES[BEST].items() if name in values}
    assert set_here == {name: values[name] for name in set_here}
    assert model != "CALF" or set_here == RECIPES[BEST]


def test_a_flag_that_is_given_wins_over_the_recipe(workplace: Path) -> None:
    Path("ETTh1.csv").touch()
    assert configured("--ema", "0.5", "--recipe", BEST).training.ema == 0.5


def test_an_own_file_takes_it_where_it_is_asked_for(write_csv: WriteCsv) -> None:
    own = ["--data_path", str(write_csv()), "--llm", "gpt2-tiny", "--llm_init", "random", "--recipe", BEST]
    config = RunConfig.from_flags(filled_in(parse(own))[0])
    assert (config.recipe, config.training.ema) == (BEST, RECIPES[BEST]["ema"])


def test_it_stands_in_the_name_the_header_the_record_and_the_tables(
    tiny: Tiny, caplog: pytest.LogCaptureFixture
) -> None:
    (record,) = succeed(tiny(recipe=BEST, log="none"))
    assert f"recipe-{BEST}" in record["run"]["setting"]
    assert record["run"]["config"]["recipe"] == BEST
    assert f"recipe: {BEST}" in caplog.text
    ((found,), _) = read_records(Path("results"))
    assert cell_of(found)[0].network.endswith(f"--recipe {BEST}")


def test_a_checkpoint_is_tested_as_it_was_trained(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    (record,) = succeed(tiny(recipe=BEST, log="none"))
    monkeypatch.setitem(RECIPES, BEST, {"ema": 0.123})
    folder = str(Path("checkpoints", record["run"]["setting"]))
    assert run.main(["--is_training", "0", "--load", folder, "--log", "none"]) == 0
    (again,) = succeed(["--is_training", "0", "--load", folder, "--log", "none"])
    assert again["run"]["config"] == record["run"]["config"]


def test_all_values_are_those_of_flags_and_of_their_kind() -> None:
    config = configured_flags()
    for recipe in RECIPES.values():
        for name, value in recipe.items():
            assert config[name].metadata["kind"].fits(value)


def configured_flags() -> dict[str, object]:
    from exp.options import TrainingOptions
    from utils.schedule import Schedule

    return flags_of(TrainingOptions) | flags_of(Schedule) | flags_of(find_config("CALF"))
