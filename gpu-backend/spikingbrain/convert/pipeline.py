"""A conversion from start to end, in stages that each leave files behind and are passed by where those are there:

1. `data`      documents of training and held-out packages and files, as tokens (`data/gather.py`)
2. `chats`     what the teacher writes when it is asked, for training and held out (`data/chat.py`)
3. `copies`    conversations about facts that were told long before (`data/copies.py`), where the settings want any
4. `salience`  which evicted tokens to keep exactly, from what the teacher attends to (`fit/salience.py`); of the evicted form only
5. `transfer`  every layer's branch learns what its full attention gave (`train/transfer.py`), and the stateless control on the same batches
6. `distil`    both learn the teacher's distribution through all layers (`train/distil.py`), from where transfer left them
7. `sft`       both learn the answers of given chats (`train/sft.py`), where the settings have steps for it
8. `evaluate`  perplexity by position, divergence and agreement on held-out documents and chats (`measure/evaluation.py`)
9. `ablate`    the same with parts of the branch switched off (`measure/ablation.py`), where the settings have documents for it; of the
   evicted form only
10. `far`      perplexity behind long texts (`measure/far.py`); of the evicted form only
11. `recall`   what is known of text that has left the window (`measure/recall.py`); of the evicted form only
12. `programs` small functions that the model writes, run (`measure/programs.py`); of the evicted form only
13. `spikes`   thresholds per site and what they cost (`spikes/calibrate.py`); of the evicted form only
14. `spike-distil` the trunk learns to be read through such thresholds (`train/spike_distil.py`), where the settings have points for it;
    of the evicted form only
15. `export`   the delta (`export/delta.py`), or the whole model of another form, and the curves (`measure/curves.py`)

A stage that was stopped goes on at its last checkpoint. Under `torchrun` all processes share what there is to do: layers in transfer,
sequences in distillation and fine-tuning, texts in evaluation; training has the losses that one process has. The other stages run in the
first.

Stages see one interface (`student.py`), whatever is trained: the evicted form over a trunk that every process holds (`trunk/`), or in a
tower (`blocks/`) where the processes share out the weights; other forms (`hybrid/`) always in a tower.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from spikingbrain.convert.data.chat import chats
from spikingbrain.convert.data.copies import copies
from spikingbrain.convert.data.gather import data
from spikingbrain.convert.export.files import export
from spikingbrain.convert.fit.salience import salience
from spikingbrain.convert.measure.ablation import ablate
from spikingbrain.convert.measure.evaluation import evaluate
from spikingbrain.convert.measure.far import far
from spikingbrain.convert.measure.programs import programs
from spikingbrain.convert.measure.recall import recall
from spikingbrain.convert.settings import FORMS, Settings
from spikingbrain.convert.spikes.calibrate import spikes
from spikingbrain.convert.train.distil import distil
from spikingbrain.convert.train.sft import sft
from spikingbrain.convert.train.spike_distil import spike_distil
from spikingbrain.convert.train.team import Team
from spikingbrain.convert.train.transfer import transfer
from spikingbrain.convert.work import Report, Work

EVICTED = ("evicted",)


@dataclass(frozen=True)
class Stage:
    run: Callable[[Work], None]
    shared: bool = False
    """Whether all processes take part."""
    forms: Collection[str] = tuple(FORMS)
    """That it has something to do for."""


IN_ORDER: Mapping[str, Stage] = {
    "data": Stage(data),
    "chats": Stage(chats),
    "copies": Stage(copies),
    "salience": Stage(salience, forms=EVICTED),
    "transfer": Stage(transfer, shared=True),
    "distil": Stage(distil, shared=True),
    "sft": Stage(sft, shared=True),
    "evaluate": Stage(evaluate, shared=True),
    "ablate": Stage(ablate, forms=EVICTED),
    "far": Stage(far, forms=EVICTED),
    "recall": Stage(recall, forms=EVICTED),
    "programs": Stage(programs, forms=EVICTED),
    "spikes": Stage(spikes, forms=EVICTED),
    "spike-distil": Stage(spike_distil, forms=EVICTED),
    "export": Stage(export),
}

STAGES = tuple(IN_ORDER)


def convert(settings: Settings, team: Team, report: Report, stages: Sequence[str] = STAGES) -> None:
    """The named stages in their order."""
    work = Work(settings, team, report)
    for name, stage in IN_ORDER.items():
        if name not in stages:
            continue
        if settings.form not in stage.forms:
            work.report(f"{name}: only where the form is {' or '.join(map(repr, stage.forms))}")
            continue
        work.report(name)
        if stage.shared or team.leads:
            stage.run(work)
        team.wait()
