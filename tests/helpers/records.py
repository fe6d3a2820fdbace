"""Build records of runs that never ran, in the format that experiments write."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from utils.m4.patterns import PATTERNS
from utils.results import FORMAT

RUN = {
    "model_id": "test", "des": "test", "batch_size": 256, "accumulate": 1, "train_epochs": 100, "patience": 10,
    "learning_rate": 0.0005, "cos": 1, "tmax": 20, "lradj": "type1", "decay_fac": 0.5, "precision": "fp32",
}  # fmt: skip
MODELS = {
    "CALF": {
        "gpt_layers": 6, "word_embedding_path": None, "lora": 1, "r": 8, "lora_alpha": 32, "lora_dropout": 0.1,
        "task_loss": "l1", "output_loss": "l1", "feature_loss": "l1", "task_w": 1.0, "output_w": 1.0, "feature_w": 0.01,
    },
    "DLinear": {"moving_avg": 25, "individual": 0, "task_loss": "mse"},
}  # fmt: skip
ENVIRONMENT = {
    "device": "CPU, 2 threads", "machine": "x86_64", "python": "3.11.7", "torch": "2.13.0", "transformers": "5.24.0",
    "commit": "abc123",
}  # fmt: skip


def record(
    task: tuple[str, str, list[str]],
    data: Mapping[str, Any],
    scores: Mapping[str, Any],
    *,
    seed: int = 2021,
    model: str = "CALF",
    llm: str = "gpt2",
    init: str = "random",
    sizes: Mapping[str, int],
    **flags: Any,
) -> dict[str, Any]:
    """Return a record of any task.

    Args:
        task: name, title and metrics.
        data: name, config and what else stands there.
        scores: by metric, and ``metrics``, the reports by forecaster.
        seed: of the run.
        model: its name; CALF alone has a backbone.
        llm: the backbone's name.
        init: how the backbone was initialized.
        sizes: the fields of the model's configuration that are no flags.
        flags: set in place of the defaults, in the group of flags that has them.
    """
    backbone = {
        "name": llm, "init": init, "fingerprint": f"{init}-{seed if init == 'random' else 0}", "stored": True,
        "config": {"n_embd": 768},
    }  # fmt: skip
    has_backbone = model == "CALF"
    origin = {"backbone": backbone, "word_embeddings": {"file": "words.pt", "llm": "gpt2", "token_fingerprint": "1a"}}
    own = {**sizes, **MODELS.get(model, {}), **({"llm": llm, "llm_init": init} if has_backbone else {})}
    groups = {"run": dict(RUN), "data": dict(data["config"]), "model": own}
    for name, value in flags.items():
        next(group for group in groups.values() if name in group)[name] = value
    return {
        "format": FORMAT,
        "task": dict(zip(("name", "title", "metrics"), task, strict=True)),
        "run": {
            "setting": f"{task[0]}_{model}_{data['name']}_{seed}",
            "seed": seed,
            "config": {"task_name": task[0], **groups["run"]},
            "best": {"epoch": 3},
            "training": {"epochs": [], "seconds": 1.0, "data_digest": "d1", "environment": ENVIRONMENT},
            "environment": ENVIRONMENT,
        },
        "data": {"digest": "d1", **data, "config": groups["data"]},
        "model": {"name": model, "config": groups["model"], "origin": origin if has_backbone else {}},
        "scores": dict(scores),
    }


def long_term(
    data: str = "ETTh1",
    pred_len: int = 96,
    seed: int = 2021,
    mse: float = 0.4,
    mae: float = 0.5,
    *,
    model: str = "CALF",
    percent: int = 100,
    target: str | None = None,
    naive: float = 1.0,
    seq_len: int = 96,
    features: str = "M",
    task: tuple[str, str, list[str]] = ("long_term_forecast", "Long-term forecasting", ["mse", "mae"]),
    **flags: Any,
) -> dict[str, Any]:
    """Return a record of a test on windows; MAE of the naive forecast is half of ``naive``, its MSE.

    Args:
        data: the data set trained on.
        target: the data set tested on, of a zero-shot test.
        task: name, title and metrics of another task than long-term forecasting.
        flags: ``llm`` and ``init`` of the backbone, or any flag.
    """
    config = {
        "data": data, "seq_len": seq_len, "pred_len": pred_len, "features": features, "target": "OT",
        "percent": percent, "freq": None, "date_col": None, "fill": None, "tz": None,
        "future_cols": None, "calendar": 0, "holidays": None,
        "file": f"/somewhere/{data}/{data}.csv",
    }  # fmt: skip
    reports = {model: (mse, mae), "naive": (naive, naive / 2), "seasonal_naive": (naive / 4, naive / 8)}
    metrics = {
        name: {"windows": 10, "standardised": {"mse": first, "mae": second}}
        for name, (first, second) in reports.items()
    }
    place = {"name": data, "config": config, **({"target_data": target} if target else {})}
    sizes = {"seq_len": seq_len, "pred_len": pred_len, "channels": 7, "season": 24}
    scores = {"mse": mse, "mae": mae, "metrics": metrics, "arrays": "standardised"}
    return record(task, place, scores, seed=seed, model=model, sizes=sizes, **flags)


def m4(
    pattern: str,
    seed: int = 2021,
    smape: float = 10.0,
    mase: float = 2.0,
    *,
    model: str = "CALF",
    naive2: bool = True,
    selected_on: str = "validation",
    series: int | None = None,
    **flags: Any,
) -> dict[str, Any]:
    """Return a record of one pattern of M4, on which Naive2, if known, has sMAPE 16 and MASE 2.5."""
    horizon, season = PATTERNS[pattern].horizon, PATTERNS[pattern].season
    config = {
        "data": "m4", "seasonal_patterns": pattern, "m4_draws": None, "root_path": "/somewhere/m4",
        "m4_protocol": "release" if selected_on == "test" else "holdout",
    }  # fmt: skip
    pairs = {model: (smape, mase), "naive": (20.0, 3.0), **({"naive2": (16.0, 2.5)} if naive2 else {})}
    metrics = {
        name: {
            "series": series or PATTERNS[pattern].series, "smape": a, "mase": b, "mape": 20.0,
            "owa": (a / 16 + b / 2.5) / 2 if naive2 else None, "without_scale": 0,
        }
        for name, (a, b) in pairs.items()
    }  # fmt: skip
    task = ("short_term_forecast", "Short-term forecasting", ["smape", "mase", "mape", "owa"])
    data = {"name": "m4", "config": config, "selected_on": selected_on, "naive2": "computed"}
    sizes = {"seq_len": 2 * horizon, "pred_len": horizon, "channels": 1, "season": season}
    scores = {**{name: metrics[model][name] for name in task[2]}, "metrics": metrics}
    return record(task, data, scores, seed=seed, model=model, sizes=sizes, **flags)


def write(folder: Path, content: Mapping[str, Any]) -> Path:
    """Save a record as a run does."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "metrics.json"
    path.write_text(json.dumps(content))
    return path
