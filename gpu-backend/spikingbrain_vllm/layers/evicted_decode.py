"""One token of each of many sequences through the evicted-tokens mixer, in shapes that do not depend on what they have read: nothing here
waits for the device. The definition is `spikingbrain.model.evicted`."""

import math

import torch
from spikingbrain.config import Config, EvictedTokens
from spikingbrain.model.evicted.inputs import feature_map
from spikingbrain.model.evicted.mix import correct, join, ramp
from spikingbrain.model.neurons import Neurons
from spikingbrain.model.rope import Angles, rotate
from spikingbrain.model.span import Projected
from spikingbrain.model.weights import EvictedWeights
from spikingbrain.spike.key_value_codes import Int8Rows, quantise_rows
from spikingbrain.state.key_values import Rows, to_dense
from torch import Tensor
from torch.nn.functional import pad

from spikingbrain_vllm.layers.evicted_shapes import SCALES, dense

Views = dict[str, Tensor]


def decode(config: Config, weights: EvictedWeights, new: Projected, x: Tensor, position: Tensor, views: Views, neurons: Neurons) -> Tensor:
    """`position` is `[sequences]`; `views` are parts of the sequences' states, `[sequences, …]`, which are brought up to the token. Returns
    heads `[sequences, heads, dim]`."""
    assert config.window is not None and config.evicted is not None
    window, kept, evicted = config.window, config.kept_tokens, config.evicted
    _append(views, "keys", rotate(new.key, _angles(config, position, new.key)), position, window, kept)
    _append(views, "values", new.value, position, window, kept)
    exact, logs = _attend(config, evicted, new.query, position, views, neurons)
    features = feature_map(new.query.to(torch.float32), weights.query_map)
    grouped = features.reshape(features.shape[0], views["sums"].shape[1], -1, features.shape[2])
    remembered = (grouped @ views["sums"]).flatten(1, 2)
    grown = ramp(position, window, kept, torch.float32)
    heads = correct(join(exact, remembered, logs, x, grown, weights), x, grown, weights)
    _evict(config, evicted, weights, position, views)
    return heads


def _angles(config: Config, position: Tensor, like: Tensor) -> Angles:
    pairs = config.rotated // 2
    frequencies = config.rope_theta ** (-2.0 * torch.arange(pairs, dtype=torch.float64, device=position.device) / max(config.rotated, 1))
    turned = (position.to(torch.float64)[:, None] * frequencies)[:, None]
    return Angles(turned.cos().to(like.dtype), turned.sin().to(like.dtype))


def _append(views: Views, kind: str, rows: Tensor, position: Tensor, window: int, kept: int) -> None:
    """Into the window, or beside it while the text's first tokens are read."""
    held: Rows = quantise_rows(rows) if f"near_{kind}{SCALES}" in views else rows.to(torch.float32)
    for name, at, here in (("near", (position - kept) % window, position >= kept), ("kept", position, position < kept)):
        if views[f"{name}_{kind}"].shape[1]:
            parts = ((held.codes, ""), (held.scales, SCALES)) if isinstance(held, Int8Rows) else ((held, ""),)
            for part, suffix in parts:
                _put(views[f"{name}_{kind}{suffix}"], at, here, part.to(torch.float32))


def _put(held: Tensor, at: Tensor, here: Tensor, rows: Tensor) -> None:
    """`held[s, at[s]] = rows[s]` where `here[s]`."""
    index = at.clamp(0, held.shape[1] - 1)[:, None, None, None].expand(-1, 1, *held.shape[2:])
    held.scatter_(1, index, torch.where(here[:, None, None, None], rows[:, None], held.gather(1, index)))


def _attend(
    config: Config, evicted: EvictedTokens, query: Tensor, position: Tensor, views: Views, neurons: Neurons
) -> tuple[Tensor, Tensor]:
    """Softmax over kept, near and salient tokens, each meeting the query at its own distance: heads, and the log of the sum."""
    assert config.window is not None
    window, kept = config.window, config.kept_tokens
    near_at = torch.arange(window, device=position.device)
    # The position that a slot of the window holds: the last one that falls there.
    held = position[:, None] - (position[:, None] - kept - near_at) % window
    slots = torch.arange(evicted.salient, device=position.device)
    gone = (position - window - kept + 1).clamp(min=0)
    parts = (
        (position.clamp(max=evicted.sink_cap), "kept", torch.arange(kept, device=position.device) <= position[:, None]),
        (position, "near", held >= kept),
        (torch.full_like(position, window), "salient", slots < gone[:, None]),
    )
    scores, values = [], []
    for at, name, seen in parts:
        fired = neurons(rotate(query, _angles(config, at, query)), "query", seen.sum(dim=1)[:, None, None])
        keys = dense(views, f"{name}_keys")
        grouped = fired.to(torch.float32).reshape(fired.shape[0], keys.shape[2], -1, keys.shape[3])
        score = torch.einsum("bngd,bsnd->bngs", grouped, keys) * float(config.head_dim**-0.5)
        scores.append(score.masked_fill(~seen[:, None, None], float("-inf")))
        values.append(dense(views, f"{name}_values"))
    joined = torch.cat(scores, dim=-1)
    logs = joined.logsumexp(dim=-1)
    out = torch.einsum("bngs,bsnd->bngd", (joined - logs[..., None]).exp(), torch.cat(values, dim=1))
    return out.flatten(1, 2), logs.flatten(1)


def _evict(config: Config, evicted: EvictedTokens, weights: EvictedWeights, position: Tensor, views: Views) -> None:
    """The token that is out of the next query's window joins the sums and perhaps the salient ones."""
    assert config.window is not None
    leaving = position + 1 - config.window
    leaves = leaving >= config.kept_tokens
    at = (leaving - config.kept_tokens) % config.window
    rows = {kind: _row(views, f"near_{kind}", at) for kind in ("keys", "values")}
    turned = _angles(config, leaving, views["sums"])
    keys = rotate(to_dense(rows["keys"], torch.float32), Angles(turned.cosines, -turned.sines))
    features = torch.where(leaves[:, None, None], feature_map(keys, weights.key_map), 0.0)
    values = pad(to_dense(rows["values"], torch.float32), (0, 1), value=1.0)
    decay = weights.log_decay.to(torch.float32).exp()[:, None, None]
    views["sums"].copy_(decay * views["sums"] + features[..., None] * values[..., None, :])
    _keep(
        config, evicted, torch.einsum("bnd,nd->bn", keys, weights.salience.to(torch.float32)), keys, rows["values"], leaving, leaves, views
    )


def _row(views: Views, name: str, at: Tensor) -> Rows:
    """One token of each sequence, `[sequences, kv_heads, dim]`."""

    def taken(held: Tensor) -> Tensor:
        return held.gather(1, at[:, None, None, None].expand(-1, 1, *held.shape[2:]))[:, 0]

    rows = taken(views[name])
    return Int8Rows(rows.to(torch.int8), taken(views[name + SCALES])) if name + SCALES in views else rows


def _keep(
    config: Config,
    evicted: EvictedTokens,
    salience: Tensor,
    keys: Tensor,
    values: Rows,
    leaving: Tensor,
    leaves: Tensor,
    views: Views,
) -> None:
    """Per KV head: the token takes a slot that is free, or that of the least claim where its own is at least as great."""
    free = leaving - config.kept_tokens
    rate = math.log(2) / evicted.salience_half_life
    positions = views["positions"].to(torch.float64)
    claims = views["salience"].to(torch.float64) + rate * positions
    taken = torch.arange(evicted.salient, device=free.device)[:, None] < free[:, None, None]
    # Of equal claims the earlier token goes.
    least = torch.where(taken, claims, torch.inf).amin(dim=1, keepdim=True)
    slot = torch.where(taken & (claims == least), positions, torch.inf).argmin(dim=1)
    has_room = (free < evicted.salient)[:, None]
    slot = torch.where(has_room, free.clamp(0, evicted.salient - 1)[:, None], slot)
    own = salience.to(torch.float64) + rate * leaving.to(torch.float64)[:, None]
    enters = leaves[:, None] & (has_room | (own >= least[:, 0]))
    new_keys: Rows = quantise_rows(keys) if f"salient_keys{SCALES}" in views else keys
    new = [("salience", salience), ("positions", leaving[:, None].expand_as(slot).to(torch.int32))]
    for name, rows in (("salient_keys", new_keys), ("salient_values", values)):
        new += [(name, rows.codes), (name + SCALES, rows.scales)] if isinstance(rows, Int8Rows) else [(name, rows)]
    for name, row in new:
        held = views[name]
        index = slot[:, None].reshape(*slot[:, None].shape, *[1] * (held.dim() - 3)).expand(-1, 1, *held.shape[2:])
        mask = enters.reshape(*enters.shape, *[1] * (held.dim() - 3))[:, None]
        held.scatter_(1, index, torch.where(mask, row.to(held.dtype)[:, None], held.gather(1, index)))
