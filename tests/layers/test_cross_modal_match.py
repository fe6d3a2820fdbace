"""The match attends from every sample to the same words."""

import pytest
import torch

from layers.cross_modal_match import CrossModalMatch


@pytest.mark.parametrize(("batch", "channels", "words"), [(1, 1, 1), (3, 2, 5), (4, 7, 11)])
def test_the_match_equals_torch_attention_sample_by_sample(batch: int, channels: int, words: int) -> None:
    torch.manual_seed(0)
    match = CrossModalMatch(torch.randn(words, 12), 4)
    tokens = torch.randn(batch, channels, 12)
    matched = match(tokens)
    assert matched.shape == tokens.shape
    for sample, result in zip(tokens, matched, strict=True):
        expected, _ = match.attention(sample, match.words, match.words)
        torch.testing.assert_close(result, expected)


def test_the_words_are_a_float32_buffer_that_does_not_train() -> None:
    match = CrossModalMatch(torch.randn(12, 5, dtype=torch.float64, requires_grad=True).T, 4)
    assert "words" in dict(match.named_buffers())
    assert "words" not in dict(match.named_parameters())
    assert match.words.dtype == torch.float32
    assert not match.words.requires_grad
    assert match.words.is_contiguous()


def test_the_attention_has_no_dropout() -> None:
    torch.manual_seed(0)
    match = CrossModalMatch(torch.randn(5, 12), 4).train()
    tokens = torch.randn(2, 3, 12)
    assert torch.equal(match(tokens), match(tokens))


def test_gradients_reach_the_tokens() -> None:
    torch.manual_seed(0)
    match = CrossModalMatch(torch.randn(5, 12), 4)
    tokens = torch.randn(2, 3, 12, requires_grad=True)
    match(tokens).square().sum().backward()
    assert (tokens.grad != 0).any(dim=-1).all()
