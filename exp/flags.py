"""Build the command line from the fields that declare its flags. Light: ``--help`` and a wrong flag answer at once."""

import argparse
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import Field
from pkgutil import resolve_name
from typing import Any

from data_provider.datasets import DATASETS, MIX, find_dataset
from exp.config import RunConfig
from exp.experiments import TASKS
from exp.flag_file import flags_in, read_values
from exp.flag_names import did_you_mean
from exp.options import LIMITS, OF_A_FORECAST, Command, RuntimeOptions, TrainingOptions
from models import CHOICES, MODELS, find_config
from utils.command import INSTALLED, Parser, add_flags, is_installed_command, processes
from utils.errors import UserError
from utils.flags import PRESENCE, convert, flags_of, idle_flags
from utils.schedule import Schedule

USAGE = """{command} [flags]

forecast your own CSV:
  {command} --data_path sales.csv

train and test at the published settings:
  {command} --data ETTh1 --pred_len 96 --batch_size 256 --learning_rate 0.0005 --train_epochs 100 --patience 10

--model NAME --help shows the flags of that model."""

COMMON = {
    "what to do": Command,
    "training": TrainingOptions,
    "learning rate": Schedule,
    "device, output, zero-shot test": RuntimeOptions,
}
# Flags of the release that nothing here reads. They are accepted so that its command lines run unchanged.
OF_RELEASE = (
    "label_len", "top_k", "num_kernels", "enc_in", "dec_in", "c_out", "d_model",
    "n_heads", "e_layers", "d_layers", "d_ff", "moving_avg", "factor", "dropout", "embed", "activation", "devices",
    "p_hidden_layers", "p_hidden_dims", "distil", "output_attention", "use_multi_gpu",
)  # fmt: skip
# Flags that a checkpoint's test, or a forecast from a checkpoint, does not read.
NOT_IN_A_TEST = frozenset({"resume", "grad_checkpoint", "log"})
TEST_ALONE = frozenset({"backtest", "save_arrays", "adaptive", "inverse", "num_workers", "eval_batch_size", "compile"})


def parse(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the flags that were given, by name, with their values.

    Raises:
        UserError: a value is not possible.
        SystemExit: ``--help``, or a flag that there is not.
    """
    argv = _with_negative_numbers(sys.argv[1:] if argv is None else argv)
    early = _early(argv)
    stored = read_values(early.config) if early.config else {}
    parser, known = build_parser(early.model or stored.get("model"))
    found, unknown = parser.parse_known_args(argv)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{did_you_mean(unknown, known)}")
    texts = vars(found)
    own = {name: convert(known[name], text) for name, text in texts.items() if isinstance(text, str) and name in known}
    return flags_in(stored, known, OF_RELEASE, early.config) | texts | own


def parse_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return flags from their values by name, as :func:`parse` does from a command line.

    None leaves one out, and so does False for a flag that stands alone on a command line.

    Raises:
        UserError: a flag is unknown, or its value is not possible.
    """
    model = values.get("model", RunConfig.model)
    _, known = build_parser(model if isinstance(model, str) and model in MODELS | CHOICES else RunConfig.model)
    if unknown := [name for name in values if name not in known]:
        raise UserError(f"--{unknown[0]}: there is no such option{did_you_mean([f'--{unknown[0]}'], known)}")
    given = {name: value for name, value in values.items() if value is not None}
    off = {name for name, value in given.items() if known[name].metadata["kind"] is PRESENCE and not value}
    return {name: convert(known[name], str(value)) for name, value in given.items() if name not in off}


def _with_negative_numbers(argv: Sequence[str]) -> list[str]:
    """Return a command line in which numbers like -9999,-200 are no flags: they are joined to the flag before them."""
    joined: list[str] = []
    for part in argv:
        if joined and re.match(r"-[0-9.]", part) and joined[-1].startswith("--") and "=" not in joined[-1]:
            joined[-1] += f"={part}"
        else:
            joined.append(part)
    return joined


def _early(argv: Sequence[str]) -> argparse.Namespace:
    """Return ``model`` and ``config`` of a command line, which say what its other flags mean."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in ("model", "config"):
        early.add_argument(f"--{name}", nargs="?")
    return early.parse_known_args(argv)[0]


def build_parser(model: object = None) -> tuple[Parser, dict[str, Field]]:
    """Return the parser and the fields of its flags, those of the chosen model before those of the others."""
    model = model if isinstance(model, str) and model in MODELS | CHOICES else RunConfig.model
    program, command = (INSTALLED, INSTALLED) if is_installed_command() else ("run.py", "python run.py")
    parser = Parser(program, usage=USAGE.format(command=command), allow_abbrev=False)
    known: dict[str, Field] = {}
    groups = {"the run": RunConfig} | _data_groups() | {f"the model {model}": find_config(model)} | COMMON
    for title, config in groups.items():
        add_flags(parser.add_argument_group(title), flags_of(config), known)
    hidden = parser.add_argument_group()
    for other in MODELS | CHOICES:
        add_flags(hidden, flags_of(find_config(other)), known, hide=True)
    unread = [name for name in OF_RELEASE if name not in known]
    for name in unread:  # some of them are switches, one has several values
        hidden.add_argument(f"--{name}", nargs="*", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.epilog = f"Accepted as in the release, without effect here: {', '.join(f'--{name}' for name in unread)}."
    return parser, known


def _data_groups() -> dict[str, type]:
    """Return the classes of the data sets' flags by the title of their group, the most common one first."""
    names: dict[str, list[str]] = {}
    for name, spec in DATASETS.items():
        names.setdefault(spec.config, []).append(name)
    first, *others = names
    groups = {"data": resolve_name(first), "data: several data sets": resolve_name(MIX)}
    groups |= {f"data: {', '.join(names[place])}": resolve_name(place) for place in others}
    known = {*groups.values()}
    for name, task in TASKS.items():
        groups |= {f"data of --task_name {name}": kind for kind in map(resolve_name, task.configs.values())
                   if kind not in known}  # fmt: skip
    return groups


def lines_of_idle_flags(config: RunConfig, command: Command, given: Collection[str]) -> Iterator[str]:
    """Yield a line for each group of given flags that cannot have an effect on a run."""
    idle: dict[str, set[str]] = {}
    for reason, names in _idle(config, command, given):
        idle.setdefault(reason, set()).update(set(names) & set(given))
    for reason, names in idle.items():
        if names:
            yield f"no effect {reason}: {', '.join(f'--{name}' for name in sorted(names))}"


def idle_names(config: RunConfig, command: Command, given: Collection[str]) -> set[str]:
    """Return those of some flags that cannot have an effect on a run."""
    return {name for _, names in _idle(config, command, given) for name in names}


def _idle(config: RunConfig, command: Command, given: Collection[str]) -> Iterator[tuple[str, Iterable[str]]]:
    """Yield reasons, each with flags that it leaves without effect, given or not."""
    parts = (command, config, config.data, config.model_config, config.training, config.schedule, config.runtime)
    of_forecast = OF_A_FORECAST - (LIMITS if config.runtime.backtest and not config.holds_many else set())
    of_data = {name for kind in _data_groups().values() for name in flags_of(kind)}
    read = {name for part in parts for name in flags_of(type(part))}
    yield f"on {config.model}", set(given) - read - of_data
    yield f"with --data {config.data.data}", of_data - read
    if config.sets:
        yield "with several data sets", {"shuffle_input"} | of_forecast
    elif find_dataset(config.data.data).made:
        yield f"with --data {config.data.data}", {*config.data.of_the_file, "future_cols", "future_path"}
    yield f"with --task_name {config.task_name}", TASKS[config.task_name].unread
    if not config.model_config.trains:
        yield f"on {config.model}, which does not train", (config.training_flags - {"model_id", "des"}) | NOT_IN_A_TEST
    if config.holds_many:
        yield "with many series", {"adaptive", "backtest"}
    for part in parts:
        yield from idle_flags(part, given).items()
    if command.load:
        yield f"with --load {command.load}", {"name"}
    if not command.is_training:
        yield "with --is_training 0", config.training_flags | NOT_IN_A_TEST
        if command.do_predict:
            yield "with --do_predict --is_training 0", TEST_ALONE
    if not command.do_predict:
        yield "without --do_predict", of_forecast - ({"output"} if command.uses else set())
    if processes() > 1:
        yield f"with {processes()} processes", {"gpu"}
    if config.runtime.device == "cpu":
        yield "with --device cpu", {"gpu"}
