"""Which file a configuration means, and what it says where there is none."""

from pathlib import Path

import pytest

from data_provider.config import DataConfig, data_file
from data_provider.datasets import DATASETS, find_dataset
from data_provider.factory import load_data
from tests.conftest import WriteCsv
from tests.data_provider.test_factory import load
from utils.errors import UserError

PUBLISHED = [name for name, spec in DATASETS.items() if spec.file]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_lie_below_the_folder_of_all_data_sets(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = find_dataset(name)
    path = tmp_path / spec.folder / spec.file
    path.parent.mkdir()
    path.touch()
    monkeypatch.setenv("CALF_DATASETS", str(tmp_path))
    assert data_file(DataConfig(name, 8, 4), spec) == path


def test_without_the_variable_they_lie_below_datasets(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALF_DATASETS", raising=False)
    path = workplace / "datasets" / "ETT-small" / "ETTh1.csv"
    path.parent.mkdir(parents=True)
    path.touch()
    assert data_file(DataConfig("ETTh1", 8, 4), find_dataset("ETTh1")).resolve() == path.resolve()


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_missing_published_file_names_its_source(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALF_DATASETS", str(tmp_path))
    spec = find_dataset(name)
    with pytest.raises(UserError) as raised:
        load_data(DataConfig(name, 8, 4))
    for part in (str(tmp_path / spec.folder / spec.file), spec.url, "--root_path", "--data_path", "CALF_DATASETS"):
        assert part in str(raised.value)


@pytest.mark.parametrize("options", [{}, {"root_path": "mine"}, {"data_path": "mine.csv"}])
def test_a_missing_published_file_names_the_command_that_fetches_it(
    options: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALF_DATASETS", str(tmp_path))
    with pytest.raises(UserError) as raised:
        load_data(DataConfig("ETTm2", 8, 4, **options))
    place = f" to {tmp_path / 'ETT-small'}, for a run without these two flags" if options else ""
    assert str(raised.value).endswith(f" python -m data_provider.download ETTm2 fetches it{place}.")


def test_root_path_comes_before_the_folder_of_all_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALF_DATASETS", str(tmp_path / "elsewhere"))
    (tmp_path / "ETTh1.csv").touch()
    config = DataConfig("ETTh1", 8, 4, root_path=str(tmp_path))
    assert data_file(config, find_dataset("ETTh1")) == tmp_path / "ETTh1.csv"


@pytest.mark.parametrize("absolute", [True, False])
def test_an_own_file_is_found_by_its_path_and_below_root_path(
    write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch, absolute: bool
) -> None:
    path = write_csv()
    monkeypatch.chdir(path.parent)
    for options in ({"data_path": path.name}, {"data_path": path.name, "root_path": str(path.parent)}):
        if absolute:
            options["data_path"] = str(path)
        assert len(load(path, **options).dates) == 400


def test_an_own_file_has_to_be_named() -> None:
    with pytest.raises(UserError, match="--data custom needs --data_path"):
        load_data(DataConfig("custom", 8, 4))


def test_a_missing_own_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.csv does not exist; check --root_path and --data_path"):
        load(tmp_path / "none.csv")


@pytest.mark.parametrize("name", ["custom", "ETTh1"])
def test_a_path_too_long_for_the_file_system_is_a_missing_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load(tmp_path / ("x" * 300), data=name)
