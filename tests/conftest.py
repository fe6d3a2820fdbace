"""Small stand-ins that run the real code: a GPT-2 of width 24, its word embeddings, CSV files.

Light to import: of several processes of tests one deals them out and runs none.
"""

import gc
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

WIDTH, LAYERS, POSITIONS, VOCABULARY = 24, 3, 16, 60

# The files that take longest begin, so that two processes end at about the same time.
LONGEST = (
    *("test_export.py", "test_survival.py", "test_user_files.py", "test_processes.py", "test_known_columns.py"),
    *("test_conformance.py", "test_many_series.py", "test_benchmark.py", "test_refit.py", "test_any_csv.py"),
    *("test_run.py", "test_auto.py", "test_training.py"),
)

WriteCsv = Callable[..., Path]


def pytest_sessionstart() -> None:
    """Search for no garbage among thousands of collected tests."""
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the tests of the files that take longest to the beginning."""
    place = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


def pytest_collection_finish() -> None:
    """Set what makes small networks quick: one thread, and no search for garbage in all that has been imported."""
    import torch

    torch.set_num_threads(1)
    gc.enable()
    gc.collect()
    gc.freeze()


def pytest_runtest_setup() -> None:
    """Compute with one thread again where a package has set another number: two processes with two each crawl."""
    import torch

    torch.set_num_threads(1)


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Leave out of the search for garbage what the tests of a file have imported, too."""
    if nextitem and nextitem.path != item.path:
        gc.collect()
        gc.freeze()


def save_gpt2(folder: Path, seed: int = 0, width: int = WIDTH, heads: int = 12) -> Path:
    """A randomly initialised GPT-2 in transformers' format."""
    import torch
    from transformers import GPT2Config, GPT2Model

    torch.manual_seed(seed)
    config = GPT2Config(
        n_embd=width,
        n_layer=LAYERS,
        n_head=heads,
        n_positions=POSITIONS,
        vocab_size=VOCABULARY,
        bos_token_id=None,
        eos_token_id=None,
    )
    GPT2Model(config).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for the network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(autouse=True)
def blank_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are files of one dot, except in tests that are marked ``pictures``."""
    from tests.helpers.pictures import BlankFigure

    if not request.node.get_closest_marker("pictures"):
        monkeypatch.setattr("utils.plots.Figure", BlankFigure)


@pytest.fixture(scope="session", autouse=True)
def no_syncing() -> Iterator[None]:
    """No file is forced to the disk: that takes milliseconds each, and shows only where a machine stops."""
    with pytest.MonkeyPatch.context() as replaced:
        replaced.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_links() -> Iterator[Callable[..., None]]:
    """Runs in this process leave no links to the newest run, so that a folder of runs holds them alone.

    Yields what makes the links.
    """
    from exp import latest

    point_to = latest.point_to
    with pytest.MonkeyPatch.context() as replaced:
        replaced.setattr(latest, "point_to", lambda *_, **__: None)
        yield point_to


@pytest.fixture
def links(no_links: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs leave links to the newest run, as they do for users."""
    monkeypatch.setattr("exp.latest.point_to", no_links)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file can grow beyond 1 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def little_memory() -> Iterator[None]:
    """The process can take no more than 64 MiB beyond what it has."""
    before, pages = resource.getrlimit(resource.RLIMIT_AS), int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**26, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a GPT-2 of width 24 with 3 blocks and 16 positions."""
    return save_gpt2(tmp_path_factory.mktemp("llm") / "tiny-gpt2")


@pytest.fixture(scope="session")
def tiny_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A word-embedding file of width 24 that does not say where it comes from."""
    import torch

    from layers.word_embeddings import WordEmbeddings, principal_words, save_word_embeddings

    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("words") / "words.pt"
    save_word_embeddings(path, WordEmbeddings(principal_words(torch.randn(VOCABULARY, WIDTH), 10)))
    return path


def hourly_table(rows: int = 400, channels: int = 3, seed: int = 0) -> pd.DataFrame:
    """An hourly series with a daily season; columns ``date``, ``c0``, …, ``OT``."""
    random = np.random.default_rng(seed)
    hours = np.arange(rows)[:, None]
    values = 10 + np.sin(2 * np.pi * hours / 24 + np.arange(channels)) + 0.1 * random.normal(size=(rows, channels))
    names = [f"c{i}" for i in range(channels - 1)] + ["OT"]
    table = pd.DataFrame(values, columns=names)
    table.insert(0, "date", pd.date_range("2024-01-01", periods=rows, freq="h"))
    return table


@pytest.fixture
def write_csv(tmp_path: Path) -> WriteCsv:
    """Write a table (by default :func:`hourly_table`) to a CSV file in the test's folder."""

    def write(table: pd.DataFrame | None = None, name: str = "data.csv", **table_options: int) -> Path:
        path = tmp_path / name
        (hourly_table(**table_options) if table is None else table).to_csv(path, index=False)
        return path

    return write


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory: what a run writes lands there."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


Tiny = Callable[..., list[str]]


@pytest.fixture
def tiny(tiny_gpt2: Path, tiny_words: Path, write_csv: WriteCsv, workplace: Path) -> Tiny:
    """Flags of a tiny run on an hourly file of three channels; keyword arguments are more flags."""
    from tests.helpers.commands import tiny_run

    csv = write_csv()

    def flags(**more: object) -> list[str]:
        return tiny_run(csv, tiny_gpt2, tiny_words, **more)

    return flags
