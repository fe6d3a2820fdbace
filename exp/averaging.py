"""Average the weights over the steps of a training (``--ema``)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from models.base import Model


class WeightAverage:
    """A moving average of what a model trains, taken after every step of the optimizer.

    After step t the average moves by the larger of 1 - decay and 9 / (t + 8) of the way to the weights. At first a
    weight counts the more, the later it is (polynomial decay, Shamir and Zhang, ICML 2013), so that the start of
    training is soon forgotten; later the average is an exponential one. Running statistics of batches are averaged
    likewise.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self._model = model
        self.tensors = {name: tensor.clone() for name, tensor in self._current().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights as they are now into the average."""
        self.steps += 1
        share = max(1 - self.decay, 9 / (self.steps + 8))
        torch._foreach_lerp_(list(self.tensors.values()), list(self._current().values()), share)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let the model hold the average within the block."""
        trained = {name: tensor.clone() for name, tensor in self._current().items()}
        self._put(self.tensors)
        try:
            yield
        finally:
            self._put(trained)

    @torch.no_grad()
    def _put(self, tensors: Mapping[str, Tensor]) -> None:
        torch._foreach_copy_(list(self._current().values()), list(tensors.values()))

    def _current(self) -> dict[str, Tensor]:
        return {name: t for name, t in self._model.trained_state().items() if t.is_floating_point()}
