"""Make and run two branches of one language model that share its frozen tensors."""

import copy

from torch import Tensor, nn
from transformers import PreTrainedModel

from layers.backbone import Stack


def copy_branch(model: PreTrainedModel) -> PreTrainedModel:
    """Return the text branch beside ``model``, which is the time branch (CALF, section 3.1).

    Both hold the very same attention and feed-forward tensors, which stay frozen; each has positions and norms of its
    own.
    """
    stack = Stack(model)
    own = {id(p) for part in (*stack.norms, *stack.position_tables) for p in part.parameters()}
    return copy.deepcopy(model, memo={id(p): p for p in model.parameters() if id(p) not in own})


def run_branch(
    gpt2: PreTrainedModel, tokens: Tensor, projections: nn.ModuleList | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run one branch on ``tokens`` (B, C, D); return its final state, and N+1 projected features if asked for.

    The branch input is added to the final state, and that sum is also the deepest feature.
    """
    last, inputs = _run(gpt2, tokens, watched=projections is not None)
    final = last + tokens
    if projections is None:
        return final, ()
    return final, tuple(project(state) for project, state in zip(projections, (*inputs, final), strict=True))


def branch_states(model: PreTrainedModel, tokens: Tensor) -> tuple[Tensor, ...]:
    """Return the tokens (B, C, D) themselves and what each of the N blocks makes of them, the last one normalized."""
    last, inputs = _run(model, tokens, watched=True)
    return tokens, *inputs[1:], last


def _run(model: PreTrainedModel, tokens: Tensor, watched: bool) -> tuple[Tensor, list[Tensor]]:
    """Return the final state, and what goes into each block where these are ``watched``."""
    states: list[Tensor] = []
    # Hooks of our own: those of ``output_hidden_states`` sit in the attentions, where torch.compile splits a block.
    blocks = Stack(model).blocks if watched else ()
    hooks = [block.register_forward_pre_hook(lambda _, inputs: states.append(inputs[0])) for block in blocks]
    try:
        return model(inputs_embeds=tokens, use_cache=False).last_hidden_state, states
    finally:
        for hook in hooks:
            hook.remove()
