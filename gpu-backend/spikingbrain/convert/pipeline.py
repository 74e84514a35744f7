"""A conversion from start to end, in stages that each leave files behind and are passed by where those are there:

1. `data`      documents of training and held-out packages and files, as tokens (`data/text/`)
2. `chats`     what the teacher writes when it is asked, for training and held out (`data/chat.py`)
3. `copies`    conversations about facts that were told long before (`data/copies.py`), where the settings want any
4. `salience`  which evicted tokens to keep exactly, from what the teacher attends to (`fit/salience.py`); of the evicted form only
5. `transfer`  every layer's branch learns what its full attention gave (`train/transfer.py`), and the stateless control on the same batches
6. `distil`    both learn the teacher's distribution through all layers (`train/distil.py`), from where transfer left them
7. `sft`       both learn the answers of given chats (`train/sft.py`), where the settings have steps for it
8. `evaluate`  perplexity by position, divergence and agreement on held-out documents and chats (`measure/evaluation.py`)
9. `ablate`    the same with parts of the memory switched off (`measure/ablation.py`), where the settings have documents for it; of the
   evicted form only
10. `far`      perplexity behind long texts (`measure/far.py`); of the evicted form only
11. `recall`   what is known of text that has left the window (`measure/recall.py`); of the evicted form only
12. `spikes`   thresholds per site and what they cost (`spikes/calibrate.py`); of the evicted form only
13. `spike-distil` the trunk learns to be read through such thresholds (`train/spike_distil.py`), where the settings have points for it;
    of the evicted form only
14. `export`   the delta (`export/delta.py`), or the whole model of another form, and the curves (`measure/curves.py`)

A stage that was stopped goes on at its last checkpoint. Under `torchrun` all processes share what there is to do: layers in transfer,
sequences in distillation and fine-tuning, texts in evaluation; training has the losses that one process has. The other stages run in the
first.

Other forms (`hybrid/`), and any form whose weights the processes share out, are trained in a tower (`blocks/`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from spikingbrain.convert.data.stages import chats, copies, data, salience
from spikingbrain.convert.export.stages import export
from spikingbrain.convert.measure.stages import ablate, evaluate, far, recall
from spikingbrain.convert.settings import Settings
from spikingbrain.convert.spikes.stages import spike_distil, spikes
from spikingbrain.convert.train.stages import distil, sft, transfer
from spikingbrain.convert.train.team import Team
from spikingbrain.convert.work import Report, Work


@dataclass(frozen=True)
class Stage:
    run: Callable[[Work], None]
    shared: bool = False
    """Whether all processes take part."""
    evicted_only: bool = False


IN_ORDER: Mapping[str, Stage] = {
    "data": Stage(data),
    "chats": Stage(chats),
    "copies": Stage(copies),
    "salience": Stage(salience, evicted_only=True),
    "transfer": Stage(transfer, shared=True),
    "distil": Stage(distil, shared=True),
    "sft": Stage(sft, shared=True),
    "evaluate": Stage(evaluate, shared=True),
    "ablate": Stage(ablate, evicted_only=True),
    "far": Stage(far, evicted_only=True),
    "recall": Stage(recall, evicted_only=True),
    "spikes": Stage(spikes, evicted_only=True),
    "spike-distil": Stage(spike_distil, evicted_only=True),
    "export": Stage(export),
}

STAGES = tuple(IN_ORDER)


def convert(settings: Settings, team: Team, report: Report, stages: Sequence[str] = STAGES) -> None:
    """The named stages in their order."""
    work = Work(settings, team, report)
    for name, stage in IN_ORDER.items():
        if name not in stages:
            continue
        if stage.evicted_only and settings.hybrid is not None:
            work.report(f"{name}: only where the form is 'evicted'")
            continue
        work.report(name)
        if stage.shared or team.leads:
            stage.run(work)
        team.wait()
