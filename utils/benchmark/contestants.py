"""What is measured: CALF at a size and in a mode, and the plain restatement of it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from layers.backbone import load_backbone
from layers.lora import LoRA
from models import CALF, CALFConfig
from tests.helpers.plain_calf import plain_calf
from utils.errors import UserError
from utils.losses import CALFLoss

WORDS = 500
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
MODES = ("fp32", "bf16", "fp32-compiled", "bf16-compiled")


@dataclass(frozen=True)
class Size:
    """What is measured: B windows of L steps and C channels, H steps ahead, N blocks of a GPT-2."""

    batch_size: int = 256
    channels: int = 7
    seq_len: int = 96
    pred_len: int = 96
    gpt_layers: int = 6
    llm: str = "gpt2"

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, int) and value < 1:
                raise UserError(f"--{name} {value}: choose a number from 1.")


@dataclass(frozen=True)
class Mode:
    """How CALF computes.

    Attributes:
        precision: of the matrix products, ``fp32`` or ``bf16``. compile_mode: of ``torch.compile``, None for eager.
        grad_checkpoint: training computes activations again instead of keeping them.
    """

    precision: str = "fp32"
    compile_mode: str | None = None
    grad_checkpoint: bool = False

    @property
    def name(self) -> str:
        return self.precision if self.compile_mode is None else f"{self.precision}-compiled"


def parse_modes(names: str, compile_mode: str = "default", grad_checkpoint: bool = False) -> list[Mode]:
    """The modes of a list with commas; ``compiled`` alone means ``bf16-compiled``.

    Raises:
        UserError: a name is unknown or there twice.
    """
    found = ["bf16-compiled" if name == "compiled" else name for name in map(str.strip, names.split(","))]
    for name in found:
        if name not in MODES:
            raise UserError(f"--modes {names}: {name!r} is unknown; choose from {', '.join(MODES)}, compiled.")
    if len(set(found)) < len(found):
        raise UserError(f"--modes {names}: name each mode once (compiled is bf16-compiled).")
    return [
        Mode(name[:4], compile_mode if name.endswith("-compiled") else None, grad_checkpoint)  # "fp32" and "bf16"
        for name in found
    ]


class Bench:
    """One model, its optimiser and a batch, ready to be timed."""

    def __init__(self, size: Size, device: torch.device, mode: Mode | None = None) -> None:
        torch.manual_seed(0)
        backbone = load_backbone(size.llm, "random", size.gpt_layers, token_table=False)
        width = backbone.width
        self.heads = backbone.model.config.n_head
        self.size, self.device, self.mode = size, device, mode or Mode()
        words = torch.randn(min(WORDS, width), width)
        config = CALFConfig(size.seq_len, size.pred_len, size.channels)
        self.model = CALF(config, backbone.model, words).to(device).train()
        if self.mode.grad_checkpoint:
            self.model.checkpoint_activations()
        if self.mode.compile_mode is not None:
            torch.compiler.reset()  # what other sizes compiled counts towards a limit, after which nothing is compiled
            self.model.compile_parts(self.mode.compile_mode)
        self.x = torch.randn(size.batch_size, size.seq_len, size.channels, device=device)
        self.y = torch.randn(size.batch_size, size.pred_len, size.channels, device=device)
        self.loss = CALFLoss()
        self.optimiser = torch.optim.Adam([p for p in self.model.parameters() if p.requires_grad], fused=True)

    def training_loss(self) -> Tensor:
        """The loss of the batch, in float32 as in training."""
        with self._precision():
            output = self.model.branches(self.x)
        return self.loss(output.forecast, self.y, output.text_forecast, output.time_features, output.text_features)

    def train_step(self) -> None:
        self._begin()
        self.optimiser.zero_grad(set_to_none=True)
        self.training_loss().backward()
        self.optimiser.step()

    def evaluate(self) -> None:
        self._begin()
        with torch.inference_mode(), self._precision():
            self.model(self.x)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Within the block the model is as in evaluation: dropout off, adapters merged."""
        # The fused encoder layer refuses the mixed dtypes that a compiled part hands to it under autocast.
        fused = nullcontext() if self.mode.compile_mode is None else without_fused_encoder()
        self.model.eval()
        try:
            with self.model.merged_adapters(), fused:
                yield
        finally:
            self.model.train()

    def _precision(self) -> AbstractContextManager:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.mode.precision == "bf16")

    def _begin(self) -> None:
        if self.mode.compile_mode is not None and self.device.type == "cuda":
            torch.compiler.cudagraph_mark_step_begin()  # the parts of one step share their memory


class PlainBench(Bench):
    """The same numbers in the plain restatement, each branch with frozen tensors of its own."""

    def __init__(self, size: Size, device: torch.device) -> None:
        super().__init__(size, device)
        trained = self.model.trained_state().keys() - {"match.words"}
        self.weights = {
            name: tensor.detach().clone().requires_grad_(name in trained)
            for name, tensor in self.model.state_dict().items()
        }
        del self.model
        self.optimiser = torch.optim.Adam([t for t in self.weights.values() if t.requires_grad])

    def forward(self, x: Tensor, dropout: float) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
        lora = LoRA()
        return plain_calf(
            self.weights,
            x,
            blocks=self.size.gpt_layers,
            heads=self.heads,
            gpt2_heads=self.heads,
            lora_scale=lora.alpha / lora.r,
            p=dropout,
        )

    def training_loss(self) -> Tensor:
        forecast, text_forecast, time_features, text_features = self.forward(self.x, dropout=0.1)
        return self.loss(forecast, self.y, text_forecast, time_features, text_features)

    def evaluate(self) -> None:
        """One window, as the released code tests."""
        with torch.inference_mode():
            self.forward(self.x[:1], dropout=0.0)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        yield  # dropout is an argument, LoRA never merged


@contextmanager
def without_fused_encoder() -> Iterator[None]:
    """Within the block evaluation takes the encoder layer operation by operation."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
