"""The scripts of tasks without a forecast: a model comes first, and every command line parses and has an effect."""

from pathlib import Path

import pytest

from data_provider.datasets import DATASETS, UEA
from tests.helpers.shell import ROOT, Shell, values_of
from tests.test_scripts import idle

TASKS = ("imputation", "anomaly_detection", "classification")
SCRIPTS = sorted(path for task in TASKS for path in (ROOT / "scripts" / task).glob("*.sh") if path.stem != "common")
MODELS = ("CALF", "GPT4TS", "DLinear", "TimesNet")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_script_runs_its_task_on_its_data_set_with_the_model_that_is_named(script: Path, shell: Shell) -> None:
    for model in MODELS:
        assert shell.run(script, *(() if model == "CALF" else (model,)), "--train_epochs", "1").returncode == 0
        (flags,) = shell.runs
        config = values_of(flags)
        assert (config.task_name, config.model, config.train_epochs) == (script.parent.name, model, 1)
        assert config.data == script.stem and config.data in DATASETS
        assert idle(flags) == []


def test_other_rates_can_be_named(shell: Shell) -> None:
    assert shell.run(ROOT / "scripts" / "imputation" / "ETTh1.sh", RATES="0.25").returncode == 0
    assert [values_of(flags).mask_rate for flags in shell.runs] == ["0.25"]


@pytest.mark.parametrize(
    ("data", "model", "settings"),
    [
        ("JapaneseVowels", "TimesNet", {"batch_size": 16, "train_epochs": 60, "d_model": 16, "top_k": 3}),
        ("Handwriting", "GPT4TS", {"batch_size": 64, "train_epochs": 50, "learning_rate": 0.002, "stride": 2}),
        ("PEMS-SF", "DLinear", {"batch_size": 16, "train_epochs": 30, "learning_rate": 0.001, "patience": 10}),
    ],
)
def test_cases_are_classified_at_the_settings_of_the_literature(
    data: str, model: str, settings: dict[str, object], shell: Shell
) -> None:
    shell.run(ROOT / "scripts" / "classification" / f"{data}.sh", model).check_returncode()
    (flags,) = shell.runs
    assert settings.items() <= vars(values_of(flags)).items()


def test_every_set_with_classes_has_a_script() -> None:
    scripts = {path.stem for path in SCRIPTS if path.parent.name == "classification"}
    assert scripts == {name for name, spec in DATASETS.items() if spec.config == UEA}
