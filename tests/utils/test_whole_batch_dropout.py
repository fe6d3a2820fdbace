"""Dropout that does not depend on how a batch is divided."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.whole_batch_dropout import WholeBatchDropout


def drop(x: Tensor) -> Tensor:
    return F.dropout(x, 0.5)


def attend(x: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None], dropout_p=0.5)


def encode(x: Tensor) -> Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5, batch_first=True)
    return layer(x)


@pytest.mark.parametrize("work", [drop, attend, encode])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_rows_of_a_part_are_those_of_the_whole(work: object, transposed: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(7, 8, 8)
    x = x.transpose(1, 2) if transposed else x  # numbers fill a mask in the order of its memory
    torch.manual_seed(1)
    whole = work(x)
    assert not torch.equal(whole, work(x))
    for rows in (slice(0, 3), slice(3, 7), slice(2, 3)):
        torch.manual_seed(1)
        with WholeBatchDropout(rows, 7):
            torch.testing.assert_close(work(x[rows]), whole[rows])
