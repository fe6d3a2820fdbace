"""The token of a channel depends on that channel's window, through the released sizes."""

import torch
from torch import nn

from layers.token_embedding import ChannelTokenEmbedding


def test_tokens_equal_a_linear_map_and_a_post_norm_encoder_layer_over_channels() -> None:
    torch.manual_seed(0)
    embedding = ChannelTokenEmbedding(seq_len=7, width=12, num_heads=4).eval()
    x = torch.randn(3, 7, 5)
    layer = embedding.encoder
    z = x.transpose(1, 2) @ embedding.linear.weight.T + embedding.linear.bias
    attended, _ = layer.self_attn(z, z, z)
    z = layer.norm1(z + attended)
    expected = layer.norm2(z + layer.linear2(torch.relu(layer.linear1(z))))
    actual = embedding(x)
    assert actual.shape == (3, 5, 12)
    torch.testing.assert_close(actual, expected)


def test_the_sizes_are_the_released_ones() -> None:
    embedding = ChannelTokenEmbedding(seq_len=7, width=12, num_heads=4)
    assert embedding.encoder.linear1.weight.shape == (2048, 12)
    assert embedding.encoder.self_attn.num_heads == 4
    assert not embedding.encoder.norm_first
    assert {module.p for module in embedding.modules() if isinstance(module, nn.Dropout)} == {0.1}
    assert embedding.encoder.self_attn.dropout == 0.1


def test_reordering_the_channels_reorders_the_tokens() -> None:
    torch.manual_seed(0)
    embedding = ChannelTokenEmbedding(seq_len=7, width=12, num_heads=4).eval()
    x, order = torch.randn(2, 7, 4), [2, 0, 3, 1]
    torch.testing.assert_close(embedding(x[:, :, order]), embedding(x)[:, order])
