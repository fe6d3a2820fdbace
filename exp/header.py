"""Describe what is about to run: model, what trains at which rate, and how."""

from collections.abc import Iterator

from exp.config import RunConfig
from exp.recipes import PAPER
from models.base import Model
from utils.compute import Compute
from utils.device import bfloat16_slowdown, has_fast_bfloat16

ROW = "{:<18} {:4d} tensors {:>12,} parameters"


def describe_model(model: Model) -> Iterator[str]:
    """Yield what is special about the model, and the counts of what trains and what is frozen."""
    yield from model.describe()
    for group in model.parameter_groups():
        count = sum(p.numel() for p in group.parameters)
        rate = f"{group.constant_rate:g}, constant" if group.constant_rate else "--learning_rate"
        yield ROW.format(f"trains: {group.name}", len(group.parameters), count) + f" at {rate}"
    frozen = model.frozen_state().values()
    if frozen:
        yield ROW.format("frozen", len(frozen), sum(tensor.numel() for tensor in frozen))


def count_parameters(model: Model) -> dict[str, int]:
    """Return how many numbers a model has, and how many of them train."""
    trained = (p for group in model.parameter_groups() for p in group.parameters)
    return {"total": sum(p.numel() for p in model.parameters()), "trained": sum(p.numel() for p in trained)}


def describe_training(config: RunConfig, model: Model, compute: Compute, eval_batch_size: int) -> Iterator[str]:
    """Yield loss, learning rate, precision, batches and patience."""
    if not config.model_config.trains:
        yield f"{config.model} does not train; evaluation in batches of {eval_batch_size}"
        return
    plan, schedule = config.training, config.schedule
    if config.recipe != PAPER:
        yield f"recipe: {config.recipe}, settings that validation chose ({PAPER} has the published ones)"
    yield f"loss: {model.describe_loss()}"
    course = f"cosine, tmax {schedule.tmax}" if schedule.cos else schedule.lradj
    precision = compute.describe_precision()
    yield f"learning rate: {schedule.learning_rate:g}, {course}; matrix products in {precision}"
    if plan.precision == "bf16" and not has_fast_bfloat16(compute.device):
        yield (
            f"warning: this CPU has no instructions for bfloat16: a matrix product takes "
            f"{bfloat16_slowdown():.1f} times as long as in float32; choose --precision fp32"
        )
    if config.runtime.compile_mode and type(model).compile_parts is not Model.compile_parts:
        yield (
            "torch.compile works during the first step and the first evaluation: a minute or more on a CPU, less on "
            "later starts, which find its code in a cache"
        )
    summed = "" if plan.accumulate == 1 else f", {plan.accumulate} of them a step"
    divided = "" if compute.num_processes == 1 else f", divided among {compute.num_processes} processes"
    if plan.ema:
        yield f"averaged weights: validated, tested and kept; moving average over steps, decay {plan.ema:g}"
    yield (
        f"at most {plan.train_epochs} epochs of batches of {plan.batch_size}{summed}{divided}, patience "
        f"{plan.patience}; evaluation in batches of {eval_batch_size}"
    )
