"""A size that is measured in no time."""

import torch

from utils.benchmark.contestants import Size

TINY = Size(batch_size=2, channels=3, seq_len=24, pred_len=8, gpt_layers=2, llm="gpt2-tiny")
TINY_FLAGS = [f"--{name}={value}" for name, value in vars(TINY).items()]
CPU = torch.device("cpu")
