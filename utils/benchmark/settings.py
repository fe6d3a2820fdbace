"""What the figures were measured with, for JSON and for the report."""

from collections.abc import Mapping
from typing import Any

import torch

from utils.device import environment

# What torch.get_float32_matmul_precision() means on a GPU.
FLOAT32_PRODUCTS = {"highest": "float32", "high": "TF32", "medium": "bfloat16"}


def settings(device: torch.device) -> dict[str, Any]:
    """Machine, versions, and how float32 products are computed."""
    return {"float32_matmul_precision": torch.get_float32_matmul_precision(), "environment": environment(device)}


def title(figures: Mapping[str, Any]) -> list[str]:
    """Two lines that say on what and how fast matrix products run there."""
    precision = figures["float32_matmul_precision"]
    rates = ", ".join(f"{rate:.0f} in {name}" for name, rate in figures["matrix_gflops_per_s"].items())
    return [
        f"{figures['environment']['device']}, torch {figures['environment']['torch']}, float32 matrix products: "
        f"{precision} (on a GPU computed in {FLOAT32_PRODUCTS[precision]})",
        f"matrix products run at {rates} GFLOP/s",
    ]
