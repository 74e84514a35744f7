"""The stage `distil`: the whole student's next-token distribution is drawn to the teacher's, through all layers at once."""

import torch
from torch import Tensor

from spikingbrain.convert.data.batches import Drawn
from spikingbrain.convert.student import Measures
from spikingbrain.convert.train.run import load_branches
from spikingbrain.convert.trunk.losses import answer_positions
from spikingbrain.convert.work import Work
from spikingbrain.rules import ConfigError


def distil(work: Work) -> None:
    def learn(number: int, index: int) -> Measures:
        sequence = number * training.sequences + index
        drawn = mix.sequence(sequence, training.tokens)
        generator = torch.Generator().manual_seed(work.settings.seed * 1_000_003 + sequence)
        return student.distil_step(drawn.tokens, learnt_positions(drawn, work.settings.begin, generator))

    training, mix, student = work.settings.distil, work.mix(work.settings.distil, 1), work.student()
    if work.settings.transfer.steps > 0:
        load_branches(work.folder / "transfer", student.trained)
        student.after_transfer()
    work.train("distil", training, student, learn)


def learnt_positions(drawn: Drawn, begin: int, generator: torch.Generator) -> Tensor:
    """Where students are drawn to the teacher, from position `begin` on: at the answers of a conversation that is about what has left the
    window, since other positions have others to learn from; else at a random half."""
    if drawn.answers is None:
        return some_positions(drawn.tokens.shape[0], begin, generator)
    chosen = answer_positions(drawn.answers, begin)
    if chosen.numel() == 0:
        raise ConfigError("data.copies_between", f"so few tokens that an answer is within {drawn.tokens.shape[0]}", "none")
    return chosen


def some_positions(tokens: int, begin: int, generator: torch.Generator) -> Tensor:
    """A random half of the positions from `begin` on."""
    count = (tokens - begin) // 2
    return torch.randperm(tokens - begin, generator=generator, device=generator.device)[:count] + begin
