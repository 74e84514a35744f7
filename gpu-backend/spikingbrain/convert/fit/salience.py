"""Which keys will be asked for: per KV head a direction `u`, whose product with a key is the token's claim to be kept exactly.

`u` is fitted to what keeping is for: of the attention that the teacher's queries give to tokens beyond the window, as much as possible is
to go to tokens that are kept. Of those that have left, the ones with the greatest `u . k` are kept; the loss is the attention that the
others would have had. For a gradient the choice is softened to `sigmoid((u . k_j - threshold) / width)`, with the threshold at which as
many are kept as there are slots.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spikingbrain.convert.data.batches import Drawn
from spikingbrain.convert.trunk.frozen import Trunk
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.teacher import rotary_for, teacher_layers
from spikingbrain.convert.work import Work

# Of the queries of a document or chat, one in so many is asked: neighbours attend alike.
STRIDE = 4
# What few queries have met counts for less: its mean says little.
LEAST_QUERIES = 32
# Slots are fewer than the settings have, by these factors, one after another: as if the text were so many times as long. A conversation is.
LONGER = (1.0, 1.6, 2.7, 5.3)
STEPS = 150
RATE = 0.03
# Of the softened choice, in standard deviations of the claims.
WIDTH = 0.25
# Newton's steps to the threshold.
THRESHOLD_STEPS = 4


def salience(work: Work) -> None:
    """The stage: leaves `salience.pt`."""
    path, settings = work.folder / "salience.pt", work.settings.salience
    if path.is_file():
        return
    fit, mix = SalienceFit(work.trunk, work.settings.reach), work.mix(settings, 2)
    read = sum(fit.add(mix.sequence(sequence, settings.tokens)) for sequence in range(settings.sequences))
    work.report(f"{read} of {settings.sequences} sequences are long enough")
    torch.save(fit.fitted(), path)


@dataclass(frozen=True)
class Seen:
    """One text as the teacher's far queries see it; heads are all layers' KV heads, one after the other."""

    keys: Tensor
    """Of the tokens that leave the window, `[heads, tokens, head_dim]` f32, not rotated."""
    wanted: Tensor
    """`[heads, tokens]` f32: the mean attention that a token has from the queries for which it is beyond the window."""


class SalienceFit:
    """Directions for what the texts it has read ask for."""

    def __init__(self, trunk: Trunk, reach: Reach) -> None:
        self.trunk, self.reach = trunk, reach
        self.seen: list[Seen] = []

    def add(self, drawn: Drawn) -> bool:
        """One text, read by the teacher; of a conversation about what was told long before, only answers ask. Gives whether it was long
        enough to say anything."""
        asked, count = _asking(drawn, self.reach.window), drawn.tokens.shape[0]
        leaving = slice(self.reach.kept, count - self.reach.window)
        if leaving.stop <= leaving.start or asked.numel() == 0:
            return False
        with torch.no_grad():
            self.seen.append(self._seen(drawn.tokens, asked, leaving))
        return True

    def _seen(self, tokens: Tensor, asked: Tensor, leaving: slice) -> Seen:
        rotary = rotary_for(self.trunk, 0, tokens.shape[0])
        apart = asked[:, None] - torch.arange(tokens.shape[0])
        met = (apart >= self.reach.window).sum(dim=0)[leaving].clamp(min=LEAST_QUERIES)
        all_keys, all_wanted = [], []
        for index, normed, _ in teacher_layers(self.trunk, tokens):
            query, key, _ = self.trunk.project(self.trunk.layers[index], normed)
            attention = _attention(rotary(query)[asked], rotary(key), apart)
            mass = attention.masked_fill_(apart < self.reach.window, 0.0).sum(dim=1)[:, leaving]
            all_keys.append(key[leaving].transpose(0, 1).float())
            all_wanted.append(mass / met)
        return Seen(torch.cat(all_keys), torch.cat(all_wanted))

    def fitted(self) -> Tensor:
        """`[layers, kv_heads, head_dim]` f32. Claims vary by about 1 from token to token: against that stands what age costs. Zero where no
        text was long enough."""
        config = self.trunk.config
        directions = torch.zeros(len(self.trunk.layers) * config.kv_heads, config.head_dim)
        if self.seen:
            directions = _descended(self.seen, self.reach.salient)
        return directions.view(len(self.trunk.layers), config.kv_heads, config.head_dim)


def _asking(drawn: Drawn, window: int) -> Tensor:
    """Positions of the queries that are asked."""
    if drawn.answers is None:
        return torch.arange(window, drawn.tokens.shape[0], STRIDE)
    answering = drawn.answers[1:].nonzero()[:, 0]
    return answering[answering >= window]


def _attention(query: Tensor, key: Tensor, apart: Tensor) -> Tensor:
    """`[kv_heads, asked, tokens]` f32, of rotated queries and keys: of a KV head's queries the one that attends most."""
    kv_heads, dim = key.shape[1:]
    scores = torch.einsum("tngd,snd->ngts", query.view(len(query), kv_heads, -1, dim), key).float() * dim**-0.5
    attention: Tensor = scores.masked_fill_(apart < 0, float("-inf")).softmax(dim=-1).amax(dim=1)
    return attention


def _descended(seen: Sequence[Seen], slots: int) -> Tensor:
    """From the mean key that is asked for, seen from the mean of all, downhill; every head by itself, at a pace that does not depend on how
    much is asked of it."""
    directions = _scaled(torch.stack([_contrast(text) for text in seen]).mean(dim=0), seen).requires_grad_()
    optimiser = torch.optim.Adam([directions], lr=RATE)
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        optimiser.zero_grad()
        for index, text in enumerate(seen):
            kept = softly_kept(_claims(text, directions), max(1, round(slots / LONGER[(index + step) % len(LONGER)])))
            (text.wanted * (1 - kept)).sum().backward()  # type: ignore[no-untyped-call]
        assert directions.grad is not None
        directions.grad /= directions.grad.norm(dim=1, keepdim=True) + 1e-9
        optimiser.step()
    return _scaled(directions.detach(), seen)


def softly_kept(claims: Tensor, slots: int) -> Tensor:
    """How much of each token is kept, from 0 to 1, `slots` in all or close to it, by claims `[heads, tokens]`; its gradient moves tokens
    past each other, not all at once."""
    if slots >= claims.shape[1]:
        return torch.ones_like(claims)
    held = claims.detach()
    width = WIDTH * held.std(dim=1, keepdim=True) + 1e-9
    above = (held - held.topk(slots, dim=1).values[:, -1:]) / width
    for _ in range(THRESHOLD_STEPS):
        kept = above.sigmoid()
        above = above - ((kept.sum(dim=1, keepdim=True) - slots) / _slope(kept).sum(dim=1, keepdim=True).clamp(min=1)).clamp(-1, 1)
    slope = _slope(above.sigmoid())
    # The threshold goes along with the claims near it.
    moved = (claims - (slope * claims).sum(dim=1, keepdim=True) / slope.sum(dim=1, keepdim=True)) / width
    return (above + moved - moved.detach()).sigmoid()


def _slope(kept: Tensor) -> Tensor:
    return kept * (1 - kept)


def _claims(text: Seen, directions: Tensor) -> Tensor:
    return torch.einsum("htd,hd->ht", text.keys, directions)


def _contrast(text: Seen) -> Tensor:
    shares = text.wanted / (text.wanted.sum(dim=1, keepdim=True) + 1e-12)
    return torch.einsum("ht,htd->hd", shares, text.keys) - text.keys.mean(dim=1)


def _scaled(directions: Tensor, seen: Sequence[Seen]) -> Tensor:
    """So that a text's claims have a standard deviation of 1, on the average."""
    spread = torch.stack([_claims(text, directions).std(dim=1) for text in seen]).mean(dim=0)
    return directions / (spread[:, None] + 1e-9)
