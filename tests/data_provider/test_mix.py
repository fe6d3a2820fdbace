"""Several data sets: which they are, and which windows make up their batches."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from data_provider.mix import MixedBatches, make_mixed_loader
from data_provider.mix_config import MixConfig
from data_provider.windows import Series, WindowDataset
from tests.conftest import WriteCsv
from utils.errors import UserError
from utils.flags import convert, flags_of


def batches(sizes: list[int], mix: str, seed: int = 0, batch_size: int = 4) -> list[list[tuple[int, int]]]:
    return list(MixedBatches(sizes, batch_size, mix, torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("mix", ["proportional", "uniform"])
def test_a_batch_comes_from_one_data_set(mix: str) -> None:
    assert all(len({number for number, _ in batch}) == 1 for batch in batches([40, 17, 9], mix))


def test_in_proportion_every_window_of_whole_batches_comes_once() -> None:
    found = batches([40, 17, 3], "proportional")
    windows = Counter(window for batch in found for window in batch)
    assert set(windows.values()) == {1}
    assert [sum(number == one for number, _ in windows) for one in range(3)] == [40, 16, 3]
    assert [batch[0][0] for batch in found] != sorted(batch[0][0] for batch in found)


def test_uniform_takes_as_many_batches_of_each_and_repeats_a_small_one_evenly() -> None:
    found = batches([60, 8, 3], "uniform")
    assert len(found) == len(batches([60, 8, 3], "proportional")) == 18
    assert Counter(batch[0][0] for batch in found) == {0: 6, 1: 6, 2: 6}
    small = Counter(index for batch in found for number, index in batch if number == 1)
    assert set(small.values()) == {3} and len(small) == 8
    large = Counter(index for batch in found for number, index in batch if number == 0)
    assert set(large.values()) == {1}


@pytest.mark.parametrize("mix", ["proportional", "uniform"])
def test_the_order_follows_from_the_seed_and_is_another_in_each_epoch(mix: str) -> None:
    assert batches([40, 17], mix, seed=1) == batches([40, 17], mix, seed=1) != batches([40, 17], mix, seed=2)
    sampler = MixedBatches([40, 17], 4, mix, torch.Generator().manual_seed(1))
    assert list(sampler) != list(sampler)
    assert len(sampler) == len(list(sampler))


def test_windows_are_those_of_each_series() -> None:
    series = [Series(1000.0 * k + torch.arange(20.0).numpy()[:, None].repeat(k, 1)) for k in (1, 3)]
    sets = [WindowDataset(one, 0, 20, seq_len=4, pred_len=2, lookback=4) for one in series]
    for batch in make_mixed_loader(sets, 5, "proportional", seed=0, workers=0, pin=False):
        channels = batch.x.shape[-1]
        assert channels in (1, 3)
        first = batch.x[:, :1, :1] - 1000 * channels
        assert torch.equal(batch.x[..., 0] - 1000 * channels, first[..., 0] + torch.arange(4.0))
        assert torch.equal(batch.y[..., 0] - 1000 * channels, first[..., 0] + torch.tensor([4.0, 5.0]))


def config(data: str, files: str | None = None, **more: object) -> MixConfig:
    return MixConfig(data=data, data_path=files, **more)


def test_each_data_set_has_a_configuration_with_what_is_common(tmp_path: Path) -> None:
    parts = config("ETTh1, weather", seq_len=48, percent=20).parts
    assert [(part.data, part.data_path, part.seq_len, part.percent) for part in parts] == [
        ("ETTh1", None, 48, 20),
        ("weather", None, 48, 20),
    ]


def test_a_root_is_the_folder_of_the_files_or_of_the_data_sets_folders(tmp_path: Path) -> None:
    (tmp_path / "weather").mkdir()
    for path in (tmp_path / "ETTh1.csv", tmp_path / "weather" / "weather.csv"):
        path.write_text("date,OT\n")
    mix = config("ETTh1,weather", root_path=str(tmp_path))
    assert mix.files() == (tmp_path / "ETTh1.csv", tmp_path / "weather" / "weather.csv")


def test_own_files_stand_beside_data_sets_and_survive_json(write_csv: WriteCsv) -> None:
    one, two = write_csv(name="one.csv"), write_csv(name="two.csv", channels=2)
    mix = config("custom,sample,custom", f"{one},,{two}", mix="uniform")
    assert [part.data_path for part in mix.parts] == [str(one), None, str(two)]
    again = MixConfig.from_identity(mix.identity())
    assert again.identity() == mix.identity()
    assert again.files() == mix.files() == (one, two)


@pytest.mark.parametrize("files", [None, "a.csv", ["a.csv", 5]])
def test_a_stored_configuration_without_its_files_is_refused(write_csv: WriteCsv, files: object) -> None:
    path = write_csv()
    identity = config("custom,sample", f"{path},").identity()
    with pytest.raises(UserError, match="does not name the files"):
        MixConfig.from_identity({**identity, "files": files})


@pytest.mark.parametrize(
    ("data", "files", "message"),
    [
        ("ETTh1,m4", None, "m4 cannot be trained on with others"),
        ("ETTh1,", None, "an empty name cannot be trained on with others"),
        ("ETTh1,ETTh9", None, "no such data set"),
        ("ETTh1,ETTh1", None, "ETTh1 is named twice with the same file"),
        ("custom,custom", "a.csv,a.csv", "custom is named twice"),
        ("custom,custom", "a.csv,./a.csv", "custom is named twice"),
        ("sample,ETTh1", "a.csv,", "sample has no file; leave a.csv out"),
        ("custom,ETTh1", "a.csv", r"names 2 data sets and --data_path 1 file\(s\)"),
    ],
)
def test_names_that_do_not_go_together_are_refused(data: str, files: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        config(data, files)


def test_flags_of_reading_are_those_of_own_files_where_there_are_some() -> None:
    own, published = config("custom,ETTh1", "a.csv,", date_col="Date,Time").parts
    assert (own.date_col, published.date_col) == ("Date,Time", None)
    assert {part.date_col for part in config("ETTh1,weather", date_col="date").parts} == {"date"}


def test_blanks_between_names_do_not_count() -> None:
    assert convert(flags_of(MixConfig)["data"], "ETTh1, weather") == "ETTh1,weather"


def test_a_path_with_a_comma_is_refused(tmp_path: Path, write_csv: WriteCsv) -> None:
    odd = tmp_path / "a,b"
    odd.mkdir()
    (odd / "ETTh1.csv").write_text("date,OT\n")
    with pytest.raises(UserError, match="no path can have a comma"):
        config("ETTh1,sample", root_path=str(odd)).files()
