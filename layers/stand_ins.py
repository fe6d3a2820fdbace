"""Take the place of the language model in CALF's time branch: the ablations of Tan et al.

Tan et al., "Are Language Models Actually Useful for Time Series Forecasting?", NeurIPS 2024, arXiv 2406.16964. Nothing
is added around a stand-in: neither positions nor the outer residual of the full model. None of them has a causal mask,
so that the order of the channels does not matter to them.

Shapes: B batch, C channels, D width.
"""

from torch import nn

from layers.encoder import ResidualAttention
from layers.token_embedding import DROPOUT, FEEDFORWARD_WIDTH
from utils.errors import UserError


def make_stand_in(kind: str, width: int, heads: int) -> nn.Module:
    """Return what maps tokens (B, C, D) to tokens (B, C, D) in place of the language model.

    Args:
        kind: ``none`` (w/o LLM: the tokens as they are), ``linear`` (one linear map, not in the paper), ``attention``
            (LLM2Attn) or ``transformer`` (LLM2Trsf: a layer as that of the input).
        heads: of the transformer layer.

    Raises:
        UserError: the width cannot be shared among the heads of the attention.
    """
    if kind == "attention":
        if width % (count := ResidualAttention.HEADS):
            wrong = f"--backbone attention has {count} heads, which width {width} cannot be shared among"
            raise UserError(f"{wrong}: choose another --llm or --backbone.")
        return ResidualAttention(width)
    if kind == "transformer":
        return nn.TransformerEncoderLayer(width, heads, FEEDFORWARD_WIDTH, DROPOUT, batch_first=True)
    return nn.Linear(width, width) if kind == "linear" else nn.Identity()
