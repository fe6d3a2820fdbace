"""Write a trained model as one file that forecasts without this repository, for onnxruntime or for PyTorch alone."""

import argparse
import logging
import sys
from argparse import ArgumentDefaultsHelpFormatter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from utils.command import Parser, run_command, typed
from utils.errors import UserError

logger = logging.getLogger("calf")

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}
PACKAGES = ("onnx", "onnxscript", "onnxruntime")  # of requirements-onnx.txt
MOST_BYTES = 2**31 - 2**20  # of weights in one ONNX file


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = Parser(
        "python -m exp.export",
        description=__doc__,
        allow_abbrev=False,
        formatter_class=ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--load", required=True, default=argparse.SUPPRESS, help="checkpoint folder of a trained model")
    parser.add_argument(
        "--format",
        choices=SUFFIXES,
        required=True,
        default=argparse.SUPPRESS,
        help="onnx, or torch (a file of torch.export)",
    )
    parser.add_argument(
        "--output", default="exports", help="folder for <checkpoint>.onnx or .pt2, and <checkpoint>.json"
    )
    parser.add_argument("--interval", default="0.9", help="coverage of the prediction intervals, or several: 0.5,0.9")
    return parser


def export(folder: str, form: str, output: Path, interval: str) -> Path:
    """Write the graph of a checkpoint and its description, each whole or not at all; return the path of the graph.

    Args:
        folder: of the checkpoint.
        form: ``onnx`` or ``torch``.
        interval: nominal coverages, with commas between.

    Raises:
        UserError: packages are missing, the checkpoint cannot be used, or the graph would not forecast as the model.
    """
    _check_packages(form)
    from exp import export_graph as graphs  # late: --help answers at once
    from exp.export_json import describe_graph
    from exp.forecaster import Forecaster
    from utils.conformal import check_levels
    from utils.files import replacing, write_json

    levels = check_levels(interval.split(","))
    forecaster = Forecaster.load(folder)
    forecaster.model.drop_training_parts()
    graph = graphs.ForecastGraph(forecaster).eval()
    _check_size(sum(values.nbytes for values in graph.state_dict().values()), form)
    name = Path(folder).resolve().name
    path, beside = output / f"{name}{SUFFIXES[form]}", output / f"{name}.json"
    description = describe_graph(forecaster, name, graph.shapes, levels)
    save, load = (graphs.save_onnx, graphs.run_onnx) if form == "onnx" else (graphs.save_torch, graphs.run_torch)
    program = graphs.trace(graph)
    with replacing(path) as temporary:
        save(program, str(temporary))
        off = graphs.check_same(graph, load(str(temporary)))
    write_json(beside, description)
    shapes = ", ".join(f"{name} (B, {', '.join(map(str, shape))})" for name, shape in graph.shapes.items())
    logger.info("graph: %s, from %s; within %.1g standard deviations of the model", path, shapes, off)
    logger.info("description: %s", beside)
    if forecaster.series.precision != "fp32":
        logger.info("note: trained with --precision %s; the graph computes in float32", forecaster.series.precision)
    if not description["intervals"]:
        logger.info("note: the checkpoint holds no prediction intervals; test it to make them (--is_training 0)")
    return path


def _check_packages(form: str) -> None:
    missing = [name for name in PACKAGES if form == "onnx" and find_spec(name) is None]
    if missing:
        raise UserError(
            f"--format onnx needs {', '.join(missing)}: python -m pip install -r requirements-onnx.txt, or choose "
            "--format torch."
        )


def _check_size(size: int, form: str) -> None:
    if form == "onnx" and size > MOST_BYTES:
        raise UserError(f"--format onnx: {size:,} bytes of weights are more than one ONNX file holds; choose torch.")


def main(argv: Sequence[str] | None = None) -> int:
    """Return exit code 0, or 2 with one message when the input is wrong."""
    args = build_parser().parse_args(argv)

    def work() -> None:
        export(args.load, args.format, Path(args.output), args.interval)

    return run_command(work, typed("-m exp.export", argv))


if __name__ == "__main__":
    sys.exit(main())
