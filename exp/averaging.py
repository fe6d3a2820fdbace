"""Average the weights over the steps of a training (``--ema``)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from models.base import Model


class WeightAverage:
    """An exponential moving average of what a model trains, taken after every step of the optimizer.

    After step t the average moves by max(1 - decay, 9 / (t + 10)) of the way to the weights, so that it soon forgets
    where training began. Running statistics of batches are averaged likewise.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self._model = model
        self.tensors = {name: tensor.clone() for name, tensor in self._current().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights as they are now into the average."""
        self.steps += 1
        share = max(1 - self.decay, 9 / (self.steps + 10))
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
