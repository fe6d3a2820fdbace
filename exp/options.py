"""Declare the flags that say what a run does, where, and how it trains. Light: ``--help`` reads them."""

import math
import re
from dataclasses import dataclass
from functools import cached_property

from utils.errors import UserError
from utils.flags import (
    FILE,
    FOLDER,
    PATH,
    PRESENCE,
    PRESENCE_OR_SWITCH,
    SHARE,
    SWITCH,
    TENSORS,
    TEXT,
    Kind,
    choice,
    flag,
    whole,
)

# What --compile takes, and the mode of torch.compile that it means.
COMPILE = {"0": None, "1": "default", "reduce-overhead": "reduce-overhead", "max-autotune": "max-autotune"}

_SHUFFLE = re.compile(r"none|all|half|swap|patch:[1-9][0-9]{0,5}|zero:(0?\.[0-9]{1,9}|1)")
SHUFFLE = Kind(
    str, lambda text: _SHUFFLE.fullmatch(text) is not None, "none, all, half, swap, patch:STEPS or zero:SHARE"
)
# Flags that nothing but a forecast beyond the end of the data reads.
OF_A_FORECAST = frozenset({"predict_len", "future_path", "quantiles", "minimum", "maximum", "aggregate", "output"})
# Flags that tasks without a forecast do not read.
NOT_OF_WINDOWS = OF_A_FORECAST - {"output"} | {
    "inverse", "interval", "adaptive", "backtest", "verbose", "zero_shot", "target_data", "target_root_path",
    "target_data_path", "save_arrays",
}  # fmt: skip
LIMITS = frozenset({"minimum", "maximum"})  # which the past forecasts of a test keep to, too
AUTO, NONE = "auto", "none"
SUMS = ("sum", "day", "week", "month", "quarter", "year")
LIMIT = Kind(str, lambda text: is_limit(text), "a number, or none")
LEAST = Kind(str, lambda text: text == AUTO or is_limit(text), "a number, none or auto")
AGGREGATE = Kind(
    str, lambda text: are_sums(text.split(",")), "sum (over columns), day, week, month, quarter or year, or sum,month"
)
LEVELS = Kind(str, lambda text: text.isascii() and text != "", "a share between 0 and 1, like 0.9, or several: 0.5,0.9")
NAME = Kind(
    str, lambda text: re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", text) is not None,
    "at most 100 letters A to Z, digits, '.', '_' and '-', the first of them no '.'",
)  # fmt: skip


UNITS = {"s": 1, "m": 60, "h": 3600}
DURATION = Kind(
    str, lambda text: re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?[smh]", text) is not None and float(text[:-1]) > 0,
    "a number with s, m or h, like 90s, 10m or 2h",
)  # fmt: skip


def is_limit(text: str) -> bool:
    """Return whether a text is a finite number or ``none``."""
    try:
        return text == NONE or math.isfinite(float(text))
    except ValueError:
        return False


def are_sums(names: list[str]) -> bool:
    """Return whether names ask for sums over columns, over one kind of period, or both."""
    return len(names) in (1, 2) and set(names) <= set(SUMS) and (len(names) == 1 or (names.count("sum") == 1))


@dataclass(frozen=True)
class Command:
    """What one call of ``run.py`` is to do; none of it changes the figures of a run."""

    is_training: int = flag(1, SWITCH, "1 trains and tests; 0 tests a checkpoint")
    itr: int = flag(1, whole(high=10_000), "runs, with seeds seed, seed + 1, …", needs={"load": (None,)})
    seed_average: int = flag(
        0, PRESENCE_OR_SWITCH,
        "also test the mean of the forecasts of all --itr seeds, as one forecaster with one checkpoint: it costs as "
        "much as they do together", needs={"load": (None,)},
    )  # fmt: skip
    overwrite: bool = flag(False, PRESENCE, "repeat what is finished already", needs={"is_training": (1,)})
    dry_run: bool = flag(False, PRESENCE, "print configuration, windows and what trains; no more")
    check_data: bool = flag(False, PRESENCE, "report on the file (gaps, missing values, outliers …); train nothing")
    do_predict: int = flag(
        0, PRESENCE_OR_SWITCH,
        "forecast beyond the file's end; with --is_training 0 without a test. If left out, done for an own file",
    )  # fmt: skip
    do_impute: int = flag(
        0, PRESENCE_OR_SWITCH, "fill the missing values of the file by a model for imputation: imputed.csv",
        needs={"dry_run": (False,)},
    )  # fmt: skip
    do_detect: int = flag(
        0, PRESENCE_OR_SWITCH, "score the rows of the file by a model for anomaly detection: anomalies.csv, a picture",
        needs={"dry_run": (False,)},
    )  # fmt: skip
    do_classify: int = flag(
        0, PRESENCE_OR_SWITCH, "classify each case of the file by a model for classification: classes.csv",
        needs={"dry_run": (False,)},
    )  # fmt: skip
    refit: int | None = flag(
        None, SWITCH, "1: forecast with weights trained once more, on all rows; if left out, done for an own file",
        needs={"do_predict": (1,)},
    )  # fmt: skip
    load: str | None = flag(None, TENSORS, "checkpoint folder to test, with all but the data file as in its training")
    config: str | None = flag(
        None, PATH, "YAML file of flags (name: value), like results/<setting>/run.yaml; flags beside it win"
    )
    use_amp: bool = flag(False, PRESENCE, "--precision bf16 where the device has bfloat16")

    @property
    def uses(self) -> frozenset[str]:
        """Return the flags that ask for what a trained model is to do with the file."""
        asked = {
            "do_predict": self.do_predict,
            "do_impute": self.do_impute,
            "do_detect": self.do_detect,
            "do_classify": self.do_classify,
        }
        return frozenset(name for name, wanted in asked.items() if wanted)


@dataclass(frozen=True)
class TrainingOptions:
    """How a run trains, beside its learning rate.

    Attributes:
        averaged: seeds whose forecasts are averaged; 0 for a run of one seed.
    """

    train_epochs: int = flag(10, whole(high=1_000_000), "epochs at most")
    batch_size: int = flag(32, whole(high=10_000_000), "windows per batch, over all processes")
    accumulate: int = flag(
        1, whole(high=1_000_000), "batches per step of the optimizer; an epoch has whole steps alone"
    )
    patience: int = flag(3, whole(high=1_000_000), "stop after that many epochs without a better one")
    ema: float = flag(
        0.0, SHARE, "decay of a moving average of the weights over steps, which is validated and kept; 0: none"
    )
    init_from: str | None = flag(None, FOLDER, "checkpoint folder whose weights the training goes on from")
    time_limit: str | None = flag(
        None,
        DURATION,
        "end training when this much time has passed: 90s, 10m or 2h; the best epoch until then counts, and the "
        "training on all rows has as much again",
    )
    precision: str = flag("fp32", choice("fp32", "bf16", "fp16"), "of matrix products: fp32, bf16 or fp16 (CUDA alone)")
    averaged: int = 0

    @property
    def seconds(self) -> float:
        """Return how long training may take; infinite without a limit."""
        return math.inf if self.time_limit is None else float(self.time_limit[:-1]) * UNITS[self.time_limit[-1]]


@dataclass(frozen=True)
class RuntimeOptions:
    """Where and how a run happens, and what else is tested; none of it changes how a model is trained.

    Attributes:
        loaded_from: name of the checkpoint that is tested on other data than its own.
        part_of: path below the folders of checkpoints and results where a part of a run lies; None for a run.
        all_rows: train on all rows, with nothing left to validate or test on.
        goes_on: whether a forecast follows the test, and ends with what the test showed.
        seconds: how long a part of a run may train; infinite where ``--time_limit`` alone counts.
    """

    name: str | None = flag(None, NAME, "short name of the run's folders, in place of the long one of its flags")
    device: str = flag("auto", TEXT, "auto, cpu, cuda or cuda:N")
    use_gpu: int = flag(1, SWITCH, "0 keeps auto on the CPU")
    gpu: int = flag(0, whole(0, 1023), "which card auto and cuda mean", needs={"use_gpu": (1,)})
    num_workers: int = flag(0, whole(0, 64), "loader processes; 0 is the fastest here")
    checkpoints: str = flag("./checkpoints/", TENSORS, "folder of all checkpoints")
    save_arrays: int = flag(1, SWITCH, "0 leaves out pred.npy and true.npy")
    inverse: bool = flag(False, PRESENCE, "write these two in the data's units", needs={"save_arrays": (1,)})
    interval: str = flag("0.9", LEVELS, "nominal coverage of the prediction intervals, or several: 0.5,0.9")
    quantiles: str | None = flag(
        None, LEVELS, "shares of the future that lie below a value, like 0.1,0.5,0.9: columns q0.1 … of forecast.csv"
    )
    minimum: str = flag(
        AUTO, LEAST, "least value of a forecast and its bounds; auto: 0 for a column that was never negative; or none"
    )
    maximum: str = flag(NONE, LIMIT, "largest value of a forecast and its bounds")
    aggregate: str | None = flag(
        None, AGGREGATE,
        "also forecast sums, with intervals of their own: sum (over all columns), day, week, month, quarter, year "
        "(over time), or both: sum,month",
    )  # fmt: skip
    backtest: int | None = flag(
        None, whole(high=1000), "keep so many forecasts of the test, over the end of the file: backtest.csv, a picture"
    )
    verbose: bool = flag(False, PRESENCE, "of a file of your own, too, print all tables of a test")
    adaptive: int = flag(
        0, SWITCH, "1: intervals follow what they missed lately (adaptive conformal inference), for series that drift"
    )
    predict_len: int | None = flag(
        None, whole(high=10_000_000), "steps to forecast; pred_len if left out. More rolls the forecast forward"
    )
    future_path: str | None = flag(
        None, FILE, "file with dates and the columns of --future_cols after the end of the data, to forecast from"
    )
    output: str | None = flag(
        None,
        FILE,
        "CSV file that the forecast, or what else is asked for, is written to, beside the one with the results",
    )
    eval_batch_size: int | None = flag(
        None, whole(high=10_000_000), "windows per batch of validation and test; as many as fit well if left out"
    )
    compile: str = flag(
        "0", choice(*COMPILE), "1: torch.compile (slow first start); or reduce-overhead, max-autotune (CUDA graphs)"
    )
    grad_checkpoint: int = flag(0, SWITCH, "1 saves memory: activations are computed again in the backward pass")
    resume: str = flag(
        "auto", TENSORS,
        "auto: a training that was stopped goes on after its last finished epoch; never: it begins anew; or the "
        "checkpoint folder of a stopped training to go on from, also with other --train_epochs and --patience",
    )  # fmt: skip
    log: str = flag("csv", choice("csv", "tensorboard", "none"), "figures of each epoch: csv, tensorboard or none")
    shuffle_input: str = flag(
        "none", SHUFFLE,
        "test on windows whose steps are in another order (all, half, swap, patch:STEPS) or lost (zero:SHARE)",
        needs={"zero_shot": (0,)},
    )  # fmt: skip
    zero_shot: int = flag(0, SWITCH, "1 tests on --target_data, not on --data")
    target_data: str | None = flag(None, TEXT, "data sets to test on, with commas between", needs={"zero_shot": (1,)})
    target_root_path: str | None = flag(None, PATH, "folder of their files, if not theirs", needs={"zero_shot": (1,)})
    target_data_path: str | None = flag(None, PATH, "their files; needed for custom", needs={"zero_shot": (1,)})
    loaded_from: str | None = None
    part_of: str | None = None
    all_rows: bool = False
    goes_on: bool = False
    seconds: float = math.inf

    @property
    def compile_mode(self) -> str | None:
        """Return the mode of torch.compile; None for none."""
        return COMPILE[self.compile]

    @cached_property
    def shares(self) -> tuple[float, ...]:
        """Return the quantiles to show; UserError where ``--quantiles`` names none."""
        from utils.conformal import check_levels

        return check_levels(self.quantiles.split(","), "quantiles") if self.quantiles else ()

    @cached_property
    def levels(self) -> tuple[float, ...]:
        """Return the nominal coverages of the prediction intervals.

        Raises:
            UserError: ``--interval`` names none.
        """
        from utils.conformal import check_levels

        return check_levels(self.interval.split(","))


def check_limits(minimum: str, maximum: str) -> None:
    """Raise UserError where no value lies between two limits."""
    if minimum not in (AUTO, NONE) and maximum != NONE and float(minimum) > float(maximum):
        raise UserError(f"--minimum {minimum} is larger than --maximum {maximum}.")


def check_steps(steps: int, pred_len: int, features: str) -> None:
    """Raise UserError where a model cannot forecast as many steps: what it does not forecast cannot be rolled on."""
    if features == "MS" and steps > pred_len:
        raise UserError(
            f"--predict_len {steps}: with --features MS the model forecasts its target alone and cannot go beyond "
            f"--pred_len {pred_len}; train with a longer one."
        )
