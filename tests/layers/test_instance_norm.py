"""Instance normalisation: its statistics, and back."""

import pytest
import torch

from layers.instance_norm import denormalize, normalize


def test_every_window_and_channel_is_centred_and_scaled_by_its_biased_deviation() -> None:
    x = torch.tensor([[[1.0, 10.0], [2.0, 10.0], [6.0, 40.0]]])  # variances 14/3 and 200
    normal, statistics = normalize(x)
    torch.testing.assert_close(statistics.mean, torch.tensor([[[3.0, 20.0]]]))
    torch.testing.assert_close(statistics.deviation, torch.tensor([[[14 / 3, 200.0]]]).add(1e-5).sqrt())
    torch.testing.assert_close(normal, (x - statistics.mean) / statistics.deviation)


def test_a_small_variance_shows_that_1e5_is_added_to_it() -> None:
    _, statistics = normalize(torch.tensor([[[0.001], [-0.001]]]))
    assert statistics.deviation.item() == pytest.approx((1e-6 + 1e-5) ** 0.5)


def test_the_way_back_restores_the_input() -> None:
    x = 50 + 7 * torch.randn(4, 9, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(denormalize(*normalize(x)), x)


def test_no_gradient_flows_through_the_statistics() -> None:
    x = torch.randn(2, 5, 3, requires_grad=True)
    normal, statistics = normalize(x)
    assert not statistics.mean.requires_grad
    assert not statistics.deviation.requires_grad
    normal.sum().backward()
    torch.testing.assert_close(x.grad, (1 / statistics.deviation).expand_as(x))


def test_a_constant_channel_becomes_zero_and_comes_back() -> None:
    x = torch.full((1, 6, 1), 3.0)
    normal, statistics = normalize(x)
    assert torch.equal(normal, torch.zeros_like(x))
    assert torch.equal(denormalize(normal, statistics), x)


def test_the_forecast_comes_back_in_the_precision_of_the_window() -> None:
    _, statistics = normalize(torch.randn(2, 5, 3))
    assert denormalize(torch.zeros(2, 4, 3, dtype=torch.bfloat16), statistics).dtype == torch.float32


def test_hidden_values_do_not_count_whatever_stands_in_their_place() -> None:
    shown = torch.tensor([[[1.0], [1.0], [0.0], [1.0]]])
    first, second = (torch.tensor([[[1.0], [2.0], [value], [6.0]]]) for value in (0.0, 500.0))
    normal, statistics = normalize(first, shown)
    assert statistics.mean.item() == pytest.approx(3)
    assert statistics.deviation.item() == pytest.approx((14 / 3 + 1e-5) ** 0.5)
    assert normal[0, 2].item() == 0
    assert torch.equal(normalize(second, shown)[0], normal)


def test_where_all_is_seen_a_mask_changes_nothing() -> None:
    x = torch.randn(3, 8, 2, generator=torch.Generator().manual_seed(0))
    for ours, theirs in zip(normalize(x), normalize(x, torch.ones_like(x)), strict=True):
        torch.testing.assert_close(torch.stack([*ours]), torch.stack([*theirs]))


def test_a_wholly_hidden_channel_gives_zeros_and_no_nan() -> None:
    x, shown = torch.zeros(1, 4, 2), torch.tensor([0.0, 1.0]).expand(1, 4, 2)
    x[..., 1] = torch.arange(4.0)
    normal, statistics = normalize(x, shown)
    assert torch.isfinite(normal).all() and torch.equal(normal[..., 0], torch.zeros(1, 4))
    assert statistics.mean[0, 0].tolist() == [0.0, 1.5]
    assert statistics.deviation[0, 0, 0].item() == 1
