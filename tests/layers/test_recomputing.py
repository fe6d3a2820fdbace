"""Activations that are computed again in the backward pass."""

import torch
from torch import nn

from layers.recomputing import recompute_in_backward


class Counted(nn.Module):
    """A layer with dropout that counts how often it is computed."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.dropout = nn.Linear(8, 8), nn.Dropout(0.5)
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.dropout(self.linear(x).square())


def gradients(module: Counted) -> list[torch.Tensor]:
    torch.manual_seed(1)
    module(torch.randn(4, 8)).sum().backward()
    return [parameter.grad for parameter in module.parameters()]


def test_gradients_are_the_same_to_the_last_bit_although_the_layer_runs_twice() -> None:
    plain, recomputed = Counted(), Counted()
    recompute_in_backward(recomputed)
    for ours, theirs in zip(gradients(recomputed), gradients(plain), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    assert (plain.calls, recomputed.calls) == (1, 2)


def test_in_evaluation_nothing_runs_twice() -> None:
    module = Counted().eval()
    recompute_in_backward(module)
    gradients(module)
    assert module.calls == 1
