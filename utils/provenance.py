"""What a result was computed with."""

import platform
import subprocess
from pathlib import Path

import torch
import transformers

from utils.device import device_name


def environment(device: torch.device) -> dict[str, str | None]:
    """Machine, library versions and the commit of the code."""
    return {
        "device": device_name(device),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "commit": _commit(),
    }


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        found = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
