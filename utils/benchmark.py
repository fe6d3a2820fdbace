"""Time CALF at its published size against a plain restatement of it: ``python -m utils.benchmark``.

Both train and evaluate in one process on the same random data. The plain one works as the released code
does: words projected for every sample, attention maps written out, both branches at test, one test window
at a time. The share of the matrix-product rate is CALF's own arithmetic over time, over what this machine
reaches on large matrix products alone, measured between the other measurements.

With ``--m4`` it times reading files of the size of M4's largest, and drawing batches from them.

This is a command: the one file in ``utils`` that may import data_provider, models and tests.
"""

import argparse
import logging
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from data_provider.m4_benchmark import measure_m4, report_m4
from layers.backbone import load_backbone
from layers.lora import LoRA
from models import CALF, CALFConfig
from tests.plain_calf import plain_calf
from utils.device import pick_device
from utils.errors import UserError
from utils.files import write_json
from utils.losses import CALFLoss
from utils.memory import PeakMemory
from utils.provenance import environment

logger = logging.getLogger("calf")

MATRIX = 2048
WORDS = 500

Shape = tuple[int, ...]


def _attention_flops(query: Shape, key: Shape, value: Shape, *rest: object, **options: object) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward_flops(
    gradient: Shape, query: Shape, key: Shape, value: Shape, *rest: object, **options: object
) -> int:
    return sdpa_backward_flop_count(gradient, query, key, value)


# The counter knows the attention kernels of CUDA only.
CPU_ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward_flops,
}


@dataclass(frozen=True)
class Size:
    """What is measured: B windows of L steps and C channels, H steps ahead, N blocks of a GPT-2."""

    batch_size: int = 256
    channels: int = 7
    seq_len: int = 96
    pred_len: int = 96
    gpt_layers: int = 6
    llm: str = "gpt2"


@dataclass(frozen=True)
class Repeats:
    """How often each thing is timed, after a few runs that do not count; the median is reported."""

    steps: int = 5
    plain_steps: int = 3
    plain_windows: int = 30
    warm_up: int = 2


class Bench:
    """One model, its optimiser and a batch, ready to be timed."""

    def __init__(self, size: Size, device: torch.device) -> None:
        torch.manual_seed(0)
        backbone = load_backbone(size.llm, "random", size.gpt_layers, token_table=False)
        width = backbone.width
        self.heads = backbone.gpt2.config.n_head
        self.size, self.device = size, device
        words = torch.randn(min(WORDS, width), width)
        config = CALFConfig(size.seq_len, size.pred_len, size.channels)
        self.model = CALF(config, backbone.gpt2, words).to(device)
        self.x = torch.randn(size.batch_size, size.seq_len, size.channels, device=device)
        self.y = torch.randn(size.batch_size, size.pred_len, size.channels, device=device)
        self.loss = CALFLoss()
        self.optimiser = torch.optim.Adam([p for p in self.model.parameters() if p.requires_grad], fused=True)

    def train_step(self) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        output = self.model.branches(self.x)
        loss = self.loss(output.forecast, self.y, output.text_forecast, output.time_features, output.text_features)
        loss.backward()
        self.optimiser.step()

    def evaluate(self) -> None:
        with torch.inference_mode():
            self.model(self.x)


class PlainBench(Bench):
    """The same numbers in the plain restatement, each branch with frozen tensors of its own."""

    def __init__(self, size: Size, device: torch.device) -> None:
        super().__init__(size, device)
        trained = self.model.trained_state().keys() - {"match.words"}
        self.weights = {
            name: tensor.detach().clone().requires_grad_(name in trained)
            for name, tensor in self.model.state_dict().items()
        }
        del self.model
        self.optimiser = torch.optim.Adam([t for t in self.weights.values() if t.requires_grad])

    def forward(self, x: Tensor, dropout: float) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
        lora = LoRA()
        return plain_calf(
            self.weights,
            x,
            blocks=self.size.gpt_layers,
            heads=self.heads,
            gpt2_heads=self.heads,
            lora_scale=lora.alpha / lora.r,
            p=dropout,
        )

    def train_step(self) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        forecast, text_forecast, time_features, text_features = self.forward(self.x, dropout=0.1)
        self.loss(forecast, self.y, text_forecast, time_features, text_features).backward()
        self.optimiser.step()

    def evaluate(self) -> None:
        with torch.inference_mode():
            self.forward(self.x[:1], dropout=0.0)


def seconds(work: Callable[[], None], repeats: int, warm_up: int, device: torch.device) -> float:
    """Median time of ``work``, after ``warm_up`` runs that do not count."""
    for _ in range(warm_up):
        work()
    times = []
    for _ in range(repeats):
        _synchronise(device)
        start = time.perf_counter()
        work()
        _synchronise(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def matrix_rate(device: torch.device, repeats: int = 10) -> float:
    """FLOP/s of float32 products of square matrices, the median of ``repeats``."""
    a, b = torch.randn(2, MATRIX, MATRIX, device=device)
    return 2 * MATRIX**3 / seconds(lambda: torch.mm(a, b), repeats, 2, device)


def flops(work: Callable[[], None]) -> int:
    """Arithmetic of the matrix products and attentions that ``work`` carries out."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # the counter does not see into the fused encoder layer
    try:
        with FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION) as counter:
            work()
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return counter.get_total_flops()


def measure(size: Size, repeats: Repeats, device: torch.device) -> dict[str, Any]:
    """Every figure of one size, as plain values."""
    rates = [matrix_rate(device)]
    with PeakMemory(device) as memory:
        bench = Bench(size, device)
        bench.model.train()
        train = seconds(bench.train_step, repeats.steps, repeats.warm_up, device)
    rates.append(matrix_rate(device))
    train_flops = flops(bench.train_step)
    bench.model.eval()
    with bench.model.merged_adapters():
        evaluation = seconds(bench.evaluate, repeats.steps, repeats.warm_up, device)
        evaluation_flops = flops(bench.evaluate)
    rates.append(matrix_rate(device))
    del bench
    with PeakMemory(device) as plain_memory:
        plain = PlainBench(size, device)
        plain_train = seconds(plain.train_step, repeats.plain_steps, repeats.warm_up, device)
    plain_window = seconds(plain.evaluate, repeats.plain_windows, repeats.warm_up, device)
    rates.append(matrix_rate(device))
    rate = statistics.median(rates)
    return {
        "size": asdict(size),
        "matrix_gflops_per_s": rate / 1e9,
        "train_gflop": train_flops / 1e9,
        "evaluation_gflop": evaluation_flops / 1e9,
        "calf": {
            "train_steps_per_s": 1 / train,
            "evaluated_windows_per_s": size.batch_size / evaluation,
            "train_share_of_matrix_rate": train_flops / train / rate,
            "evaluation_share_of_matrix_rate": evaluation_flops / evaluation / rate,
            "train_peak_bytes": memory.peak,
        },
        "plain": {
            "train_steps_per_s": 1 / plain_train,
            "evaluated_windows_per_s": 1 / plain_window,
            "train_share_of_matrix_rate": train_flops / plain_train / rate,
            "evaluation_share_of_matrix_rate": evaluation_flops / size.batch_size / plain_window / rate,
            "train_peak_bytes": plain_memory.peak,
        },
        "ratios": {
            "train_speed": plain_train / train,
            "evaluation_speed": plain_window * size.batch_size / evaluation,
            "train_peak_memory": memory.peak / plain_memory.peak if memory.peak and plain_memory.peak else None,
        },
        "environment": environment(device),
    }


def report(figures: dict[str, Any]) -> list[str]:
    """The figures as lines of text."""
    size, ratios = figures["size"], figures["ratios"]
    lines = [
        f"batch {size['batch_size']}, {size['channels']} channels, {size['seq_len']} -> {size['pred_len']}, "
        f"{size['gpt_layers']} blocks of {size['llm']}, float32, {figures['environment']['device']}, "
        f"torch {figures['environment']['torch']}",
        f"matrix products run at {figures['matrix_gflops_per_s']:.0f} GFLOP/s; a training step takes "
        f"{figures['train_gflop']:.0f} GFLOP, evaluating a batch {figures['evaluation_gflop']:.0f}",
        f"{'':8}{'train steps/s':>15}{'of rate':>9}{'windows/s':>11}{'of rate':>9}{'peak memory':>13}",
    ]
    for name in ("calf", "plain"):
        f = figures[name]
        peak = f"{f['train_peak_bytes'] / 2**30:.2f} GiB" if f["train_peak_bytes"] else "unknown"
        lines.append(
            f"{name:8}{f['train_steps_per_s']:>15.3f}{f['train_share_of_matrix_rate']:>9.0%}"
            f"{f['evaluated_windows_per_s']:>11.1f}{f['evaluation_share_of_matrix_rate']:>9.0%}{peak:>13}"
        )
    memory = f"{ratios['train_peak_memory']:.2f}" if ratios["train_peak_memory"] else "unknown"
    lines.append(
        f"ratio: training {ratios['train_speed']:.2f} times as fast, evaluation {ratios['evaluation_speed']:.1f} "
        f"times, peak memory {memory} of it"
    )
    return lines


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, save. Exit code 2 with one message when a flag is wrong."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    parser = argparse.ArgumentParser("python -m utils.benchmark", description=__doc__.splitlines()[0])
    for name, value in asdict(Size()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value, help=f"default {value}")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--m4", action="store_true", help="time reading and drawing from M4-sized files instead")
    parser.add_argument("--output", default="benchmark.json", help="where the figures go, as JSON")
    args = vars(parser.parse_args(argv))
    output, m4 = Path(args.pop("output")), args.pop("m4")
    try:
        device = pick_device(args.pop("device"))
        if output.is_dir() or not output.absolute().parent.is_dir():
            raise UserError(f"--output {output}: name a file in a folder that exists.")
        figures = measure_m4() if m4 else measure(Size(**args), Repeats(), device)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for line in report_m4(figures) if m4 else report(figures):
        logger.info(line)
    write_json(output, figures)
    logger.info("saved to %s", output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
