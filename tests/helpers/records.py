"""Records of runs that never ran, as the experiments write them."""

import json
from pathlib import Path
from typing import Any

from utils.m4.patterns import PATTERNS

SETTINGS = {"learning_rate": 0.0005, "cosine": True, "tmax": 20, "lradj": "type1", "decay_fac": 0.5}
LOSS = {"task": "l1", "output": "l1", "feature": "l1", "task_w": 1.0, "output_w": 1.0, "feature_w": 0.01}


def long_term(
    data: str = "ETTh1",
    pred_len: int = 96,
    seed: int = 2021,
    mse: float = 0.4,
    mae: float = 0.5,
    *,
    percent: int = 100,
    target: str | None = None,
    llm: str = "gpt2",
    init: str = "random",
    naive: float = 1.0,
    seq_len: int = 96,
    features: str = "M",
    **config: Any,
) -> dict[str, Any]:
    """A long-term, few-shot or zero-shot record; MAE of the naive forecast is half of ``naive``, its MSE."""
    reports = {"CALF": (mse, mae), "naive": (naive, naive / 2), "seasonal_naive": (naive / 4, naive / 8)}
    windows = {
        "data": data, "seq_len": seq_len, "pred_len": pred_len, "features": features, "target": "OT",
        "percent": percent, "freq": None, "file": f"/somewhere/{data}/{data}.csv",
    }  # fmt: skip
    record = _record("long_term_forecast", data, seq_len, pred_len, seed, llm, init, windows, config)
    record |= {
        "mse": mse,
        "mae": mae,
        "metrics": {
            name: {"windows": 10, "standardised": {"mse": first, "mae": second}}
            for name, (first, second) in reports.items()
        },
    }
    return record | ({"target_data": target} if target else {})


def m4(
    pattern: str,
    seed: int = 2021,
    smape: float = 10.0,
    mase: float = 2.0,
    *,
    naive2: bool = True,
    selected_on: str = "validation",
    llm: str = "gpt2",
    init: str = "random",
    series: int | None = None,
    **config: Any,
) -> dict[str, Any]:
    """A record of one pattern of M4, on which Naive2, if known, has sMAPE 16 and MASE 2.5."""
    horizon = PATTERNS[pattern].horizon
    series = series or PATTERNS[pattern].series
    windows = {"data": "m4", "seasonal_patterns": pattern, "protocol": "holdout", "root_path": "/somewhere/m4"}
    record = _record("short_term_forecast", "m4", 2 * horizon, horizon, seed, llm, init, windows, config)
    scores = {"CALF": (smape, mase), "naive": (20.0, 3.0), **({"naive2": (16.0, 2.5)} if naive2 else {})}
    owa = {name: (a / 16 + b / 2.5) / 2 if naive2 else None for name, (a, b) in scores.items()}
    return record | {
        "seasonal_patterns": pattern,
        "selected_on": selected_on,
        "naive2": "computed",
        "smape": smape,
        "mase": mase,
        "mape": 20.0,
        "owa": owa["CALF"],
        "metrics": {
            name: {"series": series, "smape": a, "mase": b, "mape": 20.0, "owa": owa[name], "without_scale": 0}
            for name, (a, b) in scores.items()
        },
    }


def write(folder: Path, record: dict[str, Any]) -> Path:
    """Save a record as a run does."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "metrics.json"
    path.write_text(json.dumps(record))
    return path


def _record(
    task: str,
    data: str,
    seq_len: int,
    pred_len: int,
    seed: int,
    llm: str,
    init: str,
    windows: dict[str, Any],
    config: dict[str, Any],
) -> dict[str, Any]:
    """What the records of all tasks have."""
    return {
        "setting": f"{task}_{data}_{pred_len}_{seed}",
        "task_name": task,
        "model": "CALF",
        "data": data,
        "seq_len": seq_len,
        "pred_len": pred_len,
        "seed": seed,
        "backbone": {"name": llm, "init": init, "fingerprint": f"{init}-{seed if init == 'random' else 0}"},
        "word_embeddings": {"llm": "gpt2"},
        "best": {"epoch": 3},
        "config": {
            "task_name": task,
            "model": "CALF",
            "model_id": data,
            "description": "test",
            "data": windows,
            "gpt_layers": 6,
            "llm": llm,
            "llm_init": init,
            "lora": {"r": 8, "alpha": 32, "dropout": 0.1},
            "word_embedding_path": None,
            "loss": LOSS,
            "schedule": SETTINGS,
            "batch_size": 256,
            "train_epochs": 100,
            "patience": 10,
            "use_amp": False,
            "seed": seed,
            **config,
        },
        "environment": {"device": "CPU, 2 threads", "torch": "2.13.0", "commit": "abc123"},
    }
