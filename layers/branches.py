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
    states: list[Tensor] = []  # what goes into each block
    # Hooks of our own: those of ``output_hidden_states`` sit in the attentions, where torch.compile splits a block.
    watched = () if projections is None else Stack(gpt2).blocks
    hooks = [block.register_forward_pre_hook(lambda _, inputs: states.append(inputs[0])) for block in watched]
    try:
        final = gpt2(inputs_embeds=tokens, use_cache=False).last_hidden_state + tokens
    finally:
        for hook in hooks:
            hook.remove()
    if projections is None:
        return final, ()
    return final, tuple(project(state) for project, state in zip(projections, (*states, final), strict=True))
