"""CALF: its maths against a plain restatement, its modes, what trains and what is refused."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from layers.backbone import Backbone
from layers.word_embeddings import WordEmbeddings
from models.calf import CALF, CALFOutput
from scripts.plain_calf import plain_calf
from tests.conftest import POSITIONS, WIDTH, save_gpt2
from tests.models.conftest import MakeModel, series
from utils.errors import UserError

both = pytest.mark.parametrize("lora", [0, 1], ids=["no lora", "lora"])


def restated(model: CALF, x: Tensor) -> tuple[CALFOutput, dict[str, Tensor]]:
    """Return the output of the plain restatement, and the trained tensors it was computed from."""
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trained = {name: weights[name].requires_grad_() for name, p in model.named_parameters() if p.requires_grad}
    config = model.config
    forecast, text_forecast, time_features, text_features = plain_calf(
        weights,
        x,
        blocks=config.gpt_layers,
        heads=model.match.attention.num_heads,
        gpt2_heads=model.time_gpt2.config.n_head,
        lora_scale=config.lora_alpha / config.r if config.lora else 0.0,
    )
    return CALFOutput(forecast, text_forecast, tuple(time_features), tuple(text_features)), trained


def tensors(output: CALFOutput) -> Iterator[Tensor]:
    yield output.forecast
    yield output.text_forecast
    yield from output.time_features
    yield from output.text_features


def assert_equals_the_restatement(model: CALF, x: Tensor) -> None:
    """Outputs, and the gradient of every trained tensor through all of them."""
    ours = model.branches(x)
    theirs, leaves = restated(model, x)
    weights = [torch.randn_like(tensor) for tensor in tensors(ours)]
    for a, b in zip(tensors(ours), tensors(theirs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    for output in (ours, theirs):
        sum((w * t).sum() for w, t in zip(weights, tensors(output), strict=True)).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(
                parameter.grad, leaves[name].grad, rtol=1e-3, atol=1e-4, msg=f"{name}: {{}}".format
            )
        else:
            assert parameter.grad is None, name


SIZES = [(1, 7, 5, 2), (3, 7, 5, 2), (POSITIONS, 7, 5, 2), (3, 1, 1, 1), (3, 9, 3, 3), (3, 4, 11, 2)]


@both
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_outputs_and_gradients_equal_the_plain_restatement(
    make_model: MakeModel, lora: int, sizes: tuple[int, int, int, int]
) -> None:
    channels, seq_len, pred_len, blocks = sizes
    model = make_model(channels, seq_len=seq_len, pred_len=pred_len, gpt_layers=blocks, lora=lora)
    output = model.branches(series(channels, seq_len=seq_len))
    assert output.forecast.shape == output.text_forecast.shape == (4, pred_len, channels)
    assert len(output.time_features) == len(output.text_features) == blocks + 1
    assert_equals_the_restatement(model, series(channels, seq_len=seq_len))


@pytest.mark.parametrize(("width", "heads", "attention_heads"), [(20, 4, 4), (24, 6, 12), (36, 3, 12)])
def test_attention_has_twelve_heads_where_the_width_allows_and_the_backbones_elsewhere(
    make_model: MakeModel, tmp_path: Path, width: int, heads: int, attention_heads: int
) -> None:
    model = make_model(llm=save_gpt2(tmp_path, width=width, heads=heads))
    assert model.match.attention.num_heads == model.embedding.encoder.self_attn.num_heads == attention_heads
    assert_equals_the_restatement(model, series())


def test_evaluation_runs_the_time_branch_alone(make_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = make_model(), series()
    expected = model.branches(x).forecast
    idle = [model.match, model.text_gpt2, *model.time_projections, *model.text_projections]
    for module in idle:
        monkeypatch.setattr(module, "forward", lambda *_, **__: pytest.fail("not needed for a forecast"))
    output = model(x)
    assert torch.equal(output.forecast, expected)
    assert output == CALFOutput(output.forecast)


@pytest.mark.parametrize("weights", [(1, 1, 0), (1, 0, 0.01), (0, 1, 0), (0, 0, 0.01)])
def test_the_text_branch_is_computed_for_output_and_feature_loss(
    make_model: MakeModel, weights: tuple[float, float, float]
) -> None:
    model = make_model(**dict(zip(("task_w", "output_w", "feature_w"), weights, strict=True))).train()
    model.training_loss(series(), torch.zeros(4, 5, 3)).backward()
    assert model.text_gpt2.wpe.weight.grad.any()


def test_training_computes_both_branches_where_their_losses_have_weights(make_model: MakeModel) -> None:
    model = make_model(task_w=2.0, output_w=0.0, feature_w=0.0).train()
    model.text_gpt2.forward = lambda **_: pytest.fail("no loss needs the text branch")
    assert model.training_loss(series(), torch.zeros(4, 5, 3)).requires_grad
    output = make_model().train()(series())
    assert output.text_forecast is not None
    assert len(output.time_features) == len(output.text_features) == 3


def test_the_training_loss_is_the_weighted_sum_of_the_three(make_model: MakeModel) -> None:
    x, y = series(), torch.zeros(4, 5, 3)
    model = make_model(task_loss="mse", output_loss="l1", task_w=2.0, output_w=3.0, feature_w=0.0)
    output = model.branches(x)
    expected = 2 * output.forecast.square().mean() + 3 * (output.forecast - output.text_forecast).abs().mean()
    torch.testing.assert_close(model.training_loss(x, y), expected)
    target = 2 * output.forecast[..., 2:].square().mean()
    only_task = make_model(task_loss="mse", task_w=2.0, output_w=0.0, feature_w=0.0)
    torch.testing.assert_close(only_task.training_loss(x, y, scored=slice(2, None)), target)


def test_losses_without_any_weight_are_refused(make_model: MakeModel) -> None:
    with pytest.raises(UserError, match="--task_w, --output_w and --feature_w are all 0"):
        make_model(task_w=0.0, output_w=0.0, feature_w=0.0)


@pytest.mark.parametrize("branch", ["time_gpt2", "text_gpt2"])
def test_each_branch_has_gpt2s_dropout_while_training(make_model: MakeModel, branch: str) -> None:
    model = make_model(lora=0)
    getattr(model, branch).train()
    first, second = model.branches(series()), model.branches(series())
    time_moved = not torch.equal(first.forecast, second.forecast)
    text_moved = not torch.equal(first.text_forecast, second.text_forecast)
    assert (time_moved, text_moved) == (branch == "time_gpt2", branch == "text_gpt2")


def test_the_adapters_have_dropout_of_their_own_while_training(make_model: MakeModel) -> None:
    model, x = make_model(lora_dropout=0.5), series()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.train(module.p == 0.5)
    assert not torch.equal(model.branches(x).forecast, model.branches(x).forecast)


def test_the_words_are_projected_once_for_the_whole_batch(make_model: MakeModel) -> None:
    shapes = []
    model = make_model()
    model.match.attention.register_forward_pre_hook(lambda _, inputs: shapes.append([t.shape for t in inputs]))
    model.branches(series(batch=6))
    assert shapes == [[(1, 6 * 3, WIDTH), (1, 10, WIDTH), (1, 10, WIDTH)]]


def expected_trainable(blocks: int, lora: bool) -> set[str]:
    names = {"head.weight", "head.bias", "time_gpt2.wpe.weight", "text_gpt2.wpe.weight"}
    names |= {f"embedding.{part}.{kind}" for part in ("linear", "encoder.linear1", "encoder.linear2",
              "encoder.norm1", "encoder.norm2") for kind in ("weight", "bias")}  # fmt: skip
    norms = ["ln_f", *(f"h.{i}.{norm}" for i in range(blocks) for norm in ("ln_1", "ln_2"))]
    names |= {f"time_gpt2.{norm}.{kind}" for norm in norms for kind in ("weight", "bias")}
    if lora:
        names |= {f"time_gpt2.h.{i}.attn.c_attn.lora_{ab}.default.weight" for i in range(blocks) for ab in "AB"}
    return names | expected_alignment(blocks)


def expected_alignment(blocks: int) -> set[str]:
    names = {f"{branch}_projections.{i}.weight" for branch in ("time", "text") for i in range(blocks + 1)}
    parts = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
    return names | {f"{a}.{p}" for a in ("embedding.encoder.self_attn", "match.attention") for p in parts}


@both
def test_the_alignment_group_has_a_constant_rate_and_the_rest_the_scheduled_one(
    make_model: MakeModel, lora: int
) -> None:
    model = make_model(lora=lora)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    alignment, backbone = model.parameter_groups()
    assert (alignment.name, alignment.constant_rate) == ("alignment", 1e-4)
    assert (backbone.name, backbone.constant_rate) == ("backbone", None)
    grouped = [names[id(p)] for group in (alignment, backbone) for p in group.parameters]
    assert {names[id(p)] for p in alignment.parameters} == expected_alignment(2)
    assert sorted(grouped) == sorted(expected_trainable(2, bool(lora)))  # none is in it twice
    assert set(grouped) == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert model.trained_state().keys() == {*grouped, "match.words"}
    assert model.frozen_state().keys() == dict(model.named_parameters()).keys() - {*grouped}


def pointers(model: nn.Module) -> dict[str, int]:
    return {name.replace(".base_layer", ""): tensor.data_ptr() for name, tensor in model.state_dict().items()}


@both
def test_the_branches_share_their_frozen_tensors_but_not_norms_and_positions(make_model: MakeModel, lora: int) -> None:
    model = make_model(lora=lora)
    time, text = pointers(model.time_gpt2), pointers(model.text_gpt2)
    own = {name for name in text if "ln_" in name or "wpe" in name}
    assert {name for name in text if time[name] != text[name]} == own
    assert len(own) == 2 * 5 + 1
    assert not any(
        parameter.requires_grad for name, parameter in model.text_gpt2.named_parameters() if "wpe" not in name
    )


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_merged_adapters_give_the_same_forecast_and_leave_every_bit_as_it_was(
    make_model: MakeModel, mode: type[torch.no_grad]
) -> None:
    model, x = make_model(), series()
    before, trains = pointers(model), [p.requires_grad for p in model.parameters()]
    content = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with mode():
        expected = model.branches(x)
        with model.merged_adapters():
            merged = model.branches(x)
            assert model.time_gpt2.h[0].attn.c_attn.disable_adapters
        afterwards = model.branches(x)
    torch.testing.assert_close(merged.forecast, expected.forecast)
    assert torch.equal(merged.text_forecast, expected.text_forecast)
    assert pointers(model) == before
    assert [p.requires_grad for p in model.parameters()] == trains
    assert all(torch.equal(tensor, content[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(afterwards.forecast, expected.forecast)


def test_a_merge_that_fails_half_way_is_taken_back(make_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = make_model(), series()
    expected, before = model(x).forecast, pointers(model)
    monkeypatch.setattr(model.time_gpt2.h[1].attn.c_attn, "get_delta_weight", lambda adapter: 1 / 0)
    with pytest.raises(ZeroDivisionError), model.merged_adapters():
        pytest.fail("the block must not run")
    assert pointers(model) == before
    assert torch.equal(model(x).forecast, expected)


def test_adapters_merged_twice_over_count_once(make_model: MakeModel) -> None:
    model, x = make_model(), series()
    expected, before = model(x).forecast, pointers(model)
    with model.merged_adapters():
        with model.merged_adapters():
            torch.testing.assert_close(model(x).forecast, expected)
        torch.testing.assert_close(model(x).forecast, expected)
    assert pointers(model) == before


def test_more_channels_than_positions_are_refused_with_both_numbers(make_model: MakeModel) -> None:
    with pytest.raises(UserError, match=f"{POSITIONS + 1} channels, but the backbone has {POSITIONS} positions"):
        make_model(POSITIONS + 1)


WRONG_SHAPES = [(10, WIDTH + 1), (WIDTH, 10), (WIDTH,), (), (0, WIDTH), (1, 10, WIDTH)]


@pytest.mark.parametrize(
    ("words", "blocks", "message"),
    [
        *((torch.zeros(shape), 2, r"word embeddings have shape \(.*pca.py") for shape in WRONG_SHAPES),
        (torch.full((10, WIDTH), torch.inf), 2, "word embeddings hold NaN or infinite values"),
        (torch.zeros(10, WIDTH), 1, "--gpt_layers is 1, but the backbone has 2 blocks"),
    ],
)
def test_words_and_backbones_that_do_not_fit_are_refused(
    make_model: MakeModel, words: Tensor, blocks: int, message: str
) -> None:
    model = make_model()
    with pytest.raises(UserError, match=message):
        CALF(replace(model.config, gpt_layers=blocks), Backbone.of(model.text_gpt2), WordEmbeddings(words))


def test_a_constant_channel_gets_a_finite_forecast(make_model: MakeModel) -> None:
    x = series()
    x[:, :, 1] = 1e6
    output = make_model().branches(x)
    assert all(torch.isfinite(tensor).all() for tensor in tensors(output))
    torch.testing.assert_close(output.forecast[:, :, 1], torch.full((4, 5), 1e6), rtol=1e-6, atol=1.0)


def test_the_forecast_follows_the_scale_and_the_level_of_each_channel(make_model: MakeModel) -> None:
    model, x = make_model(), series()
    scale, level = torch.tensor([2.0, 10.0, 0.5]), torch.tensor([-30.0, 4.0, 100.0])
    expected, moved = model.branches(x), model.branches(x * scale + level)
    for ours, theirs in ((moved.forecast, expected.forecast), (moved.text_forecast, expected.text_forecast)):
        torch.testing.assert_close(ours, theirs * scale + level, rtol=1e-3, atol=1e-3)


def test_a_channel_sees_those_before_it_through_the_blocks_and_not_those_after(make_model: MakeModel) -> None:
    model, tokens = make_model(), torch.randn(2, 3, WIDTH)
    later = tokens.clone()
    later[:, 2] += 1
    one, two = (model.time_gpt2(inputs_embeds=t).last_hidden_state for t in (tokens, later))
    assert torch.equal(one[:, :2], two[:, :2])
    assert not torch.equal(one[:, 2], two[:, 2])


def test_in_bfloat16_normalisation_stays_in_float32(make_model: MakeModel) -> None:
    model = make_model().eval()
    level = 100_000.0  # bfloat16 knows no number between 100,000 and 100,352
    x = series() + level
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        half = model(x).forecast
    with torch.no_grad():
        full = model(x).forecast
    assert half.dtype == torch.float32
    assert (half - full).abs().max() < 0.1
