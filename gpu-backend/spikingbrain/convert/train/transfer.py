"""The stage `transfer`, layer by layer: what is new in every layer learns to give what the layer's full attention gives, from the teacher's
own hidden states.

Each step reads a fresh sequence once through the teacher and takes one optimiser step in every layer on the way; nothing is cached. The
loss is the squared error after o, normalised, over positions that something has left the window of (`gpu-backend/docs/conversion.md`).
"""

from spikingbrain.convert.student import Measures
from spikingbrain.convert.train.run import is_begun
from spikingbrain.convert.work import Work


def transfer(work: Work) -> None:
    def learn(number: int, index: int) -> Measures:
        return student.transfer_step(mix.sequence(number * training.sequences + index, training.tokens).tokens, layers)

    training, mix = work.settings.transfer, work.mix(work.settings.transfer, 0)
    student, shares, count = work.student(), work.team.shares_weights, len(work.source.config.layers)
    layers = range(count) if shares else work.team.part(count)
    if not is_begun(work.folder / "transfer"):
        with work.team.device:
            student.start(mix.sequence(0, training.tokens).tokens)
    work.train("transfer", training, student, learn, by_layers=not shares)
