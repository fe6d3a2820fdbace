"""Tell which flag is meant by a name that there is not. Light: a wrong flag is answered at once."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import Field
from difflib import get_close_matches

CLOSE = 0.7  # of 1: how alike a mistyped name has to be
# The words of other tools for what a flag here says.
OTHER_WORDS = {
    flag: words.split()
    for flag, words in {
        "pred_len": "horizon h fh steps n_steps forecast_horizon forecast_len forecast_length prediction_length "
        "prediction_len output_len output_size output_chunk_length max_prediction_length periods",
        "seq_len": "lookback look_back lookback_window input_size input_len input_length input_chunk_length "
        "context context_length context_len history window window_size max_encoder_length lags n_lags",
        "train_epochs": "epoch epochs max_epochs num_epochs n_epochs num_train_epochs max_steps iterations",
        "learning_rate": "lr rate learning_rate_init",
        "batch_size": "batch bs per_device_train_batch_size train_batch_size",
        "data_path": "file csv path input input_file filename file_path csv_path data_file dataset_path train_file",
        "root_path": "root data_dir data_root folder input_dir",
        "data": "dataset dataset_name",
        "freq": "frequency step timestep resolution interval_length",
        "season": "season_length seasonality seasonal_period seasonal_periods period sp",
        "interval": "quantile quantiles confidence confidence_level level levels coverage prediction_interval",
        "checkpoints": "output_dir out_dir save_dir save_path model_dir default_root_dir checkpoint_dir ckpt_dir",
        "output": "out output_file outfile output_path output_csv forecast_file save_to",
        "load": "checkpoint checkpoint_path ckpt ckpt_path model_path load_from restore pretrained_path",
        "resume": "resume_from resume_from_checkpoint continue",
        "gpu": "gpu_id gpus cuda_device device_id",
        "device": "accelerator cpu cuda",
        "holidays": "country countries country_code country_name country_holidays",
        "target": "target_col target_column y label value_col",
        "date_col": "date date_column time_col time_column timestamp timestamp_column datetime ds",
        "id_col": "id unique_id series_id item_id id_column group group_col group_by",
        "future_cols": "exog covariates known_covariates known_future futr_exog_list regressors future_covariates",
        "columns": "column cols usecols value_cols",
        "missing": "na na_values null missing_value missing_values nan",
        "fill": "fillna fill_missing interpolate imputation",
        "tz": "timezone time_zone",
        "llm": "backbone base_model language_model pretrained_model",
        "lora": "use_lora peft",
        "precision": "fp16 bf16 amp mixed_precision dtype",
        "seed": "random_seed random_state",
        "itr": "runs repeats n_seeds num_seeds",
        "patience": "early_stopping early_stopping_patience early_stop",
        "num_workers": "workers n_jobs",
        "do_predict": "predict forecast do_forecast",
        "is_training": "train do_train training eval_only test_only",
        "predict_len": "predict_steps future_steps",
        "overwrite": "force overwrite_output_dir",
        "config": "config_file settings params yaml",
        "name": "run_name experiment_name run_id exp_name",
        "log": "logger logging report_to",
    }.items()
}
_MEANT = {word: flag for flag, words in OTHER_WORDS.items() for word in words}


def closest(word: str, known: Mapping[str, Field]) -> str | None:
    """Return the flag that a name without dashes means: by another tool's word, by its beginning, or by its letters."""
    word = re.sub(r"[\s-]+", "_", word.lower())
    names = {alias: name for name, one in known.items() for alias in (name, *one.metadata["aliases"])}
    lower = {name.lower(): flag for name, flag in names.items()}
    if word in lower:
        return lower[word]
    if _MEANT.get(word) in known:
        return _MEANT[word]
    beginnings = sorted((name for name in lower if len(word) > 2 and name.startswith(word)), key=len)
    alike = beginnings or get_close_matches(word, lower, n=1, cutoff=CLOSE)
    return lower[alike[0]] if alike else None


def did_you_mean(words: Iterable[str], known: Mapping[str, Field]) -> str:
    """Return what ends a message about unknown arguments: the flags that they may mean; empty for none."""
    unknown = dict.fromkeys(word.split("=")[0] for word in words if re.match("--?[A-Za-z]", word))
    meant = {word: flag for word in unknown if (flag := closest(word.lstrip("-"), known))}
    shown = [f"--{flag}{f' for {word}' if len(unknown) > 1 else ''}" for word, flag in meant.items()]
    return f"; did you mean {', '.join(shown)}?" if shown else ""
