"""Describe the size of LoRA adapters, without importing the library that trains them."""

from dataclasses import dataclass

from utils.errors import UserError


@dataclass(frozen=True)
class LoRA:
    """Low-rank adapters on the attention of a language model (Hu et al., arXiv 2106.09685).

    Attributes:
        r: rank.
        alpha: scale of the adapters times the rank.
        dropout: on the adapters' input.
    """

    r: int = 8
    alpha: int = 32
    dropout: float = 0.1

    def __post_init__(self) -> None:
        whole = type(self.r) is int and type(self.alpha) is int
        if not whole or self.r < 1 or self.alpha < 1 or not 0 <= self.dropout < 1:
            raise UserError(
                f"{self}: r and alpha are whole numbers of at least 1, dropout is below 1 and not negative."
            )
