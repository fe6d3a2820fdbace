"""Command lines for tests: a short run of a tiny network on a small file."""

import json
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import run
from exp.base import Experiment
from exp.config import RunConfig
from exp.flags import parse
from exp.long_term_forecast import LongTermForecast
from models import find_config
from utils.flags import flags_of

SMALL = {"gpt_layers": 1, "r": 2, "history": 24, "d_model": 16, "d_ff": 32, "n_heads": 2, "e_layers": 1}
SMALL.update(top_k=2, num_kernels=2)  # of TimesNet


def tiny_run(csv: Path, tiny_gpt2: Path, words: Path, /, **flags: object) -> list[str]:
    """Return the flags of a run that takes a second or two; ``flags`` are added and win."""
    options: dict[str, object] = {
        "data": "custom",
        "data_path": csv,
        "llm": tiny_gpt2,
        "word_embedding_path": words,
        "gpt_layers": 2,
        "seq_len": 24,
        "pred_len": 8,
        "batch_size": 64,
        "train_epochs": 1,
        "patience": 3,
        "learning_rate": 0.0001,
        "device": "cpu",
        "do_predict": 0,
        **flags,
    }
    return [part for name, value in options.items() if value is not None for part in (f"--{name}", str(value))]


def prepared(argv: list[str], kind: type[Experiment] = LongTermForecast) -> Any:
    """Return the experiment that flags ask for, ready to train."""
    experiment = kind(RunConfig.from_flags(parse(argv)))
    experiment.prepare()
    return experiment


def model_in(case: str) -> str:
    """Return the model of a case like ``CALF on bert``."""
    return case.partition(" on ")[0]


def small(case: str, tiny_gpt2: Path, words: Path) -> dict[str, object]:
    """Return values for a small model of any kind, on a tiny language model of any family: those its flags can take."""
    model, _, family = case.partition(" on ")
    on_gpt2 = {"llm": str(tiny_gpt2), "word_embedding_path": str(words)}
    values = {**SMALL, **({"llm": f"{family}-tiny", "llm_init": "random"} if family else on_gpt2)}
    return {name: value for name, value in values.items() if name in flags_of(find_config(model))}


def turn_off_dropout(model: nn.Module) -> None:
    """Set every rate of dropout in a model to 0."""
    for module in model.modules():
        for name in ("dropout", "p"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


def succeed(argv: list[str]) -> list[dict[str, Any]]:
    """Run in this process, which must succeed; return the records in the working directory, by seed."""
    assert run.main(argv) == 0
    records = [json.loads(path.read_text()) for path in Path("results").glob("*/metrics.json")]
    return sorted(records, key=lambda record: record["run"]["seed"])


def refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run in this process, which must end with one message, exit code 2 and no new file; return the message."""
    before = written(Path())
    assert run.main(argv) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "Traceback" not in error
    assert written(Path()) == before
    return error


def written(folder: Path) -> list[str]:
    """Return the path of every file below ``folder``."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
