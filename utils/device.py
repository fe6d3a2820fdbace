"""Which device to compute on, and repeatable random numbers on it."""

import os
import random

import numpy as np
import torch

from utils.errors import UserError


def pick_device(name: str, use_gpu: bool = True, gpu: int = 0) -> torch.device:
    """Resolve ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Args:
        use_gpu: False turns ``auto`` into the CPU. gpu: which card ``auto`` and ``cuda`` mean.

    Raises:
        UserError: the device is unknown or not there.
    """
    if name == "auto":
        name = "cuda" if use_gpu and torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"--device {name}: choose auto, cpu, cuda or cuda:N.") from error
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device {name}: choose auto, cpu, cuda or cuda:N.")
    if device.type == "cpu":
        return device
    if not use_gpu:
        raise UserError(f"--device {name} and --use_gpu 0 contradict each other.")
    index = gpu if device.index is None else device.index
    if not torch.cuda.is_available() or not 0 <= index < torch.cuda.device_count():
        raise UserError(
            f"--device {name}, card {index}: this machine shows {torch.cuda.device_count()} CUDA device(s) to PyTorch."
        )
    return torch.device("cuda", index)


def seed_everything(seed: int, device: torch.device) -> None:
    """Seed Python, NumPy and PyTorch, and ask CUDA for repeatable kernels.

    Raises:
        UserError: NumPy takes no such seed.
    """
    if not 0 <= seed < 2**32:
        raise UserError(f"--seed {seed}: choose a number from 0 to {2**32 - 1}.")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)  # attention backward is repeatable in no milder mode
        torch.utils.deterministic.fill_uninitialized_memory = False


def device_name(device: torch.device) -> str:
    """What to write beside a result: the card, or the CPU and its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"
