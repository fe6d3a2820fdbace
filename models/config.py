"""Describe what every forecaster is configured by. Light: ``--help`` reads it without PyTorch."""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from utils.errors import UserError
from utils.flags import MODEL_NAME, SHARE, SWITCH, TEXT, Kind, choice, flag, whole

FEATURE_LOSSES = ("l1", "smooth_l1", "mse")
FORECAST_LOSSES = (*FEATURE_LOSSES, "smape", "mape", "mase")
TASK_LOSSES = (*FORECAST_LOSSES, "ce")
STAND_INS = ("none", "linear", "attention", "transformer")  # of layers/stand_ins.py
WORDS = ("pca", "random", "learned", "topk")
FREEZES = ("none", "paper", "all")
SWITCHES = ("backbone", "text_branch", "freeze", "words", "channel_order", "lora", "task_w", "output_w", "feature_w")
OF_WINDOWS = {"reconstructs": 0, "classes": 0, "mean_of_all": 0}  # sizes of models that forecast nothing
# What follows from data and task, with the least it can be.
SIZES = {"seq_len": 1, "pred_len": 1, "channels": 1, "season": 1, "known": 0, **OF_WINDOWS}
PATCH_HELP, STRIDE_HELP = "steps of a patch", "steps from the start of one patch to that of the next"
MARKS_HELP = "1: reads hour, weekday, day of month and day of year of the steps it sees"
LOSS_HELP = "output against truth: l1, smooth_l1, mse; of m4 also smape, mape, mase; of classification ce alone"

CHANNEL_ORDER = Kind(
    str,
    lambda text: text in ("file", "reversed") or re.fullmatch(r"random:[0-9]{1,9}", text) is not None,
    "file, reversed or random:SEED",
)
_LARGEST = 1_000_000  # as the flags: larger numbers come from damaged files


@dataclass(frozen=True)
class ModelConfig:
    """What a forecaster is built from. Subclasses add their flags (``utils.flags.flag``).

    Attributes:
        trains: whether there is anything to train.
        chooses: whether it is trained by choosing among other models.
        slow: whether a forecast takes so long that a test of every window may take hours.
        seq_len: L, steps the model sees.
        pred_len: H, steps it forecasts.
        channels: C, columns of the series.
        season: steps of one season of the data; 1 where there is none.
        known: F, columns known in advance.
        reconstructs: 1 for a model that gives back the window that it sees, H = L, in place of a forecast.
        classes: K, of a model that classifies windows; 0 for any other.
        mean_of_all: 1 for imputation with means over all steps, hidden ones too, as in the authors' code of CALF.
        takes_known: whether the model reads columns known in advance.
        takes_visible: whether ``forward`` is told which values are hidden; else it sees zeros there.
    """

    trains: ClassVar[bool] = True
    chooses: ClassVar[bool] = False
    slow: ClassVar[bool] = False
    takes_known: ClassVar[bool] = False
    takes_visible: ClassVar[bool] = False

    seq_len: int
    pred_len: int
    channels: int
    season: int = 1
    known: int = 0
    reconstructs: int = 0
    classes: int = 0
    mean_of_all: int = 0
    task_loss: str = flag("mse", choice(*TASK_LOSSES), LOSS_HELP, training=True)

    def __post_init__(self) -> None:
        for name, least in SIZES.items():
            size, value = whole(least, _LARGEST), getattr(self, name)
            if type(value) is not int or not size.accepts(value):
                raise UserError(f"{name} {str(value)[:40]} is not {size.wanted}.")
        if self.known and not self.takes_known:
            raise UserError("this model cannot read columns known in advance.")

    @property
    def of_window(self) -> bool:
        """Return whether the model looks at the window that it sees and no further: it forecasts nothing."""
        return bool(self.reconstructs or self.classes)

    @property
    def reads_marks(self) -> bool:
        """Return whether ``forward`` takes calendar marks."""
        return bool(getattr(self, "marks", False))

    @property
    def any_channels(self) -> bool:
        """Return whether the weights serve any number of channels, so that data sets with different ones can share."""
        return True

    @property
    def slug(self) -> str:
        """Return what tells this configuration from others in the name of a run; empty for nothing."""
        return ""

    @property
    def switches(self) -> dict[str, str]:
        """Return the flags that make another model of this one, an ablation, by name; empty for the model itself."""
        return {}


_WIDTH = whole(high=100_000)


@dataclass(frozen=True)
class EncoderConfig(ModelConfig):
    """What forecasters of Transformer encoder layers are built from."""

    d_model: int = flag(512, _WIDTH, "width of the tokens")
    d_ff: int = flag(2048, _WIDTH, "width between the two maps of a feed-forward part")
    n_heads: int = flag(8, whole(high=10_000), "heads of each attention")
    e_layers: int = flag(2, whole(high=1000), "encoder layers")
    dropout: float = flag(0.1, SHARE, "dropout in training")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads(self.d_model, self.n_heads, " (--n_heads)")


@dataclass(frozen=True)
class BackboneConfig(ModelConfig):
    """What forecasters on the first blocks of a language model are built from."""

    llm: str = flag("gpt2", MODEL_NAME, "the language model: a hub name or a local folder; gpt2-tiny for trials")
    llm_init: str = flag("pretrained", choice("pretrained", "random"), "pretrained weights, or random ones")
    gpt_layers: int = flag(6, whole(high=1000), "blocks of it to use", aliases=("gpt_layer",))

    @property
    def slug(self) -> str:
        return f"{Path(self.llm).name}-{self.llm_init}{self.gpt_layers}"


@dataclass(frozen=True)
class ChoiceConfig(BackboneConfig):
    """What to choose from; the language model is that of candidates that stand on one."""

    chooses: ClassVar[bool] = True
    takes_known: ClassVar[bool] = True

    candidates: str | None = flag(
        None, TEXT, "models to compare, with commas between: Naive,DLinear,CALF; those that fit if left out"
    )
    task_loss: str = flag("l1", choice(*FORECAST_LOSSES), LOSS_HELP, training=True)  # what candidates are compared by


@dataclass(frozen=True)
class StatisticalConfig(ModelConfig):
    """What forecasters are built from that are fitted on each window anew, by the optional package statsforecast."""

    trains: ClassVar[bool] = False
    slow: ClassVar[bool] = True

    history: int | None = flag(
        None, whole(high=_LARGEST), "rows before each forecast to fit on; if left out, it follows from the season"
    )
    multiplicative: int = flag(
        0, SWITCH, "1: errors and seasons may be factors where a series is above 0; for data in their units (m3, m4)"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if find_spec("statsforecast") is None:
            remedy = 'python -m pip install "statsforecast>=2.0.3,<2.1"'  # later ones put back pandas
            raise UserError(f"AutoETS, AutoTheta and MSTL need the package statsforecast: {remedy}.")


def check_heads(width: int, heads: int, named: str = "") -> None:
    """Raise UserError where a width cannot be shared among attention heads, whose flag is ``named`` if there is one."""
    if width % heads:
        raise UserError(f"--d_model {width} cannot be shared among {heads} heads{named}: choose a multiple.")
