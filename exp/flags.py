"""Build the command line from the fields that declare its flags. Light: ``--help`` and a wrong flag answer at once."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field
from typing import Any

from data_provider.config import DataConfig, M4Config
from data_provider.datasets import find_dataset
from exp.config import Command, RunConfig, RuntimeOptions, Training
from exp.experiments import TASKS
from models import MODELS, find_config
from utils.command import Parser, processes
from utils.flags import PRESENCE, convert, flags_of, idle_flags
from utils.schedule import Schedule

USAGE = """python run.py [flags]

forecast your own CSV:
  python run.py --data_path sales.csv --do_predict --llm gpt2-tiny --llm_init random

train and test at the published settings:
  python run.py --data ETTh1 --pred_len 96 --batch_size 256 --learning_rate 0.0005 --train_epochs 100 --patience 10

--model NAME --help shows the flags of that model."""

GROUPS = {
    "the run": RunConfig,
    "what to do": Command,
    "data": DataConfig,
    "data: M4": M4Config,
    "training": Training,
    "learning rate": Schedule,
    "device and output": RuntimeOptions,
}
# Flags of the release that nothing here reads. They are accepted so that its command lines run unchanged.
OF_RELEASE = (
    "label_len", "mask_rate", "anomaly_ratio", "top_k", "num_kernels", "enc_in", "dec_in", "c_out", "d_model",
    "n_heads", "e_layers", "d_layers", "d_ff", "moving_avg", "factor", "dropout", "embed", "activation", "devices",
    "p_hidden_layers", "p_hidden_dims",
)  # fmt: skip
SWITCHES_OF_RELEASE = ("distil", "output_attention", "use_multi_gpu")
# Flags that a checkpoint's test, or a forecast from a checkpoint, does not read.
NOT_IN_A_TEST = frozenset({"resume", "grad_checkpoint", "log"})
TEST_ALONE = frozenset({"save_arrays", "inverse", "num_workers", "eval_batch_size", "compile"})


def parse(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the flags that were given, by name, with their values.

    Raises:
        UserError: a value is not possible.
        SystemExit: ``--help``, or a flag that there is not.
    """
    parser, known = _build_parser(_chosen_model(argv))
    texts = vars(parser.parse_args(argv))
    return {
        name: convert(known[name], text) if isinstance(text, str) and name in known else text
        for name, text in texts.items()
    }


def _chosen_model(argv: Sequence[str] | None) -> str:
    """Return the model on the command line, whose flags ``--help`` shows."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--model", default=RunConfig.model)
    model = early.parse_known_args(argv)[0].model
    return model if model in MODELS else RunConfig.model


def _build_parser(model: str) -> tuple[Parser, dict[str, Field]]:
    """Return the parser and the fields of its flags, those of the chosen model before those of the others."""
    parser = Parser("run.py", usage=USAGE, allow_abbrev=False)
    known: dict[str, Field] = {}
    for title, config in ({f"the model {model}": find_config(model)} | GROUPS).items():
        _add(parser.add_argument_group(title), flags_of(config), known)
    hidden = parser.add_argument_group()
    for other in MODELS:
        _add(hidden, flags_of(find_config(other)), known, hide=True)
    unread = [name for name in OF_RELEASE if name not in known]
    for name in unread:
        nargs = "+" if name == "p_hidden_dims" else None
        hidden.add_argument(f"--{name}", nargs=nargs, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    for name in SWITCHES_OF_RELEASE:
        hidden.add_argument(f"--{name}", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    names = ", ".join(f"--{name}" for name in (*unread, *SWITCHES_OF_RELEASE))
    parser.epilog = f"Accepted as in the release, without effect here: {names}."
    return parser, known


def _add(
    group: argparse._ArgumentGroup, flags: Mapping[str, Field], known: dict[str, Field], hide: bool = False
) -> None:
    """Add the flags that are not yet known."""
    for name, one in flags.items():
        if name in known:
            continue
        known[name] = one
        names = [f"--{name}", *(f"--{alias}" for alias in one.metadata["aliases"])]
        shown = "" if one.default in (None, False) else f" (default: {one.default})"
        text = argparse.SUPPRESS if hide else f"{one.metadata['help']}{shown}".replace("%", "%%")
        options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text, "dest": name}
        if one.metadata["kind"] is PRESENCE:
            options["action"] = "store_true"
        else:
            options["metavar"] = one.metadata["kind"].type.__name__.upper().replace("STR", "TEXT").replace("INT", "N")
        group.add_argument(*names, **options)


def lines_of_idle_flags(config: RunConfig, command: Command, given: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each group of given flags that cannot have an effect on a run."""
    for reason, names in _idle(config, command, given).items():
        if names:
            yield f"no effect {reason}: {', '.join(f'--{name}' for name in sorted(names))}"


def _idle(config: RunConfig, command: Command, given: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return the given flags without effect, by the reason."""
    network, spec = find_config(config.model), find_dataset(config.data.data)
    idle: dict[str, set[str]] = {}

    def add(reason: str, names: set[str] | frozenset[str]) -> None:
        idle.setdefault(reason, set()).update(names & given.keys())

    read = set().union(*(flags_of(one) for one in (RunConfig, Command, Training, Schedule, RuntimeOptions, network)))
    of_data = {*flags_of(DataConfig), *flags_of(M4Config)}
    add(f"on {config.model}", given.keys() - read - of_data)
    add(f"with --data {config.data.data}", of_data - flags_of(type(config.data)).keys())
    if spec.made:
        add(f"with --data {config.data.data}", config.data.reads_nothing)
    add(f"with --task_name {config.task_name}", TASKS[config.task_name].unread)
    if not config.trains:
        add(
            f"on {config.model}, which does not train",
            {*flags_of(Training), *flags_of(Schedule), "task_loss", *NOT_IN_A_TEST},
        )
    for part in (command, config.runtime, config.schedule, network_flags(config)):
        for reason, names in idle_flags(part, given).items():
            add(reason, set(names))
    if not command.is_training:
        from exp.runs import HOW_TRAINED

        add("with --is_training 0", HOW_TRAINED | NOT_IN_A_TEST)
    if command.do_predict and not command.is_training:
        add("with --do_predict --is_training 0", TEST_ALONE)
    if not command.do_predict:
        add("without --do_predict", {"predict_len"})
    if processes() > 1:
        add(f"with {processes()} processes", {"gpu"})
    if config.runtime.device == "cpu":
        add("with --device cpu", {"gpu"})
    return idle


def network_flags(config: RunConfig) -> Any:
    """Return the model's configuration with sizes that are not known before the data are read."""
    return find_config(config.model)(1, 1, 1, **config.network)
