"""Restate CALF plainly: its mathematics in a straight line, from a dictionary of tensors, slow and obvious.

It shares no code with the implementation. Tests compare the two, and the benchmark measures against it. It is wasteful
like the released code: words are projected for every sample, attention maps written out, both branches always computed.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from models.base import Model, Output
from models.calf import CALF, CALFOutput, calf_loss

Weights = dict[str, Tensor]


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    return F.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))


def norm(w: Weights, name: str, x: Tensor) -> Tensor:
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


def heads_attend(q: Tensor, k: Tensor, v: Tensor, heads: int, causal: bool, p: float) -> Tensor:
    """Attend from ``q`` (B, Q, D) to ``k`` and ``v`` (B, K, D); return (B, Q, D)."""
    q, k, v = (t.view(t.shape[0], t.shape[1], heads, -1).transpose(1, 2) for t in (q, k, v))
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones_like(scores[0, 0]).triu(1).bool(), float("-inf"))
    mixed = F.dropout(scores.softmax(-1), p) @ v
    return mixed.transpose(1, 2).reshape(q.shape[0], q.shape[2], -1)


def torch_attention(w: Weights, name: str, q: Tensor, kv: Tensor, heads: int, p: float) -> Tensor:
    weights, biases = w[f"{name}.in_proj_weight"].chunk(3), w[f"{name}.in_proj_bias"].chunk(3)
    q, k, v = (F.linear(t, weights[i], biases[i]) for i, t in enumerate((q, kv, kv)))
    return linear(w, f"{name}.out_proj", heads_attend(q, k, v, heads, False, p))


def gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def conv1d(w: Weights, name: str, x: Tensor, lora_scale: float, p: float) -> Tensor:
    base = name if f"{name}.weight" in w else f"{name}.base_layer"
    y = x @ w[f"{base}.weight"] + w[f"{base}.bias"]
    if base != name:
        low = F.dropout(x, p) @ w[f"{name}.lora_A.default.weight"].T
        y = y + low @ w[f"{name}.lora_B.default.weight"].T * lora_scale
    return y


def gpt2(w: Weights, name: str, x: Tensor, blocks: int, heads: int, lora_scale: float, p: float) -> list[Tensor]:
    x = F.dropout(x + w[f"{name}.wpe.weight"][: x.shape[1]], p)
    features = [x]
    for i in range(blocks):
        block = f"{name}.h.{i}"
        q, k, v = conv1d(w, f"{block}.attn.c_attn", norm(w, f"{block}.ln_1", x), lora_scale, p).chunk(3, -1)
        attended = heads_attend(q, k, v, heads, True, p)
        x = x + F.dropout(conv1d(w, f"{block}.attn.c_proj", attended, lora_scale, p), p)
        hidden = gelu(conv1d(w, f"{block}.mlp.c_fc", norm(w, f"{block}.ln_2", x), lora_scale, p))
        x = x + F.dropout(conv1d(w, f"{block}.mlp.c_proj", hidden, lora_scale, p), p)
        features.append(x)
    features[-1] = norm(w, f"{name}.ln_f", x)
    return features


def plain_calf(
    w: Weights, x: Tensor, *, blocks: int, heads: int, gpt2_heads: int, lora_scale: float, p: float = 0.0
) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
    """Return forecast and text forecast (B, H, C), N+1 time and text features (B, C, D) of windows (B, L, C)."""
    mean = x.mean(1, keepdim=True)
    deviation = torch.sqrt(((x - mean) ** 2).mean(1, keepdim=True) + 1e-5)
    z = linear(w, "embedding.linear", ((x - mean) / deviation).transpose(1, 2))
    z = norm(w, "embedding.encoder.norm1",
             z + F.dropout(torch_attention(w, "embedding.encoder.self_attn", z, z, heads, p), p))  # fmt: skip
    hidden = F.dropout(F.relu(linear(w, "embedding.encoder.linear1", z)), p)
    time = norm(w, "embedding.encoder.norm2", z + F.dropout(linear(w, "embedding.encoder.linear2", hidden), p))
    words = w["match.words"].repeat(len(x), 1, 1)
    text = torch_attention(w, "match.attention", time, words, heads, 0.0)
    forecasts, projected = [], []
    for name, tokens in (("time", time), ("text", text)):
        features = gpt2(w, f"{name}_gpt2", tokens, blocks, gpt2_heads, lora_scale, p)
        features[-1] = features[-1] + tokens
        forecasts.append(linear(w, "head", features[-1]).transpose(1, 2) * deviation + mean)
        projected.append([linear(w, f"{name}_projections.{i}", f) for i, f in enumerate(features)])
    return forecasts[0], forecasts[1], projected[0], projected[1]


class PlainCALF(Model):
    """The numbers of a CALF in the plain restatement, with frozen tensors of its own for each branch."""

    def __init__(self, model: CALF) -> None:
        super().__init__(model.config)
        trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        state = model.state_dict()
        self.weights = {name: t.detach().clone().requires_grad_(name in trained) for name, t in state.items()}
        self.sizes = {
            "blocks": self.config.gpt_layers,
            "heads": model.match.attention.num_heads,
            "gpt2_heads": model.time_gpt2.config.n_head,
            "lora_scale": self.config.lora_alpha / self.config.r if self.config.lora else 0.0,
        }

    def parameters(self, recurse: bool = True) -> Iterator[Tensor]:
        return iter(self.weights.values())

    def forward(self, x: Tensor) -> Output:
        """Forecast windows ``x`` (B, L, C) one at a time, as the released code tests."""
        return Output(torch.cat([plain_calf(self.weights, window, **self.sizes)[0] for window in x.split(1)]))

    def training_loss(self, x: Tensor, y: Tensor, mask: None = None, scored: slice = slice(None)) -> Tensor:
        return calf_loss(self.config, CALFOutput(*plain_calf(self.weights, x, **self.sizes, p=0.1)), y, None)
