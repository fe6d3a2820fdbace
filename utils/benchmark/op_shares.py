"""Which kinds of operation take which share of a training step and of an evaluation."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEventAvg
from torch.profiler import ProfilerActivity, profile

from utils.benchmark.contestants import Bench, Mode, Size
from utils.benchmark.rows import too_large
from utils.benchmark.settings import settings

REST = "the rest"
# The first that fits an operation's name on the CPU, or a kernel's on a GPU, tells its kind.
KINDS = {
    "compiled kernels": r"triton_|torch-compiled|compiledfx|compiledfunction|cpp_fused",
    "attention": r"attention|flash|fmha|sdpa|softmax|aten::bmm|aten::baddbmm",
    "random numbers": r"bernoulli|native_dropout|fused_dropout|philox|distribution|aten::rand",
    "matrix products": r"aten::(mm|addmm|_addmm|linear)|mkl.*linear|gemm|gemv|nvjet|cutlass|xmma|cublas",
    "copies and casts": r"copy|memcpy|memset|aten::(to|clone|contiguous|cat|empty)|catarray",
    "optimiser": r"adam|optimizer",
}
TOP = 12


def kind_of(name: str) -> str:
    """The kind of an operation or kernel."""
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, name.lower())), REST)


def measure_shares(size: Size, modes: Sequence[Mode], device: torch.device, warm_up: int = 2) -> dict[str, Any]:
    """Shares by mode, for ``training`` and ``evaluation``, as plain values."""
    profiles = {}
    for mode in modes:
        reason = too_large(size, mode, device)
        profiles[mode.name] = {"skipped": reason} if reason else _profile_mode(Bench(size, device, mode), warm_up)
    return {"size": asdict(size), "profile": profiles, **settings(device)}


def report_shares(figures: Mapping[str, Any]) -> list[str]:
    """A table: kinds down, modes and phases across."""
    size, profiles = figures["size"], figures["profile"]
    lines = [
        f"batch {size['batch_size']}, {size['channels']} channels, {size['seq_len']} -> {size['pred_len']}, "
        f"{size['gpt_layers']} blocks of {size['llm']}, {figures['environment']['device']}, "
        f"torch {figures['environment']['torch']}",
        *(f"{name} skipped: {each['skipped']}" for name, each in profiles.items() if "skipped" in each),
    ]
    columns = [
        (f"{name} {phase}", found)
        for name, each in profiles.items()
        for phase, found in each.items()
        if phase != "skipped"
    ]
    lines.append(f"{'share of the time':20}" + "".join(f"{head:>26}" for head, _ in columns))
    for kind in [*KINDS, REST]:
        if any(found["shares"].get(kind) for _, found in columns):
            lines.append(f"{kind:20}" + "".join(f"{found['shares'].get(kind, 0):>26.1%}" for _, found in columns))
    lines.append(f"{'profiled seconds':20}" + "".join(f"{found['seconds']:>26.3g}" for _, found in columns))
    for head, found in columns:
        largest = ", ".join(f"{name} {share:.1%}" for name, share in found["largest_of_the_rest"].items())
        lines.append(f"largest of the rest, {head}: {largest}")
    return lines


def shares(times: Mapping[str, float]) -> dict[str, float]:
    """Share of each kind, from the own time of each operation by name; they add up to 1."""
    kinds: Counter[str] = Counter()
    for name, time in times.items():
        kinds[kind_of(name)] += time
    total = sum(kinds.values())
    return {kind: kinds[kind] / total for kind in [*KINDS, REST]} if total else {}


def _profile_mode(bench: Bench, warm_up: int) -> dict[str, Any]:
    training = _profile(bench.train_step, bench.device, warm_up)
    with bench.evaluating():
        return {"training": training, "evaluation": _profile(bench.evaluate, bench.device, warm_up)}


def _profile(work: Callable[[], None], device: torch.device, warm_up: int) -> dict[str, Any]:
    for _ in range(warm_up):
        work()
    cuda = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as profiler:
        work()
        if cuda:
            torch.cuda.synchronize(device)
    times = _own_times(profiler.key_averages(), cuda)
    total = sum(times.values())
    rest = sorted(((t, name) for name, t in times.items() if kind_of(name) == REST), reverse=True)
    return {
        "shares": shares(times),
        "seconds": total / 1e6,
        "largest_of_the_rest": {name: time / total for time, name in rest[:3]},
        "microseconds": dict(sorted(times.items(), key=lambda item: -item[1])[:TOP]),
    }


def _own_times(events: Sequence[FunctionEventAvg], cuda: bool) -> dict[str, float]:
    """Microseconds by name, without what was called from there: of operations, or on a GPU of kernels."""
    times: Counter[str] = Counter()
    for event in events:
        if cuda and event.device_type == DeviceType.CUDA and not event.is_user_annotation:
            times[event.key] += event.self_device_time_total
        elif not cuda and event.device_type == DeviceType.CPU:
            times[event.key] += event.self_cpu_time_total
    return {name: time for name, time in times.items() if time > 0}
