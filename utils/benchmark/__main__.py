"""Time CALF and weigh it: ``python -m utils.benchmark``.

By itself it trains and evaluates at the published size, in some modes and in a plain restatement, in one process on
the same random data. The plain one works as the released code does: words projected for every sample, attention maps
written out, both branches at test, one test window at a time, in float32. The share of the matrix rate is CALF's own
arithmetic over time, over what this machine reaches on large matrix products of the same precision, measured between
the other measurements.

With ``--grow`` it shows how time and memory grow with channels, horizon and batch, with ``--profile`` which kinds of
operation take the time, with ``--stream`` how much memory a test as large as traffic's takes; ``--m4`` times reading
files of the size of M4's largest, and drawing batches from them.
"""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from data_provider.m4_benchmark import measure_m4, report_m4
from utils.benchmark.clock import counts_for
from utils.benchmark.contestants import Mode, Size, parse_modes
from utils.benchmark.grow import Sweep, measure_growth, report_growth
from utils.benchmark.growth_plot import plot_growth
from utils.benchmark.one_size import measure, report
from utils.benchmark.op_shares import measure_shares, report_shares
from utils.benchmark.streaming import Stream, measure_stream, report_stream
from utils.device import pick_device
from utils.errors import UserError
from utils.files import write_json

logger = logging.getLogger("calf")

KINDS = ("grow", "profile", "stream", "m4")
SIZES = tuple(asdict(Size()))
# Flags of some kinds of run alone; "" is the run at one size.
ONLY = {
    "plain": ("",),
    **dict.fromkeys(("grow_channels", "grow_pred_lens", "grow_batches"), ("grow",)),
    **dict.fromkeys(("modes", "compile_mode", "grad_checkpoint", *SIZES), ("", "grow", "profile")),
}
GROW_BATCH = 8  # most machines bear it at 862 channels


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, save. Exit code 2 with one message when a flag is wrong."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    flags = {name: value for name, value in vars(_parser().parse_args(argv)).items() if value is not None}
    kind = next((name for name in KINDS if flags.pop(name, None)), "")
    output = Path(flags.pop("output"))
    try:
        _check(flags, kind, output)
        device = pick_device(flags.pop("device"))
        figures, lines = _run(kind, flags, device)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for line in lines:
        logger.info(line)
    write_json(output, figures)
    logger.info("saved to %s", output)
    if kind == "grow":
        picture = output.with_suffix(".png")
        plot_growth(picture, figures)
        logger.info("drawn in %s", picture)
    return 0


def _run(kind: str, flags: Mapping[str, Any], device: torch.device) -> tuple[dict[str, Any], list[str]]:
    """The figures and the lines of one kind of run."""
    if kind == "m4":
        figures = measure_m4()
        return figures, report_m4(figures)
    if kind == "stream":
        figures = measure_stream(Stream(), str(device))
        return figures, report_stream(figures)
    modes = _modes(flags)
    sizes = {name: flags[name] for name in SIZES if name in flags}
    if kind == "grow":
        figures = measure_growth(_sweep(flags, sizes), modes, device)
        return figures, report_growth(figures)
    if kind == "profile":
        figures = measure_shares(Size(**sizes), modes, device)
        return figures, report_shares(figures)
    figures = measure(Size(**sizes), modes, counts_for(device), device, bool(flags.get("plain", 1)))
    return figures, report(figures)


def _modes(flags: Mapping[str, Any]) -> list[Mode]:
    modes = parse_modes(
        flags.get("modes", "fp32,bf16"), flags.get("compile_mode", "default"), bool(flags.get("grad_checkpoint", 0))
    )
    if "compile_mode" in flags and all(mode.compile_mode is None for mode in modes):
        raise UserError("--compile_mode applies to compiled modes: name one in --modes.")
    return modes


def _sweep(flags: Mapping[str, Any], sizes: Mapping[str, Any]) -> Sweep:
    lists = {
        argument: _numbers(flag, flags[flag])
        for flag, argument in (
            ("grow_channels", "channels"),
            ("grow_pred_lens", "pred_lens"),
            ("grow_batches", "batches"),
        )
        if flag in flags
    }
    return Sweep(Size(**{"batch_size": GROW_BATCH, **sizes}), **lists)


def _numbers(flag: str, text: str) -> list[int]:
    """Numbers with commas between; none at all leaves that sweep out."""
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UserError(f"--{flag} {text}: write numbers from 1 with commas between, such as 7,21.")
    return [int(part) for part in parts]


def _check(flags: Mapping[str, Any], kind: str, output: Path) -> None:
    for name in flags:
        if kind not in ONLY.get(name, (kind,)):
            fitting = " or ".join(f"--{each}" if each else "the run at one size" for each in ONLY[name])
            raise UserError(f"--{name} applies to {fitting}, not to {f'--{kind}' if kind else 'the run at one size'}.")
    if output.is_dir() or not output.absolute().parent.is_dir():
        raise UserError(f"--output {output}: name a file in a folder that exists.")
    if kind == "grow" and output.suffix == ".png":
        raise UserError(f"--output {output}: that is where the plot goes; name a .json file.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m utils.benchmark", description=__doc__.splitlines()[0])
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--grow", action="store_true", help="measure how time and memory grow instead")
    kind.add_argument("--profile", action="store_true", help="measure which operations take the time instead")
    kind.add_argument("--stream", action="store_true", help="measure the memory of a traffic-sized test instead")
    kind.add_argument("--m4", action="store_true", help="time reading and drawing from M4-sized files instead")
    for name, value in asdict(Size()).items():
        grown = f", {GROW_BATCH} with --grow" if name == "batch_size" else ""
        parser.add_argument(f"--{name}", type=type(value), help=f"default {value}{grown}")
    parser.add_argument(
        "--modes",
        help="with commas, of fp32, bf16, fp32-compiled, bf16-compiled; compiled is bf16-compiled; default fp32,bf16",
    )
    parser.add_argument(
        "--compile_mode", choices=("default", "reduce-overhead", "max-autotune"), help="of torch.compile"
    )
    parser.add_argument("--grad_checkpoint", type=int, choices=(0, 1), help="1: recompute activations; default 0")
    parser.add_argument("--plain", type=int, choices=(0, 1), help="0: leave the plain restatement out; default 1")
    for name, what in (("channels", "7,21,321,862"), ("pred_lens", "96,720"), ("batches", "8,32,128")):
        parser.add_argument(f"--grow_{name}", help=f"with commas, empty for none; default {what}")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--output", default="benchmark.json", help="where the figures go, as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
