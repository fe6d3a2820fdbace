"""Measure how fast a model is and how much memory it takes: ``python -m scripts.benchmark``.

By itself it evaluates and trains CALF at the published size on random data: in float32, in bfloat16, and as a plain
restatement that works like the released code. Each mode gets seconds a batch (s), windows a second (per_s), peak memory
(gib), the model's own arithmetic over its time as a share of what large matrix products reach (share), and how many
times as fast as the plain restatement it is (ratio).
"""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.amp import GradScaler
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from models import MODELS, find_config, find_model
from models.base import Model
from scripts.benchmark_files import SECONDS, matrix_rate, measure_many, measure_stream, reset_peak, timed
from scripts.plain_calf import PlainCALF
from utils import device as devices
from utils import flags
from utils.command import Parser, add_flags, run_command, typed
from utils.compute import Compute
from utils.errors import UserError
from utils.files import write_json
from utils.flags import flag

logger = logging.getLogger("calf")

PROGRAM = "-m scripts.benchmark"
PLAIN = "plain"
COMPILED = {"compiled": "default", "reduce-overhead": "reduce-overhead", "max-autotune": "max-autotune"}
MODES = (*devices.PRECISIONS, *(f"{name}-{how}" for name in devices.PRECISIONS for how in COMPILED), PLAIN)
PLAIN_WINDOWS = 16  # that the plain restatement, which is slow, evaluates
PHASES = ("eval", "train")
SIZE = ("channels", "pred_len", "batch_size")
GROWTH = {"channels": "7,21,321", "pred_len": "96,720", "batch_size": "8"}

NUMBERS = flags.Kind(
    str,
    lambda text: all(part.isdecimal() and 0 < int(part) < 10**6 for part in text.split(",")),
    "a number from 1, or several with commas between",
)
SEVERAL_MODES = flags.Kind(
    str,
    lambda text: set(text.split(",")) <= set(MODES),
    f"{', '.join(devices.PRECISIONS)}, each also with -{', -'.join(COMPILED)}, or {PLAIN}; several with commas between",
)

Size = Mapping[str, int]  # by the names of SIZE


def in_words(size: Mapping[str, Any]) -> str:
    """Return a size as text."""
    return ", ".join(f"{name} {number}" for name, number in size.items())


@dataclass(frozen=True)
class Options:
    """What is measured: a model at a size, in which modes, and by which kind of measurement."""

    model: str = flag("CALF", flags.choice(*MODELS), f"the forecaster: {', '.join(MODELS)}")
    batch_size: str = flag("256", NUMBERS, "windows per batch, or several with commas between")
    channels: str = flag("7", NUMBERS, "columns of the series, or several")
    pred_len: str = flag("96", NUMBERS, "steps the model forecasts, or several; every size meets every other")
    seq_len: int = flag(96, flags.whole(high=10**6), "steps it sees")
    modes: str | None = flag(
        None, SEVERAL_MODES,
        f"{SEVERAL_MODES.wanted}. If left out fp32, bf16 where the device has instructions for it, and for CALF at one "
        "size plain, the float32 restatement",
    )  # fmt: skip
    grad_checkpoint: int = flag(0, flags.SWITCH, "1 computes activations again in the backward pass")
    grow: bool = flag(False, flags.PRESENCE, f"measure several sizes: if not told otherwise {in_words(GROWTH)}")
    profile: bool = flag(False, flags.PRESENCE, "measure instead which operations take the time")
    stream: bool = flag(False, flags.PRESENCE, "measure instead the memory of a run with a test as large as traffic's")
    many: bool = flag(False, flags.PRESENCE, "measure instead a run on a long file of 10,000 series of 200 values")
    device: str = flag("auto", flags.TEXT, "auto, cpu, cuda or cuda:N")
    json: str | None = flag(None, flags.FILE, "write all figures into this file")
    network: Mapping[str, Any] = field(default_factory=dict, compare=False)  # flags of the model

    @property
    def sizes(self) -> list[Size]:
        """Return every size to measure."""
        numbers = product(*(getattr(self, name).split(",") for name in SIZE))
        return [dict(zip(SIZE, map(int, each), strict=True)) for each in numbers]

    def build(self, size: Size, device: torch.device) -> tuple[Model, Tensor, Tensor]:
        """Build the model, always from one seed, with random windows (B, L, C) and truth (B, H, C)."""
        torch.manual_seed(0)
        kind, (channels, pred_len, batch_size) = find_model(self.model), (size[name] for name in SIZE)
        model = kind.build(kind.Config(self.seq_len, pred_len, channels, season=24, **self.network), write=False)
        x = torch.randn(batch_size, max(self.seq_len, model.lookback), channels, device=device)
        return model.to(device), x, torch.randn(batch_size, pred_len, channels, device=device)


class Bench:
    """A model in one mode with a random batch, ready to be timed."""

    def __init__(self, options: Options, size: Size, mode: str, device: torch.device) -> None:
        self.compiled = COMPILED.get(mode.partition("-")[2])
        self.model, self.x, self.y = options.build(size, device)
        self.tested = self.x
        if mode == PLAIN:
            self.model, self.tested = PlainCALF(self.model), self.x[:PLAIN_WINDOWS]
        elif options.grad_checkpoint:
            self.model.recompute_activations()
        if self.compiled:
            torch.compiler.reset()  # what other sizes compiled counts towards a limit
            self.model.compile_parts(self.compiled)
        self.compute = Compute(device, precision_of(mode))
        self.scaler = self.compute.scaler or GradScaler(enabled=False)
        trained = [parameter for group in self.model.parameter_groups() for parameter in group.parameters]
        self.optimizer = torch.optim.Adam(trained, fused=True) if trained else None

    def phases(self) -> Iterator[tuple[str, Callable[[], None], int]]:
        """Yield what to measure: its name, the work, and the windows that it takes."""
        with self.model.eval().merged_adapters():
            yield "eval", self.evaluate, len(self.tested)
        self.model.train()
        if self.optimizer:  # last, as its moments stay in memory
            yield "train", self.train_step, len(self.x)

    def evaluate(self) -> None:
        """Forecast as a run does."""
        self._begin()
        with torch.inference_mode(), self.compute.autocast():
            self.model(self.tested)

    def train_step(self) -> None:
        """Take a step of the optimizer as a run does."""
        self._begin()
        self.optimizer.zero_grad(set_to_none=True)
        with self.compute.autocast():
            loss = self.model.training_loss(self.x, self.y)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _begin(self) -> None:
        if self.compiled:
            torch.compiler.cudagraph_mark_step_begin()  # the memory of the last step's graphs may be used again


def count_operations(options: Options, size: Size) -> dict[str, float]:
    """Return the GFLOP of an evaluation and of a training step: of one window, and what each further one adds."""
    one, two = (count_matrix_products(options, {**size, "batch_size": windows}) for windows in (1, 2))
    return {phase: (one[phase] + (size["batch_size"] - 1) * (two[phase] - one[phase])) / 1e9 for phase in PHASES}


def count_matrix_products(options: Options, size: Size) -> dict[str, int]:
    """Count the operations in the matrix products of an evaluation and of a training step."""
    model, x, y = options.build(size, torch.device("cpu"))
    with sdpa_kernel(SDPBackend.MATH):  # attention as the matrix products that it is
        # Gradients stay on: without them an encoder layer is one kernel, which the counter does not know.
        with model.eval().merged_adapters(), FlopCounterMode(display=False) as evaluation:
            model(x)
        with FlopCounterMode(display=False) as training:
            if model.parameter_groups():
                model.train().training_loss(x, y).backward()
    return {"eval": evaluation.get_total_flops(), "train": training.get_total_flops()}


def choose_modes(options: Options, device: torch.device) -> list[str]:
    """Return the modes to measure; UserError where one does not go with the device or the model."""
    if options.modes is None:
        fast, plain = devices.has_fast_bfloat16(device), not (options.grow or options.profile)
        if not fast:
            logger.info("bf16 is left out, as there are no instructions for it here; --modes bf16 measures it anyway")
        return ["fp32"] + ["bf16"] * fast + [PLAIN] * (plain and options.model == "CALF")
    modes = list(dict.fromkeys(options.modes.split(",")))
    if PLAIN in modes and options.model != "CALF":
        raise UserError(f"--modes {options.modes}: plain is a restatement of CALF, not of {options.model}.")
    for mode in modes:
        devices.check_precision(precision_of(mode), device, "--modes")
    if any("-" in mode for mode in modes):
        devices.check_compiler(device)
    return modes


def precision_of(mode: str) -> str:
    """Return the precision of the matrix products in a mode."""
    return "fp32" if mode == PLAIN else mode.partition("-")[0]


def measure(options: Options, size: Size, mode: str, device: torch.device) -> dict[str, Any]:
    """Measure evaluation and training at one size in one mode; return a row of figures."""
    row = {**size, "mode": mode}
    try:
        for phase, work, windows in Bench(options, size, mode, device).phases():
            logger.info("measuring %s, %s: %s, %s", options.model, in_words(size), mode, phase)
            known = reset_peak(device)
            seconds = timed(work, SECONDS[device.type]).median
            row |= {f"{phase}_s": seconds * size["batch_size"] / windows, f"{phase}_per_s": windows / seconds}
            row[f"{phase}_gib"] = devices.peak_memory(device) / 2**30 if known else None
    except torch.cuda.OutOfMemoryError:
        row["skipped"] = "the GPU ran out of memory"
    return row | {"matrix_gflop_per_s": matrix_rate(device, precision_of(mode))}


def compare(row: Mapping[str, Any], plain: Mapping[str, Any], gflop: Mapping[str, float]) -> dict[str, float]:
    """Return a row's share of the matrix rate, and how many times as fast as the plain restatement it is."""
    figures = {}
    for phase in PHASES:
        if seconds := row.get(f"{phase}_s"):
            figures[f"{phase}_gflop"] = gflop[phase]
            figures[f"{phase}_share"] = gflop[phase] / seconds / row["matrix_gflop_per_s"]
            if f"{phase}_s" in plain:
                figures[f"{phase}_ratio"] = plain[f"{phase}_s"] / seconds
    return figures


def measure_speed(options: Options, modes: Sequence[str], device: torch.device) -> dict[str, Any]:
    """Measure every size in every mode; print a table."""
    rows = []
    for size in options.sizes:
        gflop = count_operations(options, size)
        measured = {mode: measure(options, size, mode, device) for mode in modes}
        rows += [row | compare(row, measured.get(PLAIN, {}), gflop) for row in measured.values()]
    table = pd.DataFrame(rows).set_index([*SIZE, "mode"]).sort_index(axis="columns").dropna(axis="columns", how="all")
    logger.info("%s", table.to_string(float_format="{:.3g}".format, na_rep="-"))
    return {"rows": rows}


def profile_size(options: Options, size: Size, modes: Sequence[str], device: torch.device) -> dict[str, Any]:
    """Measure the share of the time that each operation, or kernel of a GPU, takes itself; print the largest."""
    found, kind = {}, device.type.upper()
    clock = "self_device_time_total" if kind == "CUDA" else "self_cpu_time_total"
    for mode in modes:
        for phase, work, _ in Bench(options, size, mode, device).phases():
            logger.info("profiling %s, %s: %s, %s", options.model, in_words(size), mode, phase)
            timed(work, 0.0)  # a warm-up
            with profile(activities=[getattr(ProfilerActivity, kind)]) as profiler:
                work()
            events = [event for event in profiler.key_averages() if event.device_type.name == kind]
            found[f"{phase} {mode}"] = {event.key: getattr(event, clock) for event in events}
    times = pd.DataFrame(found).fillna(0.0)
    shares = times / times.sum()
    largest = shares.max(axis="columns").nlargest(15).index
    logger.info("%s", shares.loc[largest].to_string(float_format="{:.1%}".format))
    return shares.to_dict()


def parse(argv: Sequence[str] | None) -> Options:
    """Return what to measure; UserError where a value is not possible."""
    early = Parser(PROGRAM, add_help=False, allow_abbrev=False)
    early.add_argument("--model", default=Options.model)
    network, own = find_config(early.parse_known_args(argv)[0].model), flags.flags_of(Options)
    parser, known = Parser(f"python {PROGRAM}", description=__doc__, allow_abbrev=False), {}
    add_flags(
        parser.add_mutually_exclusive_group(),
        {name: own[name] for name in ("grow", "profile", "stream", "many")},
        known,
    )
    add_flags(parser.add_argument_group("what is measured"), own, known)
    add_flags(parser.add_argument_group("the model; --llm_init is random if left out"), flags.flags_of(network), known)
    texts = vars(parser.parse_args(argv))
    given = {name: flags.convert(known[name], text) if isinstance(text, str) else text for name, text in texts.items()}
    size = GROWTH if "grow" in given else {}
    start = {"llm_init": "random"} if "llm_init" in known else {}
    return Options(**size | flags.given_for(Options, given), network=start | flags.given_for(network, given))


def run(options: Options) -> None:
    """Carry out one kind of measurement; UserError where that is not possible here."""
    if options.json and not Path(options.json).parent.is_dir():
        raise UserError(f"--json {options.json}: name a file in a folder that exists.")
    device = devices.pick_device(options.device)
    described = devices.environment(device) | {"float32_products": torch.get_float32_matmul_precision()}
    logger.info("%s, torch %s", described["device"], described["torch"])
    logging.getLogger("layers").setLevel(logging.WARNING)  # they would tell of word embeddings that are not needed
    if options.stream or options.many:
        figures = (measure_stream if options.stream else measure_many)(device)
        logger.info("%s", pd.Series(figures).to_string(float_format="{:,.3g}".format))
    elif options.profile:
        modes = choose_modes(options, device)
        figures = {in_words(size): profile_size(options, size, modes, device) for size in options.sizes}
    else:
        figures = measure_speed(options, choose_modes(options, device), device)
    if options.json:
        write_json(Path(options.json), {"options": asdict(options), **figures, "environment": described})


def main(argv: Sequence[str] | None = None) -> int:
    """Return exit code 0, 2 with one message when a flag is wrong, or 130 and 143 when stopped."""
    return run_command(lambda: run(parse(argv)), typed(PROGRAM, argv))


if __name__ == "__main__":
    sys.exit(main())
