"""The losses against numbers worked out by hand."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from models.calf import CALF, CALFOutput, calf_loss
from utils.errors import UserError
from utils.losses import MASKED_LOSSES, PLAIN_LOSSES, Masked, mape_loss, mase_loss, smape_loss

# (B, H, C) = (2, 2, 1)
FORECAST = torch.tensor([[[1.0], [3.0]], [[0.0], [4.0]]])
TARGET = torch.tensor([[[3.0], [1.0]], [[0.0], [4.0]]])
MASK = torch.tensor([[[1.0], [1.0]], [[1.0], [0.0]]])
INSAMPLE = torch.tensor([[[1.0], [2.0], [5.0]], [[7.0], [7.0], [7.0]]])
WEIGHTS = ("task_w", "output_w", "feature_w")


def loss_of_calf(name: str = "l1", **weights: float) -> Callable[..., Tensor]:
    """Return CALF's loss with one kind of loss for all three terms, by default with the published weights."""
    kinds = {"task_loss": name, "output_loss": name, "feature_loss": name if name in PLAIN_LOSSES else "l1"}
    config = CALF.Config(1, 1, 1, **kinds, **weights)

    def loss(
        forecast: Tensor,
        target: Tensor,
        text_forecast: Tensor | None,
        time_features: Sequence[Tensor],
        text_features: Sequence[Tensor],
        masked: Masked | None = None,
    ) -> Tensor:
        output = CALFOutput(forecast, text_forecast, tuple(time_features), tuple(text_features))
        return calf_loss(config, output, target, masked)

    return loss


def masked(seasonality: int = 1, mask: Tensor = MASK) -> Masked:
    return Masked(mask, INSAMPLE, seasonality)


def test_smape_counts_zero_over_zero_as_zero() -> None:
    # 2/4 and 2/4 and 0/0 and a masked one
    assert smape_loss(FORECAST, TARGET, masked()).item() == pytest.approx(200 * (0.5 + 0.5) / 4)


def test_mape_counts_a_target_of_zero_as_zero() -> None:
    assert mape_loss(FORECAST, TARGET, masked()).item() == pytest.approx((2 / 3 + 2 / 1) / 4)


@pytest.mark.parametrize(("seasonality", "scale"), [(1, 2.0), (2, 4.0)])
def test_mase_divides_by_the_seasonal_difference_and_a_flat_window_counts_zero(seasonality: int, scale: float) -> None:
    forecast = FORECAST + torch.tensor([[[0.0]], [[9.0]]])  # wrong in the flat window too
    assert mase_loss(forecast, TARGET, masked(seasonality)).item() == pytest.approx((2 + 2) / scale / 4)


@pytest.mark.parametrize("name", MASKED_LOSSES)
def test_masked_steps_count_nothing(name: str) -> None:
    other = FORECAST.clone()
    other[1, 1] = 99.0
    loss = MASKED_LOSSES[name]
    assert loss(other, TARGET, masked()) == loss(FORECAST, TARGET, masked())
    assert loss(FORECAST, TARGET, masked(mask=torch.zeros_like(MASK))) == 0


@pytest.mark.parametrize("name", MASKED_LOSSES)
def test_gradients_are_finite_where_forecast_and_target_are_zero(name: str) -> None:
    forecast = torch.zeros(2, 2, 1, requires_grad=True)
    loss = MASKED_LOSSES[name](forecast, torch.zeros(2, 2, 1), masked())
    loss.backward()
    assert loss == 0
    assert torch.equal(forecast.grad, torch.zeros_like(forecast))


def test_the_smape_denominator_is_outside_the_graph() -> None:
    forecast = torch.tensor([[[2.0]]], requires_grad=True)
    target = torch.tensor([[[1.0]]], requires_grad=True)
    smape_loss(forecast, target, Masked(torch.ones(1, 1, 1), INSAMPLE, 1)).backward()
    assert forecast.grad.item() == pytest.approx(200 / 3)
    assert target.grad.item() == pytest.approx(-200 / 3)


def absolute(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().mean()


def squared(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().mean()


def smooth(a: Tensor, b: Tensor) -> Tensor:
    error = (a - b).abs()
    return torch.where(error < 1, error.square() / 2, error - 0.5).mean()


@pytest.mark.parametrize(("name", "plain"), [("l1", absolute), ("mse", squared), ("smooth_l1", smooth)])
def test_the_three_terms_add_up_and_the_deepest_feature_counts_most(
    name: str, plain: Callable[[Tensor, Tensor], Tensor]
) -> None:
    torch.manual_seed(0)
    forecast, target, text = torch.randn(3, 2, 4, 3)
    time_features, text_features = torch.randn(2, 4, 2, 3, 5)
    loss = loss_of_calf(name, task_w=2.0, output_w=3.0, feature_w=0.5)
    decays = (0.8**3, 0.8**2, 0.8, 1.0)
    features = sum(d * plain(a, b) for d, a, b in zip(decays, time_features, text_features, strict=True))
    expected = 2 * plain(forecast, target) + 3 * plain(forecast, text) + 0.5 * features
    torch.testing.assert_close(loss(forecast, target, text, time_features, text_features), expected)


def test_the_published_weights_are_1_1_and_a_hundredth() -> None:
    forecast, target, text = torch.tensor([[[1.0]]]), torch.tensor([[[4.0]]]), torch.tensor([[[3.0]]])
    features = (torch.zeros(1, 1, 2), torch.zeros(1, 1, 2)), (torch.full((1, 1, 2), 10.0), torch.full((1, 1, 2), 5.0))
    assert loss_of_calf()(forecast, target, text, *features).item() == pytest.approx(3 + 2 + 0.01 * (5 + 0.8 * 10))


def test_gradients_flow_into_both_branches() -> None:
    given = [torch.randn(2, 3, 1, requires_grad=True) for _ in range(4)]
    forecast, text, time_feature, text_feature = given
    loss_of_calf()(forecast, torch.zeros(2, 3, 1), text, [time_feature], [text_feature]).backward()
    assert all(tensor.grad.any() for tensor in given)


@pytest.mark.parametrize(
    ("weights", "expected"), [((2.0, 0.0, 0.0), 4.0), ((0.0, 3.0, 0.0), 9.0), ((0.0, 0.0, 0.5), 0.5)]
)
def test_a_term_of_weight_zero_is_not_computed(weights: tuple[float, float, float], expected: float) -> None:
    nan = torch.full((1, 1, 1), torch.nan)
    target = torch.full((1, 1, 1), 2.0) if weights[0] else nan
    text = torch.full((1, 1, 1), 3.0) if weights[1] else nan
    features = [torch.ones(1, 1, 1)] if weights[2] else [nan]
    loss = loss_of_calf(**dict(zip(WEIGHTS, weights, strict=True)))(
        torch.zeros(1, 1, 1), target, text, features, [torch.zeros(1, 1, 1)]
    )
    assert loss.item() == pytest.approx(expected)


def test_without_output_and_feature_loss_the_text_branch_is_not_needed() -> None:
    loss = loss_of_calf(output_w=0, feature_w=0)
    assert loss(FORECAST, TARGET, None, (), ()).item() == pytest.approx(1.0)


@pytest.mark.parametrize("name", MASKED_LOSSES)
def test_the_m4_losses_serve_as_task_and_output_loss(name: str) -> None:
    loss = loss_of_calf(name, feature_w=0)
    expected = MASKED_LOSSES[name](FORECAST, TARGET, masked()) + MASKED_LOSSES[name](FORECAST, TARGET + 1, masked())
    torch.testing.assert_close(loss(FORECAST, TARGET, TARGET + 1, (), (), masked()), expected)


@pytest.mark.parametrize("weights", [(1, 0, 0), (0, 1, 0)], ids=["task", "output"])
@pytest.mark.parametrize("name", MASKED_LOSSES)
def test_an_m4_loss_without_a_mask_is_refused(name: str, weights: tuple[int, int, int]) -> None:
    with pytest.raises(UserError, match=f"The loss {name} needs a mask; choose one of l1, smooth_l1, mse here"):
        loss_of_calf(name, **dict(zip(WEIGHTS, weights, strict=True)))(FORECAST, TARGET, TARGET, (), ())


def test_the_loss_of_half_precision_outputs_is_float32() -> None:
    half = FORECAST.to(torch.bfloat16)
    assert loss_of_calf()(half, TARGET, half, [half], [half + 1]).dtype == torch.float32


@pytest.mark.parametrize("name", ["l1", "smooth_l1", "mse"])
def test_plain_losses_count_masked_targets_as_met(name: str) -> None:
    forecast, target = torch.ones(2, 4, 1), torch.zeros(2, 4, 1)
    mask = torch.tensor([1.0, 1, 0, 0])[None, :, None].expand(2, 4, 1)
    loss = loss_of_calf(name, output_w=0, feature_w=0)
    everything = loss(forecast, target, None, (), ())
    known = loss(forecast, target, None, (), (), Masked(mask, torch.ones(2, 8, 1), 1))
    torch.testing.assert_close(known, everything / 2)
