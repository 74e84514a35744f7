"""The three training stages of what is new beside the teacher, in a trunk or in a tower (`blocks/`)."""

from collections.abc import Iterable, Mapping
from typing import cast

import torch
from torch import nn

from spikingbrain.convert.blocks import steps
from spikingbrain.convert.data.answers import open_answers
from spikingbrain.convert.data.conversations import read_conversations
from spikingbrain.convert.hybrid.rates import mixer_rate
from spikingbrain.convert.settings import Supervised, Training
from spikingbrain.convert.train.distil import distil_step, learnt_positions
from spikingbrain.convert.train.optimiser import branch_rate
from spikingbrain.convert.train.run import Learn, Measures, Run, load_branches
from spikingbrain.convert.train.sft import sft_step
from spikingbrain.convert.train.transfer import soften, transfer_step
from spikingbrain.convert.trunk.branch import Branches
from spikingbrain.convert.work import Work


def transfer(work: Work) -> None:
    def learn(number: int, index: int) -> Measures:
        tokens = mix.sequence(number * training.sequences + index, training.tokens).tokens
        if tower is not None:
            return steps.transfer_step(tower, tokens.to(work.team.device), layers, work.settings.begin)
        return transfer_step(work.trunk, work.settings.reach, branches, tokens, layers)

    training, mix = work.settings.transfer, work.mix(work.settings.transfer, 0)
    tower, branches = work.tower(), work.branches()
    count, shares = len(work.source.config.layers), work.team.shares_weights
    layers = range(count) if shares else work.team.part(count)
    if tower is not None and work.settings.hybrid is not None and not (work.folder / "transfer" / "checkpoint.pt").is_file():
        with work.team.device:
            steps.set_loudness(tower, mix.sequence(0, training.tokens).tokens.to(work.team.device))
    _train(work, "transfer", training, tower.trained if tower is not None else branches, learn, by_layers=not shares)


def distil(work: Work) -> None:
    def learn(number: int, index: int) -> Measures:
        sequence = number * training.sequences + index
        drawn = mix.sequence(sequence, training.tokens)
        generator = torch.Generator().manual_seed(work.settings.seed * 1_000_003 + sequence)
        chosen = learnt_positions(drawn, work.settings.begin, generator)
        if tower is not None:
            return steps.distil_step(tower, drawn.tokens.to(work.team.device), chosen.to(work.team.device))
        return distil_step(work.trunk, work.settings.reach, branches, drawn.tokens, chosen)

    training, mix = work.settings.distil, work.mix(work.settings.distil, 1)
    tower, branches = work.tower(), work.branches()
    variants = tower.trained if tower is not None else branches
    if work.settings.transfer.steps > 0:
        load_branches(work.folder / "transfer", variants)
        if work.settings.hybrid is None:
            soften(cast(Iterable[Branches], variants.values()))
    _train(work, "distil", training, variants, learn)


def sft(work: Work) -> None:
    def learn(number: int, index: int) -> Measures:
        tokens, mask = answers.sequence(work.settings.seed, number * training.sequences + index, training.tokens, begin)
        if tower is not None:
            return steps.sft_step(tower, tokens.to(work.team.device), mask.to(work.team.device), begin)
        return sft_step(work.trunk, work.settings.reach, branches, tokens, mask)

    training, begin = work.settings.sft, work.settings.begin
    if training.steps == 0:
        work.report("sft: no steps in the settings")
        return
    if work.team.leads and not (work.folder / "sft.json").is_file():
        conversations = read_conversations(training.files, training.messages_field)
        work.write_answers("sft", conversations)
    work.team.wait()
    answers, tower, branches = open_answers(work.folder / "sft"), work.tower(), work.branches()
    variants = tower.trained if tower is not None else branches
    load_branches(work.folder / work.stage_before_sft, variants)
    _train(work, "sft", training, variants, learn)


def _train(
    work: Work, stage: str, training: Training | Supervised, variants: Mapping[str, nn.ModuleList], learn: Learn, by_layers: bool = False
) -> None:
    run = Run(
        work.folder / stage,
        variants,
        training.steps,
        training.sequences,
        training.rate_factor,
        by_layers,
        rate_of=branch_rate if work.settings.hybrid is None else mixer_rate,
        team=work.team,
    )
    with work.team.device:
        run.go(learn, work.report)
