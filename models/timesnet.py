"""TimesNet: convolutions over a series that is folded at its own periods.

Wu et al., "TimesNet: Temporal 2D-Variation Modeling for General Time Series Analysis", ICLR 2023, arXiv 2210.02186,
section 3. Shapes: B batch, L seq_len, H pred_len, C channels, T = L + H, D d_model, F known columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from layers.instance_norm import denormalize, normalize
from layers.positions import sine_positions
from models.base import Model, Output
from models.config import MARKS_HELP, ModelConfig
from models.tensors import renamed
from utils.errors import UserError
from utils.flags import SHARE, SWITCH, flag, whole

MARKS = 4  # hour, weekday, day of month, day of year


class Inception(nn.Module):
    """The mean of square convolutions with edges 1, 3, 5, …: (B, D, rows, columns) to as many rows and columns.

    Convolution is linear: one with the mean of the kernels, smaller ones padded with zeros, gives the mean of all.
    """

    def __init__(self, channels_in: int, channels_out: int, kernels: int) -> None:
        super().__init__()
        self.kernels = nn.ModuleList(nn.Conv2d(channels_in, channels_out, 2 * i + 1, padding=i) for i in range(kernels))
        for kernel in self.kernels:
            nn.init.kaiming_normal_(kernel.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(kernel.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x`` (B, D, rows, columns)."""
        weight, bias = self._mean()
        reach = weight.shape[-1] // 2
        # Beyond the other end of a small image there is only padding. A graph has one kernel for images of all sizes.
        down, across = (reach if torch.compiler.is_exporting() else min(reach, edge - 1) for edge in x.shape[2:])
        weight = weight[:, :, reach - down : reach + down + 1, reach - across : reach + across + 1]
        return F.conv2d(x, weight, bias, padding=(down, across))

    def merge(self) -> None:
        """Put one kernel in the place of all, for good: their mean."""
        largest = self.kernels[-1]
        with torch.no_grad():
            for parameter, mean in zip((largest.weight, largest.bias), self._mean(), strict=True):
                parameter.copy_(mean)
        self.kernels = nn.ModuleList([largest])

    def _mean(self) -> tuple[Tensor, Tensor]:
        """Return the mean of the kernels, and of their biases."""
        if len(self.kernels) == 1:
            return self.kernels[0].weight, self.kernels[0].bias
        reach = len(self.kernels) - 1
        weight = torch.stack([F.pad(k.weight, [reach - i] * 4) for i, k in enumerate(self.kernels)]).mean(0)
        return weight, torch.stack([k.bias for k in self.kernels]).mean(0)


class TimesBlock(nn.Module):
    """Fold a series at its strongest periods, convolve each image, and add the results by strength (section 3.2).

    Args:
        top_k: how many periods.
        batch_periods: choose the periods from the mean of the batch, as the public code does, not for each window.
    """

    def __init__(self, width: int, hidden: int, kernels: int, top_k: int, batch_periods: bool) -> None:
        super().__init__()
        self.top_k, self.batch_periods = top_k, batch_periods
        self.convolutions = nn.Sequential(
            Inception(width, hidden, kernels), nn.GELU(), Inception(hidden, width, kernels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (B, T, D) to (B, T, D)."""
        periods, strengths = self._periods(x)
        weights = strengths.softmax(dim=-1)  # (B, k)
        if torch.compiler.is_exporting():
            return self._over_all_periods(x, periods, weights)
        total = torch.zeros_like(x)
        for period in periods.unique().tolist():
            share = (weights * (periods == period)).sum(-1)  # (B,): of a period that two frequencies have, both
            rows = (periods == period).any(-1).nonzero().squeeze(-1)
            folded = self._fold(x[rows], period)
            total = total.index_add(0, rows, (share[rows, None, None] * folded).to(total.dtype))
        return total + x

    def _over_all_periods(self, x: Tensor, periods: Tensor, weights: Tensor) -> Tensor:
        """Fold every window at every period that there can be, those it has not with weight 0: no values decide.

        An exported graph has no branches. It costs about 2 · sqrt(T) convolutions in place of k.
        """
        total, steps = torch.zeros_like(x), x.shape[1]
        possible = sorted({steps // frequency for frequency in range(1, steps // 2 + 1)})
        mine = periods[:, None] == torch.tensor(possible)[:, None]  # (B, P, k)
        for period, share in zip(possible, (weights[:, None] * mine).sum(-1).unbind(1), strict=True):
            total = total + share[:, None, None] * self._fold(x, period)
        return total + x

    def _periods(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the periods (B, k) of the strongest frequencies in steps, and their amplitudes (B, k)."""
        x = x.double() if torch.compiler.is_exporting() else x.float()  # others sum the waves up less exactly
        amplitudes = torch.fft.rfft(x, dim=1).abs().mean(-1).float()  # (B, T // 2 + 1)
        ranked = amplitudes.detach().clone()
        ranked[:, 0] = 0  # the mean has no period
        if self.batch_periods:
            ranked = ranked.mean(0, keepdim=True).expand_as(ranked)
        frequencies = ranked[:, 1:].topk(self.top_k, dim=-1).indices + 1
        return torch.full_like(frequencies, x.shape[1]) // frequencies, amplitudes.gather(1, frequencies)

    def _fold(self, x: Tensor, period: int) -> Tensor:
        """Convolve ``x`` (B, T, D) as an image of whole periods, one a row."""
        steps = x.shape[1]
        padded = F.pad(x, (0, 0, 0, -steps % period))
        image = self.convolutions(rearrange(padded, "b (n p) d -> b d n p", p=period))
        return rearrange(image, "b d n p -> b (n p) d")[:, :steps]


class TimesNet(Model):
    """Embed the steps, lengthen the time axis to the horizon, and apply TimesBlocks (section 3.2)."""

    @dataclass(frozen=True)
    class Config(ModelConfig):
        """Sizes of the blocks, how periods are chosen, and whether calendar marks are read."""

        takes_known: ClassVar[bool] = True
        takes_visible: ClassVar[bool] = True

        d_model: int = flag(16, whole(high=100_000), "width of the steps")
        d_ff: int = flag(32, whole(high=100_000), "width between the two convolutions of a block")
        e_layers: int = flag(2, whole(high=1000), "blocks")
        top_k: int = flag(5, whole(high=10_000), "periods of a block")
        num_kernels: int = flag(6, whole(high=100), "sizes of convolutions: 1, 3, 5, …")
        dropout: float = flag(0.1, SHARE, "dropout on the embedding")
        marks: int = flag(0, SWITCH, MARKS_HELP)
        batch_periods: int = flag(
            0, SWITCH, "1: periods of the batch's mean, as in the public code: a forecast depends on its batch"
        )

        @property
        def any_channels(self) -> bool:
            return False

    def __init__(self, config: "TimesNet.Config") -> None:
        super().__init__(config)
        steps = config.seq_len + (0 if config.of_window else config.pred_len)  # T
        width = config.d_model
        if config.top_k > steps // 2:
            raise UserError(f"--top_k {config.top_k}: {steps} steps have {steps // 2} periods; choose at most as many.")
        self.embedding = nn.Conv1d(config.channels, width, 3, padding=1, padding_mode="circular", bias=False)
        nn.init.kaiming_normal_(self.embedding.weight, mode="fan_in", nonlinearity="leaky_relu")
        self.mark_embedding = nn.Linear(MARKS, width, bias=False) if config.marks else None
        self.known_embedding = nn.Linear(config.known, width, bias=False) if config.known else None
        self.register_buffer("positions", sine_positions(config.seq_len, width), persistent=False)
        self.dropout = nn.Dropout(config.dropout)
        self.lengthen = None if config.of_window else nn.Linear(config.seq_len, steps)
        self.blocks = nn.ModuleList(
            TimesBlock(width, config.d_ff, config.num_kernels, config.top_k, bool(config.batch_periods))
            for _ in range(config.e_layers)
        )
        self.norm = nn.LayerNorm(width)
        if config.classes:
            self.head, self.class_head = None, nn.Linear(steps * width, config.classes)
        else:
            self.head = nn.Linear(width, config.channels)

    def forward(
        self, x: Tensor, marks: Tensor | None = None, known: Tensor | None = None, visible: Tensor | None = None
    ) -> Output:
        """Forecast (B, H, C) windows ``x`` (B, L, C), whose calendar marks are ``marks`` (B, L, 4).

        Of x only what is ``visible`` (B, L, C) counts. Columns ``known`` (B, T, F) in advance are added to all T steps
        once the time axis is that long.
        """
        normal, statistics = normalize(x, visible)
        steps = self.head(self._encode(normal, marks, known))
        return Output(denormalize(steps[:, -self.config.pred_len :], statistics))

    def features(self, x: Tensor, visible: Tensor) -> Tensor:
        """Return the encoded steps together, 0 beyond the end of a series, (B, L·D)."""
        steps = self.dropout(F.gelu(self._encode(x)))
        return (steps * visible[..., :1]).flatten(1)

    def _encode(self, normal: Tensor, marks: Tensor | None = None, known: Tensor | None = None) -> Tensor:
        """Return the encoded steps (B, T, D) of windows (B, L, C)."""
        steps = self.embedding(rearrange(normal, "b l c -> b c l"))  # (B, D, L)
        steps = rearrange(steps, "b d l -> b l d") + self.positions
        if marks is not None:
            steps = steps + self.mark_embedding(marks)
        steps = self.dropout(steps)
        if self.lengthen is not None:
            steps = rearrange(self.lengthen(rearrange(steps, "b l d -> b d l")), "b d t -> b t d")
        if known is not None:
            steps = steps + self.known_embedding(known)
        for block in self.blocks:
            steps = self.norm(block(steps))  # one norm for all blocks
        return steps

    def drop_training_parts(self) -> None:
        """Merge the kernels of each convolution."""
        for block in self.blocks:
            for part in block.convolutions:
                if isinstance(part, Inception):
                    part.merge()

    @classmethod
    def from_public(cls, sizes: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "TimesNet":
        """Make a model with the weights of Time-Series-Library: it reads marks, and chooses periods by batch."""
        marks = "enc_embedding.temporal_embedding.embed.weight" in tensors
        return super().from_public({**sizes, "batch_periods": 1, "marks": int(marks)}, tensors)

    @classmethod
    def translate_public(cls, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors of Time-Series-Library under our names, but for its table of positions."""
        names = {
            "enc_embedding.value_embedding.tokenConv": "embedding",
            "enc_embedding.temporal_embedding.embed": "mark_embedding",
            "predict_linear": "lengthen", "layer_norm": "norm", "projection": "head",
        }  # fmt: skip
        blocks = {name.split(".conv.")[0] for name in tensors if name.startswith("model.")}
        names |= {f"{block}.conv": f"{block.replace('model', 'blocks')}.convolutions" for block in blocks}
        state = renamed(tensors, names)
        state.pop("enc_embedding.position_embedding.pe", None)
        return state
