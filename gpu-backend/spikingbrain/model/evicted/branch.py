"""The mixer from queries, keys and values to heads: attention, the sums, the mix, the correction."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from spikingbrain.config import EvictedTokens
from spikingbrain.model.evicted.inputs import Inputs, feature_map
from spikingbrain.model.evicted.mix import correct, join, ramp
from spikingbrain.model.evicted.salient import Recall, recall
from spikingbrain.model.neurons import Neurons
from spikingbrain.model.rope import Angles, angles, rotate
from spikingbrain.model.span import Projected, Span
from spikingbrain.model.weights import EvictedWeights
from spikingbrain.precision import accumulator
from spikingbrain.state.evicted import Evicted
from spikingbrain.state.key_values import KeyValues, Rows, take_rows, to_dense
from spikingbrain.state.sight import Sight


def evicted_branch(
    span: Span, weights: EvictedWeights, projected: Projected, x: Tensor, held: KeyValues, before: Evicted, neurons: Neurons
) -> tuple[Tensor, KeyValues, Evicted]:
    """`x` is the layer's normed input, `[tokens, hidden]`. Returns heads `[tokens, heads, head_dim]`, what the window still sees, and the
    evicted tokens for the next query."""
    config, tokens, dtype = span.config, projected.query.shape[0], before.sums.dtype
    if config.window is None or config.evicted is None:
        raise ValueError(f"window and evicted must be given for an evicted mixer; they are {config.window} and {config.evicted}")
    sight = Sight.of(config, "window")
    held = held.append(rotate(projected.key, span.angles), projected.value, span.first)
    positions = held.positions[-tokens:]
    leaving = _leaving(span, config.window, tokens, held, dtype)
    salience = torch.einsum("tnd,nd->tn", leaving.keys, weights.salience.to(dtype))[leaving.skipped :]
    recalled, salient = recall(
        before.salient, config.evicted, tokens, leaving.keys[leaving.skipped :], leaving.evicted_values, salience, leaving.first
    )
    exact, log_normaliser = _attend(span, config.evicted, config.window, projected.query, positions, held, recalled, sight, neurons)
    remembered, sums = span.evicted_form(_inputs(leaving, weights, projected.query, dtype), before.sums)
    grown = ramp(positions, config.window, config.kept, dtype)
    heads = correct(join(exact, remembered, log_normaliser, x, grown, weights), x, grown, weights)
    still_held = held.keep(sight.still_seen(held.positions, span.first + tokens))
    return heads.to(projected.query.dtype), still_held, Evicted(sums, salient)


def _attend(
    span: Span,
    evicted: EvictedTokens,
    window: int,
    query: Tensor,
    positions: Tensor,
    held: KeyValues,
    recalled: Recall,
    sight: Sight,
    neurons: Neurons,
) -> tuple[Tensor, Tensor]:
    """Softmax attention in which kept tokens meet the query at `min(t, sink_cap)` and salient ones at a distance of `window`: heads
    `[tokens, heads, head_dim]` and the natural log of the sum of exponentials, `[tokens, heads]`."""
    tokens, heads, dim = query.shape
    keys, values = held.dense(accumulator(query.dtype))
    kv_heads = keys.shape[1]
    kept = int((held.positions < sight.kept).sum())
    seen = sight.mask(positions, held.positions)
    near = neurons(rotate(query, span.angles), "query", seen[:, kept:].sum(dim=1)[:, None, None])
    far = neurons(rotate(query, _capped(span, evicted, tokens, query)), "query", seen[:, :kept].sum(dim=1)[:, None, None])
    salient_seen = recalled.seen.sum(dim=-1).repeat_interleave(heads // kv_heads, dim=1)[..., None]
    apart = neurons(rotate(query, _at(span, window, query)), "query", salient_seen)
    salient_keys, salient_values = recalled.candidates.dense(keys.dtype)

    def scores(queries: Tensor, part: Tensor, mask: Tensor) -> Tensor:
        grouped = queries.to(keys.dtype).reshape(tokens, kv_heads, -1, dim)
        return (torch.einsum("tngd,snd->tngs", grouped, part) * float(dim**-0.5)).masked_fill(~mask, float("-inf"))

    window_seen = seen[:, None, None, :]
    parts = [
        scores(far, keys[:kept], window_seen[..., :kept]),
        scores(near, keys[kept:], window_seen[..., kept:]),
        scores(apart, salient_keys, recalled.seen[:, :, None, :]),
    ]
    joined = torch.cat(parts, dim=-1)
    log_normaliser: Tensor = joined.logsumexp(dim=-1)
    out = torch.einsum("tngs,snd->tngd", (joined - log_normaliser[..., None]).exp(), torch.cat([values, salient_values]))
    return out.reshape(tokens, heads, dim), log_normaliser.reshape(tokens, heads)


def _capped(span: Span, evicted: EvictedTokens, tokens: int, like: Tensor) -> Angles:
    """Of each position, but at most the cap."""
    below = max(0, min(evicted.sink_cap - span.first, tokens))
    own = Angles(span.angles.cosines[:below], span.angles.sines[:below])
    cap = _at(span, evicted.sink_cap, like)
    beyond = (part.expand(tokens - below, -1, -1) for part in (cap.cosines, cap.sines))
    return Angles(*(torch.cat([first, second]) for first, second in zip((own.cosines, own.sines), beyond, strict=True)))


def _at(span: Span, position: int, like: Tensor) -> Angles:
    return angles(position, 1, span.config.rotated, span.config.rope_theta, like)


@dataclass(frozen=True)
class _Leaving:
    """The token that leaves after each query of a run: the one `window - 1` before it, unless that is kept or before the text."""

    keys: Tensor
    """As the window holds them, their rotation undone: `[tokens, kv_heads, head_dim]`; where none leaves, of some other token."""
    values: Rows
    """As keys, as the window holds them."""
    skipped: int
    """Leading queries after which none leaves."""
    first: int
    """Position of the first that leaves."""

    @property
    def evicted_values(self) -> Rows:
        kept = torch.arange(self.skipped, self.keys.shape[0], device=self.keys.device)
        return take_rows(self.values, kept)


def _leaving(span: Span, window: int, tokens: int, held: KeyValues, dtype: torch.dtype) -> _Leaving:
    first = span.first + 1 - window
    at = torch.searchsorted(held.positions, torch.arange(first, first + tokens, device=held.positions.device).clamp(min=0))
    keys = to_dense(take_rows(held.keys, at), dtype)
    turned = angles(first, tokens, span.config.rotated, span.config.rope_theta, keys)
    skipped = min(max(0, span.config.kept - first), tokens)
    return _Leaving(rotate(keys, Angles(turned.cosines, -turned.sines)), take_rows(held.values, at), skipped, first + skipped)


def _inputs(leaving: _Leaving, weights: EvictedWeights, query: Tensor, dtype: torch.dtype) -> Inputs:
    evicts = torch.arange(leaving.keys.shape[0], device=leaving.keys.device) >= leaving.skipped
    return Inputs(
        queries=feature_map(query.to(dtype), weights.query_map),
        keys=torch.where(evicts[:, None, None], feature_map(leaving.keys, weights.key_map), 0.0),
        values=pad(to_dense(leaving.values, dtype), (0, 1), value=1.0),
        log_decay=weights.log_decay.to(dtype),
    )
