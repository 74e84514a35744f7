"""The mixer from queries, keys and values to heads: the window, the state, the mix, the correction."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from spikingbrain.config import EvictedTokens
from spikingbrain.model.attention import Sight
from spikingbrain.model.evicted.inputs import Inputs, feature_map
from spikingbrain.model.evicted.mix import correct, join, ramp
from spikingbrain.model.key_values import KeyValues
from spikingbrain.model.neurons import Neurons
from spikingbrain.model.rope import Angles, angles, rotate
from spikingbrain.model.span import Projected, Span
from spikingbrain.model.weights import EvictedWeights
from spikingbrain.precision import accumulator


def evicted_branch(
    span: Span, weights: EvictedWeights, projected: Projected, x: Tensor, held: KeyValues, sums: Tensor, neurons: Neurons
) -> tuple[Tensor, KeyValues, Tensor]:
    """`x` is the layer's normed input, `[tokens, hidden]`. Returns heads `[tokens, heads, head_dim]`, what the window still sees, and the
    sums for the next query, `[kv_heads, 2 head_dim, head_dim + 1]`."""
    config, tokens, dtype = span.config, projected.query.shape[0], sums.dtype
    if config.window is None or config.evicted is None:
        raise ValueError(f"window and evicted must be given for an evicted mixer; they are {config.window} and {config.evicted}")
    sight = Sight.of(config, "window")
    held = held.append(rotate(projected.key, span.angles), projected.value, span.first)
    positions = held.positions[-tokens:]
    window, log_normaliser = _window(span, config.evicted, projected.query, positions, held, sight, neurons)
    leaving = _leaving(span, config.window, tokens, held, weights, projected.query, dtype)
    remembered, sums = span.evicted_form(leaving, sums)
    grown = ramp(positions, config.window, config.kept, dtype)
    heads = correct(join(window, remembered, log_normaliser, x, grown, weights), x, grown, weights)
    return heads.to(projected.query.dtype), held.keep(sight.still_seen(held.positions, span.first + tokens)), sums


def _window(
    span: Span, evicted: EvictedTokens, query: Tensor, positions: Tensor, held: KeyValues, sight: Sight, neurons: Neurons
) -> tuple[Tensor, Tensor]:
    """Softmax attention in which kept tokens meet the query at `min(t, sink_cap)`: heads `[tokens, heads, head_dim]` and the natural log of
    the sum of exponentials, `[tokens, heads]`."""
    tokens, heads, dim = query.shape
    keys, values = held.dense(accumulator(query.dtype))
    kept = int((held.positions < sight.kept).sum())
    seen = sight.mask(positions, held.positions)
    near = neurons(rotate(query, span.angles), "query", seen[:, kept:].sum(dim=1)[:, None, None])
    far = neurons(rotate(query, _capped(span, evicted, tokens, query)), "query", seen[:, :kept].sum(dim=1)[:, None, None])

    def scores(queries: Tensor, part: Tensor) -> Tensor:
        grouped = queries.to(keys.dtype).reshape(tokens, keys.shape[1], -1, dim)
        return torch.einsum("tngd,snd->tngs", grouped, part) * float(dim**-0.5)

    joined = torch.cat([scores(far, keys[:kept]), scores(near, keys[kept:])], dim=-1).masked_fill(~seen[:, None, None, :], float("-inf"))
    log_normaliser: Tensor = joined.logsumexp(dim=-1)
    out = torch.einsum("tngs,snd->tngd", (joined - log_normaliser[..., None]).exp(), values)
    return out.reshape(tokens, heads, dim), log_normaliser.reshape(tokens, heads)


def _capped(span: Span, evicted: EvictedTokens, tokens: int, like: Tensor) -> Angles:
    """Of each position, but at most the cap."""
    below = max(0, min(evicted.sink_cap - span.first, tokens))
    own = Angles(span.angles.cosines[:below], span.angles.sines[:below])
    cap = angles(evicted.sink_cap, 1, span.config.rotated, span.config.rope_theta, like)
    beyond = (part.expand(tokens - below, -1, -1) for part in (cap.cosines, cap.sines))
    return Angles(*(torch.cat([first, second]) for first, second in zip((own.cosines, own.sines), beyond, strict=True)))


def _leaving(span: Span, window: int, tokens: int, held: KeyValues, weights: EvictedWeights, query: Tensor, dtype: torch.dtype) -> Inputs:
    """The token that leaves after each query is the one `window - 1` before it, unless it is kept or before the text."""
    config = span.config
    first = span.first + 1 - window
    positions = torch.arange(first, first + tokens, device=held.positions.device)
    leaves = positions >= config.kept
    at = torch.searchsorted(held.positions, positions.clamp(min=0))
    keys, values = (part[at] for part in held.dense(dtype))
    turned = angles(first, tokens, config.rotated, config.rope_theta, keys)
    features = feature_map(rotate(keys, Angles(turned.cosines, -turned.sines)), weights.key_map)
    return Inputs(
        queries=feature_map(query.to(dtype), weights.query_map),
        keys=torch.where(leaves[:, None, None], features, 0.0),
        values=pad(values, (0, 1), value=1.0),
        log_decay=weights.log_decay.to(dtype),
    )
