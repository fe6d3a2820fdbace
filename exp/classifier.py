"""Compute the logits of cases with a trained model. Shapes: N cases, L steps, C channels, K classes."""

import torch
from torch import Tensor

from data_provider.classification import Cases
from data_provider.windows import make_loader
from exp.evaluation import Predictor
from utils.progress import Progress


class Classifier(Predictor):
    """Classifies cases with a model."""

    def forecast(self, x: Tensor, **covariates: Tensor) -> Tensor:
        """Return the logits (B, K) of cases (B, L, C), in float32 on the device."""
        here = {name: part.to(self.compute.device, non_blocking=True) for name, part in covariates.items()}
        with torch.inference_mode(), self.compute.autocast():
            return self.model.classify(x.to(self.compute.device, non_blocking=True), **here).logits.float()

    def logits(self, cases: Cases, name: str, alone: bool = False) -> Tensor:
        """Return the logits (N, K) of all cases on the CPU; a call of every rank, or of one ``alone``."""
        forecast = self.forecast if alone else self.forecast_sharded
        loader = make_loader(cases, self.batch_size, workers=self.workers, pin=self.compute.device.type == "cuda")
        with self.evaluating():
            parts = [forecast(one.x, **one.covariates).cpu() for one in Progress(loader, name, len(loader))]
        return torch.cat(parts)
