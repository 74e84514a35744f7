"""The student of texts so short that nothing leaves its window: full attention and no branch, a third less work than `student.py`."""

from torch import Tensor
from torch.nn.functional import linear

from spikingbrain.convert.trunk.firing import Firing
from spikingbrain.convert.trunk.frozen import Trunk
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.teacher import full_attention, rotary_for
from spikingbrain.rules import require


def near_residual(trunk: Trunk, reach: Reach, tokens: Tensor, firing: Firing) -> Tensor:
    """The residual after the last layer, `[tokens, hidden]`."""
    require(len(tokens) <= reach.window, "tokens", f"at most {reach.window}, the window", len(tokens))
    rotary = rotary_for(trunk, 0, tokens.shape[0])
    x = trunk.embed(tokens)
    for layer in trunk.layers:
        query, key, value = trunk.project(layer, firing(trunk.normed(x, layer.attention_norm), "attention_in"))
        heads = full_attention(firing(rotary(query), "query"), firing.rows(rotary(key)), firing.rows(value))
        x = x + linear(firing(heads.flatten(1), "attention_out"), layer.output)
        x = x + trunk.feed_forward(layer, x, firing)
    return x
