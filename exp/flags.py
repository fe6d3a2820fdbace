"""The flags of the command line. Light: ``--help`` and a wrong flag wait for nothing."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

DESCRIPTION = "Train, test and compare CALF from the command line."
UNSET: Any = object()

# Flags of the release that CALF never reads. They are accepted so that its command lines run unchanged.
WITHOUT_EFFECT = {
    "label_len": int, "mask_rate": float, "anomaly_ratio": float, "top_k": int,
    "num_kernels": int, "enc_in": int, "dec_in": int, "c_out": int, "d_model": int, "n_heads": int, "e_layers": int,
    "d_layers": int, "d_ff": int, "moving_avg": int, "factor": int, "dropout": float, "embed": str,
    "activation": str, "devices": str, "p_hidden_layers": int,
}  # fmt: skip
# M4 has its own windows and files, and writes its forecasts in its own way.
M4_HAS_ITS_OWN = {
    "data_path", "features", "target", "freq", "seq_len", "pred_len", "num_workers", "save_arrays", "inverse",
    "date_col", "fill", "tz", "interval",
}  # fmt: skip
SAMPLE_HAS_ITS_OWN = {"root_path", "data_path", "date_col", "fill", "tz"}
M4_ALONE = {"seasonal_patterns", "m4_protocol", "m4_draws"}
TARGETS = {"target_data", "target_root_path", "target_data_path"}
TEST_ALONE = {"save_arrays", "inverse", "num_workers", "eval_batch_size", "compile"}
NOT_IN_A_TEST = {"overwrite", "resume", "grad_checkpoint", "log"}
SWITCHES_WITHOUT_EFFECT = ("distil", "output_attention", "use_multi_gpu")


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one message, without sixty flags of usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\nSee python {self.prog} --help.\n")


def build_parser() -> Parser:
    """The command line: flags keep the names they have in the release."""
    parser = Parser(
        "run.py", description=DESCRIPTION, allow_abbrev=False, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    _add_run(parser.add_argument_group("the run"))
    _add_data(parser.add_argument_group("data"))
    _add_forecast(parser.add_argument_group("forecast of the future"))
    _add_model(parser.add_argument_group("model and backbone"))
    _add_training(parser.add_argument_group("training"))
    _add_places(parser.add_argument_group("device and output"))
    _add_without_effect(parser.add_argument_group("accepted, without effect on CALF"))
    return parser


def _add_run(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--task_name", default="long_term_forecast", help="long_term_forecast, or short_term_forecast for M4"
    )
    group.add_argument("--is_training", type=_switch, default=1, help="1 trains and tests; 0 tests a checkpoint")
    group.add_argument("--model", default="CALF", help="CALF")
    group.add_argument("--model_id", help="first part of the run's name; the data set's name if left out")
    group.add_argument("--des", default="test", help="description, part of the run's name")
    group.add_argument("--seed", type=_integer, default=2021, help="seed of the (first) run")
    group.add_argument("--itr", type=_positive, default=1, help="runs, with seeds seed, seed + 1, …")
    group.add_argument("--overwrite", action="store_true", help="repeat what is finished already")
    group.add_argument(
        "--resume", default="auto",
        help="auto: a training that was stopped goes on after its last finished epoch; never: it begins anew; or the "
        "checkpoint folder of a stopped training to go on from, also with other --train_epochs and --patience",
    )  # fmt: skip
    group.add_argument("--dry_run", action="store_true", help="print configuration, windows and what trains; no more")


def _add_data(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--data",
        help="ETTh1, ETTh2, ETTm1, ETTm2, weather, electricity, traffic, illness; m4; custom, an own CSV; "
        "sample, embedded data that need no file. If left out: custom with --data_path, else sample "
        "(m4 with --task_name short_term_forecast)",
    )  # fmt: skip
    group.add_argument("--root_path", help="folder of the file; the data set's own below $CALF_DATASETS or ./datasets")
    group.add_argument("--data_path", help="the CSV file; needed for custom")
    group.add_argument(
        "--features", default="M", help="M: all channels to all; S: the target alone; MS: all to the target"
    )
    group.add_argument("--target", default="OT", help="the target column")
    group.add_argument("--date_col", help="the column of dates; if left out date, else the first that holds dates")
    group.add_argument("--freq", help="step between rows (h, 15min, D, W, MS); inferred from the dates if left out")
    group.add_argument("--fill", help="fill gaps and missing values, linear or ffill; they are refused if left out")
    group.add_argument("--tz", help="time zone of a clock that writes no offsets from UTC, like Europe/Berlin")
    group.add_argument(
        "--check_data", action="store_true", help="report on the file (gaps, missing values, outliers …); train nothing"
    )
    group.add_argument("--seq_len", type=_integer, default=96, help="steps the model sees")
    group.add_argument("--pred_len", type=_integer, default=96, help="steps it forecasts")
    group.add_argument(
        "--percent", type=_integer, default=100, help="few-shot: train on this share of the training rows"
    )
    group.add_argument(
        "--seasonal_patterns", default="Monthly", help="of m4: Yearly, Quarterly, Monthly, Weekly, Daily, Hourly"
    )
    group.add_argument(
        "--m4_protocol", default="holdout",
        help="of m4: holdout chooses the best epoch on the last horizon of the training series; release, as the "
        "released code, on the test set",
    )  # fmt: skip
    group.add_argument(
        "--m4_draws", type=_positive,
        help="of m4: samples of each series in an epoch; if left out 1 with --m4_protocol release, else as many as "
        "make 48,000 samples",
    )  # fmt: skip
    group.add_argument("--zero_shot", type=_switch, default=0, help="1 tests on --target_data, not on --data")
    group.add_argument("--target_data", help="data sets of the zero-shot test, with commas between")
    group.add_argument("--target_root_path", help="folder of their files, if not their own")
    group.add_argument("--target_data_path", help="their files, with commas between; needed for custom")


def _add_forecast(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--do_predict", action="store_true",
        help="forecast what comes after the file's end; with --is_training 0 from a checkpoint, without a test",
    )  # fmt: skip
    group.add_argument(
        "--predict_len", type=_positive,
        help="steps to forecast; pred_len if left out. More than that rolls the forecast forward",
    )  # fmt: skip
    group.add_argument(
        "--interval", default="0.9", help="nominal coverage of the prediction intervals, or several: 0.5,0.9"
    )


def _add_model(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--llm", default="gpt2", help="the GPT-2: a hub name or a local folder; gpt2-tiny for trials")
    group.add_argument("--llm_init", default="pretrained", help="pretrained weights, or random ones (no download)")
    group.add_argument("--gpt_layers", "--gpt_layer", type=_positive, default=6, help="blocks of it to use")
    group.add_argument(
        "--word_embedding_path", help="file of principal word embeddings (pca.py); made when missing, one per backbone"
    )
    group.add_argument("--lora", type=_switch, default=1, help="1 adds LoRA to the time branch; 0 leaves it out")
    group.add_argument("--r", type=_positive, default=8, help="LoRA rank")
    group.add_argument("--lora_alpha", type=_positive, default=32, help="LoRA scale times rank")
    group.add_argument("--lora_dropout", type=_share, default=0.1, help="dropout on LoRA's input")


def _add_training(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--train_epochs", type=_positive, default=10, help="epochs at most")
    group.add_argument("--batch_size", type=_positive, default=32, help="windows per batch, over all processes")
    group.add_argument(
        "--accumulate",
        type=_positive,
        default=1,
        help="batches per step of the optimiser; an epoch has whole steps alone",
    )
    group.add_argument("--patience", type=_positive, default=3, help="stop after that many epochs without a better one")
    group.add_argument("--learning_rate", type=_rate, default=1e-4, help="of all but the alignment parameters (1e-4)")
    group.add_argument(
        "--cos", type=_switch, default=1,
        help="1: cosine schedule, rising again after tmax epochs as in the release; 0: --lradj",
    )  # fmt: skip
    group.add_argument("--tmax", type=_positive, default=20, help="epochs of half a cosine period")
    group.add_argument("--lradj", default="type1", help="schedule without cosine: type1, type2, type3, type4")
    group.add_argument("--decay_fac", type=_rate, default=0.5, help="factor per epoch of type2 and type4")
    group.add_argument(
        "--task_loss", default="l1", help="forecast against truth: l1, smooth_l1, mse; of m4 also smape, mase, mape"
    )
    group.add_argument("--output_loss", default="l1", help="forecast against the text branch's, likewise")
    group.add_argument("--feature_loss", default="l1", help="features of both branches: l1, smooth_l1, mse")
    group.add_argument("--task_w", type=_weight, default=1.0, help="weight of the task loss")
    group.add_argument("--output_w", type=_weight, default=1.0, help="weight of the output loss")
    group.add_argument("--feature_w", type=_weight, default=0.01, help="weight of the feature loss")
    group.add_argument(
        "--precision", help="matrix products in fp32, bf16 or fp16 (CUDA, with loss scaling); fp32 if left out"
    )
    group.add_argument("--use_amp", action="store_true", help="--precision bf16 where the device has bfloat16")


def _add_places(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    group.add_argument("--use_gpu", type=_truth, default=True, help="1 or 0; 0 keeps auto on the CPU")
    group.add_argument("--gpu", type=_integer, default=0, help="which card auto and cuda mean")
    group.add_argument(
        "--eval_batch_size",
        type=_positive,
        help="windows per batch of validation and test; as many as fit well if left out",
    )
    group.add_argument(
        "--compile", default="0",
        help="1: torch.compile; or one of its modes, of which reduce-overhead and max-autotune use CUDA graphs",
    )  # fmt: skip
    group.add_argument(
        "--grad_checkpoint", type=_switch, default=0,
        help="1 saves memory while training: activations are computed again in the backward pass",
    )  # fmt: skip
    group.add_argument("--log", default="csv", help="figures of each epoch: csv, tensorboard or none")
    group.add_argument("--num_workers", type=_whole, default=0, help="loader processes; 0 is the fastest here")
    group.add_argument("--checkpoints", default="./checkpoints/", help="folder of all checkpoints")
    group.add_argument(
        "--load", help="with --is_training 0: test this checkpoint folder; all but the data file is as in training"
    )
    group.add_argument("--save_arrays", type=_switch, default=1, help="0 leaves out pred.npy and true.npy")
    group.add_argument("--inverse", action="store_true", help="write pred.npy and true.npy in the data's units")


def _add_without_effect(group: argparse._ArgumentGroup) -> None:
    unread = argparse.SUPPRESS
    for name, kind in WITHOUT_EFFECT.items():
        group.add_argument(f"--{name}", type=kind, default=unread, help=unread)
    group.add_argument("--p_hidden_dims", type=int, nargs="+", default=unread, help=unread)
    for name in SWITCHES_WITHOUT_EFFECT:
        group.add_argument(f"--{name}", action="store_true", default=unread, help=unread)
    names = (*WITHOUT_EFFECT, "p_hidden_dims", *SWITCHES_WITHOUT_EFFECT)
    group.description = ", ".join(f"--{name}" for name in names)


def _number(kind: type, accept: Callable[[Any], bool], wanted: str) -> Callable[[str], Any]:
    """A converter for argparse that says what it wanted."""

    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not accept(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
        return value

    return convert


_integer = _number(int, lambda n: True, "a whole number")
_positive = _number(int, lambda n: n >= 1, "a whole number of at least 1")
_whole = _number(int, lambda n: n >= 0, "a whole number of at least 0")
_switch = _number(int, lambda n: n in (0, 1), "0 or 1")
_share = _number(float, lambda p: 0 <= p < 1, "a number from 0 to below 1")
_rate = _number(float, lambda r: 0 < r < float("inf"), "a positive number")
_weight = _number(float, lambda w: 0 <= w < float("inf"), "a number of at least 0")


def _truth(text: str) -> bool:
    """0 and 1, and the True and False that the release's users write."""
    if text.lower() not in ("0", "1", "true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is not 0 or 1")
    return text.lower() in ("1", "true")


def parse(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, set[str]]:
    """Parse the command line; also the names of the flags that were given."""
    parser = build_parser()
    marked = argparse.Namespace(**dict.fromkeys(vars(parser.parse_args([])), UNSET))
    given = {name for name, value in vars(parser.parse_args(argv, namespace=marked)).items() if value is not UNSET}
    args = parser.parse_args(argv)
    for name in ("root_path", "data_path", "target_root_path", "target_data_path"):
        if getattr(args, name) == "":
            parser.error(f"--{name} is empty; name a file or a folder, or leave the flag out")
    alone = "m4" if args.task_name == "short_term_forecast" else "sample"
    args.data = args.data or ("custom" if args.data_path else alone)
    return args, given


def idle_flags(args: argparse.Namespace, given: set[str]) -> list[str]:
    """One line for each group of given flags that cannot apply to this run."""
    from exp.stored import TRAINING_FLAGS
    from utils.device import processes

    decays = args.lradj in ("type2", "type4")
    cases = [
        ("on CALF", {*WITHOUT_EFFECT, "p_hidden_dims", *SWITCHES_WITHOUT_EFFECT}),
        (f"with --cos {args.cos}", {"lradj", "decay_fac"} if args.cos else {"tmax"}),
        (f"with --lradj {args.lradj}", set() if args.cos or decays else {"decay_fac"}),
        ("with --lora 0", set() if args.lora else {"r", "lora_alpha", "lora_dropout"}),
        ("with --data sample", SAMPLE_HAS_ITS_OWN if args.data == "sample" and not args.load else set()),
        (
            f"with --data {args.data}",
            M4_ALONE if args.data != "m4" and not args.load else set(),
        ),
        ("with --data m4", M4_HAS_ITS_OWN if args.data == "m4" else set()),
        ("with --zero_shot 0", set() if args.zero_shot else TARGETS),
        ("with --save_arrays 0", set() if args.save_arrays else {"inverse"}),
        ("with --output_w 0", set() if args.output_w else {"output_loss"}),
        ("with --feature_w 0", set() if args.feature_w else {"feature_loss"}),
        (f"with {processes()} processes", {"gpu"} if processes() > 1 else set()),
        ("with --device cpu", {"gpu"} if args.device == "cpu" or not args.use_gpu else set()),
        ("with --is_training 0", set() if args.is_training else {*TRAINING_FLAGS, *NOT_IN_A_TEST}),
        ("with --load", {"itr"} if args.load else set()),
        ("without --do_predict", set() if args.do_predict else {"predict_len"}),
        ("with --do_predict --is_training 0", TEST_ALONE if args.do_predict and not args.is_training else set()),
    ]
    return [
        f"no effect {when}: {', '.join(f'--{name}' for name in sorted(names & given))}"
        for when, names in cases
        if names & given
    ]
