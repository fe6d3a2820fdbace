"""What CALF is meant to reach, and whether measured rows do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

PUBLISHED = {"batch_size": 256, "channels": 7, "seq_len": 96, "pred_len": 96, "gpt_layers": 6, "llm": "gpt2"}
GPT2 = {"gpt_layers": 6, "llm": "gpt2"}

TRAIN_SHARE, EVALUATION_SHARE = "train_share_of_matrix_rate", "evaluation_share_of_matrix_rate"
TRAIN_SPEED, EVALUATION_SPEED = "train_speed_up", "evaluation_speed_up"
TRAIN_MEMORY = "train_peak_bytes"

WORDS = {
    TRAIN_SHARE: ("training", "of the matrix rate"),
    EVALUATION_SHARE: ("evaluation", "of the matrix rate"),
    TRAIN_SPEED: ("training", "times the plain float32 restatement"),
    EVALUATION_SPEED: ("evaluation", "times the plain float32 restatement"),
    TRAIN_MEMORY: ("training", "at its peak"),
}


@dataclass(frozen=True)
class Target:
    """A bound on one figure of a row: the least it should be, or for memory the most.

    Attributes:
        figure: the row's key. device: ``cpu``, ``cuda``, or None for both.
        precision: the modes it is meant for. size: what a row must have.
    """

    figure: str
    bound: float
    precision: str
    device: str | None = None
    size: Mapping[str, Any] = field(default_factory=lambda: PUBLISHED)

    def concerns(self, row: Mapping[str, Any], device: str) -> bool:
        return (
            row["mode"].startswith(self.precision)
            and self.device in (None, device)
            and all(row[name] == value for name, value in self.size.items())
            and row.get(self.figure) is not None
        )

    def holds(self, value: float) -> bool:
        return value <= self.bound if self.figure == TRAIN_MEMORY else value >= self.bound


TARGETS = (
    Target(TRAIN_SHARE, 0.70, "fp32", "cpu"),
    Target(TRAIN_SHARE, 0.55, "bf16", "cpu"),
    Target(EVALUATION_SHARE, 0.85, "fp32", "cpu"),
    Target(EVALUATION_SHARE, 0.65, "bf16", "cpu"),
    Target(TRAIN_SPEED, 3, "bf16", "cpu"),
    Target(EVALUATION_SPEED, 20, "bf16", "cpu"),
    Target(TRAIN_SPEED, 3, "bf16", "cuda"),
    Target(EVALUATION_SPEED, 50, "bf16", "cuda"),
    Target(TRAIN_SHARE, 0.40, "bf16", "cuda", {**GPT2, "channels": 321, "batch_size": 32}),
    Target(TRAIN_MEMORY, 16e9, "fp32", None, {**GPT2, "channels": 862, "batch_size": 8}),
    Target(TRAIN_MEMORY, 24e9, "bf16", None, {**GPT2, "channels": 862, "batch_size": 32}),
)


def judge(rows: Iterable[Mapping[str, Any]], device: str) -> list[dict[str, Any]]:
    """Every target that a row concerns, with the row's value and whether it holds, as plain values."""
    return [
        {
            "target": _words(target, row),
            "bound": target.bound,
            "value": row[target.figure],
            "holds": target.holds(row[target.figure]),
        }
        for row in rows
        for target in TARGETS
        if target.concerns(row, device)
    ]


def target_lines(judged: Iterable[Mapping[str, Any]]) -> list[str]:
    """The judgements in words, one line each."""
    return [f"target: {each['target']}, {'holds' if each['holds'] else 'missed'}" for each in judged]


def _words(target: Target, row: Mapping[str, Any]) -> str:
    what, of = WORDS[target.figure]
    relation = "<=" if target.figure == TRAIN_MEMORY else ">="
    bound, value = (_number(target.figure, number) for number in (target.bound, row[target.figure]))
    checkpointed = " with recomputed activations" if row["grad_checkpoint"] else ""
    size = "" if target.size == PUBLISHED else f" at {row['channels']} channels, batch {row['batch_size']}"
    return f"{what} {row['mode']}{size}{checkpointed} {relation} {bound} {of}: {value}"


def _number(figure: str, value: float) -> str:
    if figure == TRAIN_MEMORY:
        return f"{value / 1e9:.3g} GB"
    return f"{value:.0%}" if figure in (TRAIN_SHARE, EVALUATION_SHARE) else f"{value:.3g}"
