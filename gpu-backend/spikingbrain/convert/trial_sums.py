"""A trial beside the pipeline: would other sums than those of the evicted-tokens mixer give more of what full attention gave?

    python -m spikingbrain.convert.trial_sums SETTINGS.toml [--steps 60]

In three layers, sums alone (no salient tokens, no correction) learn as in `transfer`: from the teacher's hidden states, for the normalised
error after o beyond the window. Forms: the mixer's own 128 features, twice as many from two maps side by side, and the mixer's own with a
delta rule, which writes of a value what the sums do not yet recall for its key. Prints errors on held-out sequences, untrained and trained.
"""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad, softplus

from spikingbrain.convert.settings import Shares, read_settings
from spikingbrain.convert.train.optimiser import clip, make_optimiser, schedule
from spikingbrain.convert.train.team import Team
from spikingbrain.convert.train.transfer import layer_error
from spikingbrain.convert.trunk.branch import Carry, Segment
from spikingbrain.convert.trunk.evicted import CHUNK_TOKENS, LEAST_NORMALISER, LONGEST_HALF_LIFE, Shape, decayed_sums, features
from spikingbrain.convert.trunk.firing import Firing
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.student import Positions, read_exactly, shape_of
from spikingbrain.convert.trunk.teacher import teacher_layers
from spikingbrain.convert.work import Work

LAYERS = (9, 15, 21)
TOKENS = 1_536
HELD_OUT = 3
CHAT_SHARE = 0.2
WINDOW = "window"


@dataclass(frozen=True)
class Form:
    maps: int = 1
    """Feature maps side by side, each of `2 * head_dim` features."""
    delta: bool = False


FORMS = {"128 features": Form(), "256 features": Form(maps=2), "128 features, delta rule": Form(delta=True)}


class Sums(nn.Module):
    """Of one layer, mixed with the window as the evicted-tokens mixer mixes its own."""

    def __init__(self, shape: Shape, reach: Reach, form: Form) -> None:
        super().__init__()
        self.shape, self.reach = shape, reach
        generator = torch.Generator().manual_seed(1)
        identity = torch.eye(shape.head_dim)
        turned = [torch.linalg.qr(torch.randn(identity.shape, generator=generator))[0] for _ in range(form.maps - 1)]
        first, count = torch.cat([identity, *turned], dim=1), 2 * form.maps * shape.head_dim
        self.query_map = nn.Parameter(first.repeat(shape.heads, 1, 1))
        self.key_map = nn.Parameter(first.repeat(shape.kv_heads, 1, 1))
        self.query_bias = nn.Parameter(torch.zeros(shape.heads, count))
        self.key_bias = nn.Parameter(torch.zeros(shape.kv_heads, count))
        self.decay = nn.Parameter(torch.full((shape.kv_heads,), math.log(math.expm1(math.log(2) / LONGEST_HALF_LIFE))))
        self.mix_weight = nn.Parameter(torch.zeros(shape.heads, shape.hidden))
        self.mix_bias = nn.Parameter(torch.full((shape.heads,), -1.5))
        self.mix_normaliser = nn.Parameter(torch.zeros(shape.heads))
        self.mix_match = nn.Parameter(torch.zeros(shape.heads))
        self.written = nn.Parameter(torch.zeros(shape.kv_heads)) if form.delta else None

    def forward(self, segment: Segment) -> Tensor:
        """`[tokens, heads, head_dim]`, of a segment that begins its text."""
        shape, tokens = self.shape, segment.query.shape[0]
        evictable = (torch.arange(tokens) >= self.reach.kept)[:, None, None]
        key = self._behind(features(segment.key, self.key_map, self.key_bias) * evictable)
        value = self._behind(segment.value)
        query = features(segment.query, self.query_map, self.query_bias)
        log_decay = -math.log(2) / LONGEST_HALF_LIFE - softplus(self.decay)
        if self.written is not None:
            value = corrected(key, value, log_decay, self.written.sigmoid()).to(value.dtype)
        carried = torch.zeros(shape.kv_heads, query.shape[-1], shape.head_dim + 1)
        sums, _ = decayed_sums(query, key, value, log_decay, carried)
        numerator, normaliser = sums[..., :-1], sums[..., -1:]
        read = linear(segment.normed, self.mix_weight.to(segment.normed.dtype)).float() + self.mix_bias
        match = self.mix_match * (normaliser[..., 0] + LEAST_NORMALISER).log()
        share = segment.ramp * (read + self.mix_normaliser * segment.normaliser + match).sigmoid()
        window = segment.out.float()
        mixed: Tensor = window + share[..., None] * (numerator / (normaliser + LEAST_NORMALISER) - window)
        return mixed.to(segment.out.dtype)

    def _behind(self, rows: Tensor) -> Tensor:
        """Row t is that of the token which leaves the window at t."""
        return torch.cat([rows.new_zeros(self.reach.window, *rows.shape[1:]), rows])[: rows.shape[0]]


def corrected(key: Tensor, value: Tensor, log_decay: Tensor, written: Tensor) -> Tensor:
    """Values of the delta rule: `u_t = v_t - w (k_t / |k_t|^2) g S_(t-1)` for `S_t = g S_(t-1) + k_t u_t`, chunk by chunk.

    `key` `[tokens, kv_heads, features]`, `value` `[tokens, kv_heads, value_dim]`, `log_decay` (of g) and `written` (w) `[kv_heads]`; f32.
    Within a chunk u solves a triangular system: of a key, what the chunk's earlier ones have written is taken off as well.
    """
    tokens, (share, rate) = key.shape[0], (written[:, None, None], log_decay[:, None, None])
    rest = -tokens % CHUNK_TOKENS
    keys, values = (pad(rows, (0, 0, 0, 0, 0, rest)).float().transpose(0, 1) for rows in (key, value))
    probes = keys / keys.square().sum(dim=-1, keepdim=True).clamp(min=LEAST_NORMALISER)
    at = torch.arange(CHUNK_TOKENS, dtype=torch.float32)
    apart = at[:, None] - at
    earlier = (rate * apart.clamp(min=0)).exp() * (apart > 0)
    since, until = (rate * (at + 1)[:, None]).exp(), (rate * (CHUNK_TOKENS - 1 - at)[:, None]).exp()
    state, parts = keys.new_zeros(keys.shape[0], keys.shape[-1], values.shape[-1]), []
    for begin in range(0, keys.shape[1], CHUNK_TOKENS):
        k, probe, v = (rows[:, begin : begin + CHUNK_TOKENS] for rows in (keys, probes, values))
        system = torch.eye(CHUNK_TOKENS) + share * (probe @ k.transpose(1, 2)) * earlier
        u = torch.linalg.solve_triangular(system, v - share * ((probe * since) @ state), upper=False, unitriangular=True)
        state = state * (rate * CHUNK_TOKENS).exp() + (k * until).transpose(1, 2) @ u
        parts.append(u)
    return torch.cat(parts, dim=1).transpose(0, 1)[:tokens]


class Trial:
    def __init__(self, work: Work) -> None:
        self.work = work
        shape, reach = shape_of(work.trunk.config), work.settings.reach
        self.models = {name: nn.ModuleDict({str(layer): Sums(shape, reach, form) for layer in LAYERS}) for name, form in FORMS.items()}
        self.optimisers = {name: make_optimiser(model, 1.0) for name, model in self.models.items()}

    def learn(self, tokens: Tensor, step: int, steps: int) -> dict[str, list[float]]:
        for optimiser in self.optimisers.values():
            schedule(optimiser, step, steps)
        errors = self.read(tokens, learning=True)
        for name, optimiser in self.optimisers.items():
            for model in self.models[name].values():
                clip(model.parameters())
            optimiser.step()
            optimiser.zero_grad()
        return errors

    def read(self, tokens: Tensor, learning: bool = False) -> dict[str, list[float]]:
        """The error of each form, and of the window alone, by layer."""
        work, trunk = self.work, self.work.trunk
        reach, begin = work.settings.reach, work.settings.begin
        positions, empty = Positions(trunk, reach, 0, tokens.shape[0]), Carry.empty(shape_of(trunk.config), reach, trunk.embedding.dtype)
        errors: dict[str, list[float]] = {name: [] for name in (WINDOW, *FORMS)}
        for index, normed, added in teacher_layers(trunk, tokens):
            if index > max(LAYERS):
                break
            if index not in LAYERS:
                continue
            layer, wanted = trunk.layers[index], added[begin:].float()
            with torch.no_grad():
                segment, *_ = read_exactly(trunk, layer, normed, empty, positions, None, Firing())
                errors[WINDOW].append(layer_error(layer, segment.out[begin:], wanted).item())
            for name, model in self.models.items():
                with torch.set_grad_enabled(learning):
                    error = layer_error(layer, model[str(index)](segment)[begin:], wanted)
                if learning:
                    error.backward()  # type: ignore[no-untyped-call]
                errors[name].append(error.item())
        return errors

    def measure(self, texts: Sequence[Tensor]) -> Mapping[str, list[float]]:
        found = [self.read(text) for text in texts]
        return {name: [round(sum(each) / len(each), 4) for each in zip(*(one[name] for one in found), strict=True)] for name in found[0]}


def sequences(work: Work, stage: int, count: int) -> list[Tensor]:
    """The first of a mix that are long enough."""
    mix, found, number = work.mix(Shares(chat_share=CHAT_SHARE), stage), list[Tensor](), 0
    while len(found) < count:
        tokens = mix.sequence(number, TOKENS).tokens
        number += 1
        if tokens.shape[0] == TOKENS:
            found.append(tokens)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Compares forms of the sums in three layers.")
    parser.add_argument("settings", type=Path, help="of a conversion whose stages to `chats` have run")
    parser.add_argument("--steps", type=int, default=60)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    work = Work(read_settings(given.settings), Team(), print)
    trial, held = Trial(work), sequences(work, 7, HELD_OUT)
    print(json.dumps({"layers": LAYERS, "untrained": trial.measure(held)}), flush=True)
    for step, tokens in enumerate(sequences(work, 6, given.steps)):
        errors = trial.learn(tokens, step, given.steps)
        print(json.dumps({"step": step} | {name: round(sum(each) / len(each), 4) for name, each in errors.items()}), flush=True)
    print(json.dumps({"trained": trial.measure(held)}), flush=True)


if __name__ == "__main__":
    main()
