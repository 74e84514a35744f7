"""Bias and penalties."""

from collections.abc import Sequence

import torch
from torch import Tensor

from spikingbrain.sampling.settings import Sampling, f32
from spikingbrain.sampling.tally import Tally

SMALLEST_F32 = torch.finfo(torch.float32).min
Row = tuple[Sampling, Tally]


def forbid_stops(rows: Sequence[Row], logits: Tensor) -> None:
    """Stop tokens get no weight before an output is long enough. Changes `logits`, `[rows, vocabulary]` f32."""
    short = [row for row, (sampling, tally) in enumerate(rows) if tally.generated < sampling.min_tokens]
    places = [(row, token) for row in short for token in rows[row][0].stop_tokens]
    if places:
        at = placed(places, torch.int64, logits)
        logits[at[:, 0], at[:, 1]] = float("-inf")


def adjusted(rows: Sequence[Row], logits: Tensor) -> Tensor:
    """Logits `[rows, vocabulary]` f32 after bias and penalties. Choices depend on differences only, so what outgrows f32 is told by its
    distance from the largest."""
    if not any(sampling.adjusts for sampling, _ in rows):
        return logits
    reach = placed([sampling.reach(tally.generated) for sampling, tally in rows], torch.float32, logits)
    adjusts = placed([sampling.adjusts for sampling, _ in rows], torch.bool, logits)
    outgrows = adjusts & (logits.isfinite() & (logits.abs() >= reach[:, None])).any(dim=1)
    narrow = _apply(rows, logits.clone())
    if not bool(outgrows.any()):
        return narrow
    wide = _apply(rows, logits.to(torch.float64))
    largest = wide.amax(dim=1, keepdim=True)
    below = (wide - largest).to(torch.float32).clamp(min=SMALLEST_F32)
    wide_enough = torch.where(largest.isfinite(), torch.where(wide == float("-inf"), float("-inf"), below), logits)
    return torch.where(outgrows[:, None], wide_enough, narrow)


def _apply(rows: Sequence[Row], logits: Tensor) -> Tensor:
    """In the logits' own precision."""
    _bias(rows, logits)
    _repetition([(row, *of) for row, of in enumerate(rows) if of[0].repetition_penalty != 1.0], logits)
    _presence_and_frequency([(row, *of) for row, of in enumerate(rows) if of[0].subtracts], logits)
    return logits


def _bias(rows: Sequence[Row], logits: Tensor) -> None:
    """A token that is named twice is added to twice, one after the other."""
    additions: list[list[tuple[int, int, float]]] = []
    for row, (sampling, _) in enumerate(rows):
        named: dict[int, int] = {}
        for token, bias in sampling.logit_bias:
            before = named.get(token, 0)
            named[token] = before + 1
            if before == len(additions):
                additions.append([])
            additions[before].append((row, token, f32(bias)))
    for of_different_tokens in additions:
        at = placed([(row, token) for row, token, _ in of_different_tokens], torch.int64, logits)
        biases = placed([bias for _, _, bias in of_different_tokens], torch.float64, logits)
        logits[at[:, 0], at[:, 1]] += biases.to(logits.dtype)


def _repetition(rows: Sequence[tuple[int, Sampling, Tally]], logits: Tensor) -> None:
    if not rows:
        return
    tokens = [tally.seen() for _, _, tally in rows]
    at = _of_each([row for row, _, _ in rows], tokens, logits), torch.cat(tokens).to(logits.device)
    penalty = _of_each([sampling.penalty for _, sampling, _ in rows], tokens, logits).to(logits.dtype)
    found = logits[at]
    logits[at] = torch.where(found > 0, found / penalty, found * penalty)


def _presence_and_frequency(rows: Sequence[tuple[int, Sampling, Tally]], logits: Tensor) -> None:
    if not rows:
        return
    each = [tally.output() for _, _, tally in rows]
    tokens, counts = [one for one, _ in each], torch.cat([one for _, one in each]).to(logits.device)
    presence = _of_each([sampling.presence_penalty for _, sampling, _ in rows], tokens, logits).to(torch.float32)
    frequency = _of_each([sampling.frequency_penalty for _, sampling, _ in rows], tokens, logits).to(torch.float32)
    at = _of_each([row for row, _, _ in rows], tokens, logits), torch.cat(tokens).to(logits.device)
    logits[at] = logits[at] - (presence + frequency * counts).to(logits.dtype)


def _of_each(values: Sequence[float], tokens: Sequence[Tensor], like: Tensor) -> Tensor:
    """A row's value for each of its tokens, int64 or f64."""
    lengths = torch.tensor([len(of_row) for of_row in tokens])
    dtype = torch.int64 if isinstance(values[0], int) else torch.float64
    return torch.tensor(values, dtype=dtype).repeat_interleave(lengths).to(like.device, non_blocking=True)


def placed(values: object, dtype: torch.dtype, like: Tensor) -> Tensor:
    """Where `like` is."""
    return torch.tensor(values, dtype=dtype).to(like.device, non_blocking=True)
