"""Make one graph of a trained model: windows in the units of the file become forecasts in these units.

Shapes: B batch, L look-back, H pred_len, C columns, F columns known in advance.
"""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from exp.forecaster import Forecaster
from utils.errors import UserError

DIFFERENCE = 1e-4  # in standard deviations of a column, beyond which a graph is not the model: an error, not rounding
BATCHES = (1, 3)  # on which a graph is compared


class ForecastGraph(nn.Module):
    """A model with its scaling.

    Values come in float64 and are scaled in it: float32 knows 1,000,000 to 0.06 only. The model computes in float32.

    Attributes:
        shapes: of each input by name, without B.
    """

    def __init__(self, forecaster: Forecaster) -> None:
        super().__init__()
        model, series = forecaster.model, forecaster.series
        self.model, self._scored = model, series.scored
        config, known, steps, columns = model.config, series.known, forecaster.lookback, len(series.columns)
        own = series.ids is None
        self.register_buffer("mean", torch.from_numpy(series.mean) if own else torch.zeros(columns).double())
        self.register_buffer("scale", torch.from_numpy(series.scale) if own else torch.ones(columns).double())
        derived = config.known - len(known.columns)  # of calendar and holidays: they stay as they are
        self.register_buffer("known_mean", torch.tensor([*known.mean, *[0] * derived], dtype=torch.float64))
        self.register_buffer("known_scale", torch.tensor([*known.scale, *[1] * derived], dtype=torch.float64))
        floor = (
            np.zeros(len(series.columns[series.scored])) if forecaster.intervals is None else forecaster.intervals.floor
        )
        self.register_buffer("floor", torch.from_numpy(floor))
        self._seq_len = config.seq_len
        self.shapes: dict[str, tuple[int, ...]] = {"x": (steps, columns)}
        if config.known:
            self.shapes["known"] = (steps + config.pred_len, config.known)
        if config.reads_marks:
            self.shapes["marks"] = (steps, 4)
        if not own:
            self.shapes |= {"mean": (columns,), "scale": (columns,)}

    def forward(
        self,
        x: Tensor,
        known: Tensor | None = None,
        marks: Tensor | None = None,
        mean: Tensor | None = None,
        scale: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Forecast (B, H, scored columns) windows ``x`` (B, L, C), in float64, and return the units of their bounds.

        The second tensor (B, scored columns) is the scale of each window in the units of the file: the bounds of an
        interval are that many times the factors of its level away from the forecast.

        Args:
            known: (B, L + H, F), the columns known in advance; those of the file in its units.
            marks: (B, L, 4), calendar marks in float32.
            mean: (B, C), of each series, where the model was trained on many.
            scale: (B, C), its standard deviation.
        """
        mean, scale = (self.mean, self.scale) if mean is None else (mean[:, None], scale[:, None])
        covariates = {} if marks is None else {"marks": marks}
        if known is not None:
            covariates["known"] = ((known - self.known_mean) / self.known_scale).float()
        standardized = (x - mean) / scale
        forecast = self.model(standardized.float(), **covariates).forecast.double()  # (B, H, C)
        seen = standardized[:, -self._seq_len :, self._scored]
        unit = (seen.var(dim=1, correction=0) + self.floor).sqrt()[:, None] * scale[..., self._scored]
        return forecast[..., self._scored] * scale[..., self._scored] + mean[..., self._scored], unit[:, 0]

    def example(self, batch: int) -> dict[str, Tensor]:
        """Return inputs by name that look like those of training."""
        random, centre = torch.Generator().manual_seed(batch), {"x": self.mean, "known": self.known_mean}
        spread, found = {"x": self.scale, "known": self.known_scale}, {}
        for name, shape in self.shapes.items():
            values = torch.randn((batch, *shape), generator=random, dtype=torch.float64)
            if name in centre:
                values = centre[name] + values * spread[name]
            found[name] = values.clamp(-0.5, 0.5).float() if name == "marks" else values
        return found | ({"scale": found["scale"].abs() + 0.5} if "scale" in found else {})

    @property
    def deviation(self) -> Tensor:
        """Return one standard deviation of each scored column."""
        return self.scale[self._scored]


@contextmanager
def _exporting() -> Iterator[None]:
    """Leave out fused kernels that no other program has, and what PyTorch's exporters say of their own insides."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        torch.backends.mha.set_fastpath_enabled(fused)


def trace(graph: ForecastGraph) -> ExportedProgram:
    """Return the program of a graph for batches of any size, without a trace of where its source lies.

    Raises:
        UserError: the model has steps that depend on its values.
    """
    members = getattr(graph.model, "members", [graph.model])
    if slow := [type(member).__name__ for member in members if member.config.slow]:
        raise UserError(f"{slow[0]} is fitted on each window anew, by a package: there is no graph of it to export.")
    inputs, batch = graph.example(2), Dim("batch")
    try:
        with _exporting():
            program = torch.export.export(graph, (), inputs, dynamic_shapes={name: {0: batch} for name in inputs})
    except (torch._dynamo.exc.UserError, torch.fx.experimental.symbolic_shapes.GuardOnDataDependentSymNode) as error:
        name, why = type(graph.model).__name__, str(error).strip().splitlines()[0]
        raise UserError(f"{name} cannot be exported: its steps depend on its input ({why}).") from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def save_torch(program: ExportedProgram, path: str) -> None:
    """Write a program as a file of ``torch.export.load``."""
    memory = io.BytesIO()  # PyTorch's writer of files ends the process where the disk is full
    with _exporting():
        torch.export.save(program, memory)
    Path(path).write_bytes(memory.getbuffer())


def save_onnx(program: ExportedProgram, path: str) -> None:
    """Write a program as an ONNX file."""
    with _exporting():
        found = torch.onnx.export(program, dynamo=True, output_names=["forecast", "unit"], verbose=False)
        found.save(path, external_data=False)


def run_torch(path: str) -> Callable[[dict[str, Tensor]], np.ndarray]:
    """Return a function that forecasts with the file of :func:`save_torch`."""
    with _exporting(), open(path, "rb") as file:
        module = torch.export.load(file).module()
    return lambda inputs: module(**inputs)[0].detach().numpy()


def run_onnx(path: str) -> Callable[[dict[str, Tensor]], np.ndarray]:
    """Return a function that forecasts with the file of :func:`save_onnx`."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, {name: values.numpy() for name, values in inputs.items()})[0]


def check_same(graph: ForecastGraph, forecast: Callable[[dict[str, Tensor]], np.ndarray]) -> float:
    """Return the largest difference between a written graph and its model, in standard deviations of a column.

    Raises:
        UserError: they differ by more than rounding.
    """
    worst = 0.0
    for batch in BATCHES:
        inputs = graph.example(batch)
        with torch.inference_mode():
            off = (torch.from_numpy(forecast(inputs)) - graph(**inputs)[0]).abs() / graph.deviation
        worst = max(worst, float(off.nan_to_num(torch.inf).max()))
    if worst > DIFFERENCE:
        name = type(graph.model).__name__
        raise UserError(
            f"{name} cannot be exported faithfully: its graph forecasts {worst:.2g} standard deviations beside the "
            "model. Nothing was written."
        )
    return worst
