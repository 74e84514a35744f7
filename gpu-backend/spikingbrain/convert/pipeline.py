"""A conversion from start to end, in stages that each leave files behind and are passed by where those are there:

1. `data`      documents of training and held-out packages and files, as tokens (`text/`)
2. `chats`     what the teacher writes when it is asked, for training and held out (`text/chat.py`)
3. `salience`  which evicted tokens to keep exactly, from what the teacher attends to (`salience.py`); of the evicted form only
4. `transfer`  every layer's branch learns what its full attention gave (`transfer.py`), and the stateless control on the same batches
5. `distil`    both learn the teacher's distribution through all layers (`distil.py`), from where transfer left them
6. `sft`       both learn the answers of given chats (`sft.py`), where the settings have steps for it
7. `evaluate`  perplexity by position, divergence and agreement on held-out documents and chats (`evaluation.py`)
8. `far`       perplexity behind long texts (`far.py`); of the evicted form only
9. `recall`    what is known of text that has left the window (`recall.py`); of the evicted form only
10. `spikes`   thresholds per site and what they cost (`calibrate.py`); of the evicted form only
11. `export`   the delta (`delta.py`), or the whole model of another form, and the curves (`curves.py`)

A stage that was stopped goes on at its last checkpoint. Under `torchrun` all processes share what there is to do: layers in transfer,
sequences in distillation and fine-tuning, texts in evaluation; training has the losses that one process has. The other stages run in the
first.

Other forms (`hybrid/`), and any form whose weights the processes share out, are trained in a tower (`blocks/`).
"""

import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from functools import cached_property
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from spikingbrain.checkpoint.opening import find_tokenizer, open_checkpoint
from spikingbrain.checkpoint.source import WeightSource
from spikingbrain.config import Spiking
from spikingbrain.convert import towers
from spikingbrain.convert.batches import Mix
from spikingbrain.convert.blocks import steps
from spikingbrain.convert.blocks.tower import Tower, TowerStudent
from spikingbrain.convert.calibrate import MODE, Calibration, Choice, Trial, Trials, choose, multiply_accumulates
from spikingbrain.convert.curves import draw_runs
from spikingbrain.convert.delta import base_of, write_delta
from spikingbrain.convert.distil import distil_step
from spikingbrain.convert.evaluation import evaluate, held_out_documents
from spikingbrain.convert.far import perplexities, running_text
from spikingbrain.convert.hybrid.form import Hybrid, hybrid_config
from spikingbrain.convert.hybrid.mixer import mixer_tensors
from spikingbrain.convert.hybrid.rates import mixer_rate
from spikingbrain.convert.optimiser import branch_rate
from spikingbrain.convert.recall import LEAD_TOKENS, answered, needle, questions
from spikingbrain.convert.result import ConvertedSource, branch_tensors, converted_config
from spikingbrain.convert.run import Learn, Measures, Run, load_branches
from spikingbrain.convert.salience import SalienceFit, put_salience
from spikingbrain.convert.settings import Settings, Supervised, Training
from spikingbrain.convert.sft import sft_step
from spikingbrain.convert.team import Team
from spikingbrain.convert.text.answers import open_answers, write_answers
from spikingbrain.convert.text.chat import ChatSampler, Sampling
from spikingbrain.convert.text.chat_template import ChatTemplate
from spikingbrain.convert.text.conversations import read_conversations
from spikingbrain.convert.text.corpus import open_corpus, write_corpus
from spikingbrain.convert.text.documents import Fields
from spikingbrain.convert.text.gather import gather_documents
from spikingbrain.convert.text.questions import HELD_OUT, TRAINING, Questions
from spikingbrain.convert.text.vocabulary import open_vocabulary, runnable
from spikingbrain.convert.towers import CONTROL, STATE, STUDENT, WINDOW
from spikingbrain.convert.transfer import soften, transfer_step
from spikingbrain.convert.trunk.branch import Branches
from spikingbrain.convert.trunk.evicted import CHUNK_TOKENS
from spikingbrain.convert.trunk.frozen import Trunk, read_trunk
from spikingbrain.convert.trunk.student import Student, make_branches
from spikingbrain.export.gguf_writer import write_gguf
from spikingbrain.export.tensor_type import FileTypeName
from spikingbrain.rules import ConfigError
from spikingbrain.spike.modes import SITES

STAGES = ("data", "chats", "salience", "transfer", "distil", "sft", "evaluate", "far", "recall", "spikes", "export")

EVICTED_STAGES = ("salience", "far", "recall", "spikes")

Report = Callable[[str], None]


class Pipeline:
    def __init__(self, settings: Settings, team: Team, report: Report) -> None:
        self.settings = settings
        self.team = team
        self.report = report if team.leads else _silent
        self.work = settings.work
        self.work.mkdir(parents=True, exist_ok=True)

    @cached_property
    def source(self) -> WeightSource:
        return open_checkpoint(self.settings.teacher)

    @cached_property
    def trunk(self) -> Trunk:
        return read_trunk(self.source)

    def run(self, stages: tuple[str, ...] = STAGES) -> None:
        """The named stages in their order."""
        for stage in STAGES:
            if stage in stages and stage in EVICTED_STAGES and self.settings.hybrid is not None:
                self.report(f"{stage}: only where the form is 'evicted'")
            elif stage in stages:
                self.report(stage)
                alone = stage not in ("transfer", "distil", "sft", "evaluate")
                if not alone or self.team.leads:
                    getattr(self, stage)()
                self.team.wait()

    def data(self) -> None:
        data = self.settings.data
        tokenizer = open_vocabulary(self.settings.teacher, self.source.config.vocabulary)
        for split, packages, files in (("held", data.held_out_packages, data.held_out_files), ("train", data.packages, data.files)):
            if not (self.work / f"{split}.json").is_file():
                fields = Fields(data.text_field, data.source_field)
                documents = gather_documents(packages, files, self.work / "packages", data.most_characters, fields)
                corpus = write_corpus(self.work / split, documents, tokenizer)
                self.report(f"{split}: {len(corpus.sources)} documents, {len(corpus.tokens)} tokens")

    def chats(self) -> None:
        data, seed = self.settings.data, self.settings.seed
        self._chats("train", TRAINING, data.chats, data.chat_tokens, 2 * seed + 1)
        self._chats("held", HELD_OUT, data.held_out_chats, data.held_out_chat_tokens, 2 * seed + 2)

    def _chats(self, split: str, questions: Questions, chats: int, tokens: int, seed: int) -> None:
        path = self.work / f"chat-{split}.npy"
        if path.is_file() or chats == 0:
            return
        tokenizer = open_vocabulary(self.settings.teacher, self.source.config.vocabulary)
        sampler = ChatSampler(self.trunk, tokenizer, questions, seed, Sampling(temperature=self.settings.data.temperature))
        sampled = sampler.sample(chats, tokens, lambda done, total: None if done % 64 else self.report(f"{split}: {done} of {total}"))
        np.save(path, sampled.numpy().astype(np.uint32))

    def salience(self) -> None:
        path, settings = self.work / "salience.pt", self.settings.salience
        if path.is_file():
            return
        fit, mix = SalienceFit(self.trunk, self.settings.reach), self._mix(settings.chat_share, 2)
        for sequence in range(settings.sequences):
            fit.add(mix.sequence(sequence, settings.tokens)[1])
        torch.save(fit.fitted(), path)

    def transfer(self) -> None:
        def learn(number: int, index: int) -> Measures:
            _, tokens = mix.sequence(number * training.sequences + index, training.tokens)
            if tower is not None:
                return steps.transfer_step(tower, tokens.to(self.team.device), layers, self.settings.begin)
            return transfer_step(self.trunk, self.settings.reach, branches, tokens, layers)

        training, mix = self.settings.transfer, self._mix(self.settings.transfer.chat_share, 0)
        tower, branches = self._tower(), self._branches()
        count, shares = len(self.source.config.layers), self.team.shares_weights
        layers = range(count) if shares else self.team.part(count)
        if tower is not None and self.settings.hybrid is not None and not (self.work / "transfer" / "checkpoint.pt").is_file():
            with self.team.device:
                steps.set_loudness(tower, mix.sequence(0, training.tokens)[1].to(self.team.device))
        self._train("transfer", training, tower.trained if tower is not None else branches, learn, by_layers=not shares)

    def distil(self) -> None:
        def learn(number: int, index: int) -> Measures:
            sequence = number * training.sequences + index
            _, tokens = mix.sequence(sequence, training.tokens)
            chosen = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + sequence)
            if tower is not None:
                return steps.distil_step(tower, tokens.to(self.team.device), chosen, self.settings.begin)
            return distil_step(self.trunk, self.settings.reach, branches, tokens, chosen)

        training, mix = self.settings.distil, self._mix(self.settings.distil.chat_share, 1)
        tower, branches = self._tower(), self._branches()
        variants = tower.trained if tower is not None else branches
        if self.settings.transfer.steps > 0:
            load_branches(self.work / "transfer", variants)
            if self.settings.hybrid is None:
                soften(cast(Iterable[Branches], variants.values()))
        self._train("distil", training, variants, learn)

    def sft(self) -> None:
        def learn(number: int, index: int) -> Measures:
            tokens, mask = answers.sequence(self.settings.seed, number * training.sequences + index, training.tokens, begin)
            if tower is not None:
                return steps.sft_step(tower, tokens.to(self.team.device), mask.to(self.team.device), begin)
            return sft_step(self.trunk, self.settings.reach, branches, tokens, mask)

        training, begin = self.settings.sft, self.settings.begin
        if training.steps == 0:
            self.report("sft: no steps in the settings")
            return
        if self.team.leads and not (self.work / "sft.json").is_file():
            self._write_answers(training)
        self.team.wait()
        answers, tower, branches = open_answers(self.work / "sft"), self._tower(), self._branches()
        variants = tower.trained if tower is not None else branches
        load_branches(self.work / self._stage_before_sft, variants)
        self._train("sft", training, variants, learn)

    def _write_answers(self, training: Supervised) -> None:
        table = find_tokenizer(self.settings.teacher, self.source)
        if table is None:
            raise ConfigError("teacher", "a checkpoint with a tokenizer", str(self.settings.teacher))
        conversations = read_conversations(training.files, training.messages_field)
        answers = write_answers(self.work / "sft", conversations, ChatTemplate(table), runnable(table))
        self.report(f"sft: {len(answers.starts) - 1} conversations, {len(answers.tokens)} tokens, {int(answers.mask.sum())} of answers")

    def evaluate(self) -> None:
        if self.settings.hybrid is not None:
            tower = self.trained_tower()
            students = {name: TowerStudent(tower, name) for name in (STUDENT, WINDOW)}
            with self.team.device:
                evaluate(tower.trunk, self.settings, students, self.team, self.report)
            return
        reach, config = self.settings.reach, self.source.config
        variants = self.trained() | {WINDOW: make_branches(config, reach, stateless=True)}
        read = {name: Student(self.trunk, reach, branches) for name, branches in variants.items()}
        evaluate(self.trunk, self.settings, read, self.team, self.report)

    def far(self) -> None:
        evaluation, corpus = self.settings.evaluation, open_corpus(self.work / "held")
        student = Student(self.trunk, self.settings.reach, self.trained()[STATE])
        indices = held_out_documents(corpus, evaluation.far_documents, evaluation.document_tokens)
        documents = [torch.from_numpy(corpus.document(index)[: evaluation.document_tokens].astype(np.int64)) for index in indices]
        stops = [-(-position // CHUNK_TOKENS) * CHUNK_TOKENS for position in (0, *evaluation.far_positions)]
        text, skip = running_text(corpus, indices, stops[-1]), evaluation.document_tokens // 2
        measured = perplexities(student, documents, text, stops, skip, segment=self.settings.mixer.sink_cap)
        found = {"documents": indices, "skipped": skip, "perplexity": measured}
        (self.work / "far.json").write_text(json.dumps(found), encoding="utf-8")
        self.report("far: " + ", ".join(f"{value:.4f} behind {position}" for position, value in measured.items()))

    def recall(self) -> None:
        settings, corpus, seed = self.settings.recall, open_corpus(self.work / "held"), self.settings.seed
        tokenizer = open_vocabulary(self.settings.teacher, self.source.config.vocabulary)
        students = {name: Student(self.trunk, self.settings.reach, branches) for name, branches in self.trained().items()}
        segment, found = self.settings.mixer.sink_cap, {}
        longest = LEAD_TOKENS + max(settings.distances, default=0)
        documents = [torch.from_numpy(corpus.document(index).astype(np.int64)) for index in corpus.longer_than(longest)]
        for distance in settings.distances if settings.needles > 0 else ():
            choice = random.Random(seed)
            asked = [needle(tokenizer, documents[index % len(documents)], distance, choice) for index in range(settings.needles)]
            found[f"number told {distance} tokens ago"] = answered(self.trunk, students, asked, segment)
        chats = {"fact asked at the beginning": [torch.zeros(0, dtype=torch.int64)]}
        if self.settings.data.held_out_chats > 0:
            chats["fact asked behind a chat"] = list(torch.from_numpy(np.load(self.work / "chat-held.npy").astype(np.int64)))
        # In f32, so that the teacher agrees with itself: bf16 rounds otherwise in a batch than alone.
        exact = read_trunk(self.source, torch.float32)
        students = {name: Student(exact, self.settings.reach, branches) for name, branches in self.trained().items()}
        for name, before in chats.items():
            found[name] = answered(exact, students, questions(exact, tokenizer, before), segment)
        (self.work / "recall.json").write_text(json.dumps(found), encoding="utf-8")
        for name, counts in found.items():
            self.report(f"{name}: " + ", ".join(f"{who} {count}" for who, count in counts.items()))

    def spikes(self) -> None:
        settings, corpus = self.settings.spikes, open_corpus(self.work / "held")
        mix, reach = self._mix(settings.chat_share, 3), self.settings.reach
        branches = self.trained()[STATE]
        texts = [mix.sequence(index, settings.tokens)[1] for index in range(settings.sequences)]
        calibration = Calibration(self.trunk, reach, branches, texts)
        trials = self._trials(calibration)
        indices = held_out_documents(corpus, settings.documents, self.settings.evaluation.document_tokens)
        documents = [torch.from_numpy(corpus.document(index)[: settings.document_tokens].astype(np.int64)) for index in indices]
        choices = [Choice(budget, choose(trials, multiply_accumulates(self.source.config, reach), budget)) for budget in settings.budgets]
        lines = calibration.curve(choices, documents, self.report)
        (self.work / "spikes.json").write_text(json.dumps({"curve": lines}), encoding="utf-8")

    def _trials(self, calibration: Calibration) -> Trials:
        """Those of an earlier run, where the work folder has them: they take longest."""
        path = self.work / "thresholds.json"
        if not path.is_file():
            made = calibration.trials(self.settings.spikes.ks, self.report)
            path.write_text(json.dumps({site: [asdict(one) for one in of_site] for site, of_site in made.items()}), encoding="utf-8")
        found = json.loads(path.read_text(encoding="utf-8"))
        return {site: [Trial(**one) for one in found[site]] for site in SITES if site in found}

    def export(self) -> None:
        hybrid, name = self.settings.hybrid, self.settings.name
        if hybrid is None:
            config, path = converted_config(self.source.config, self.settings.reach, name), self.work / f"{name}.delta.gguf"
            tensors, base = branch_tensors(self.trained()[STATE]), base_of(self.settings.teacher)
            write_delta(path, config, tensors, base)
            spiking = self._calibrated()
            if spiking is not None:
                named = replace(config, name=f"{name}-spiking", spiking=spiking)
                write_delta(self.work / f"{name}-spiking.delta.gguf", named, tensors, base)
        else:
            path = self.work / f"{name}.gguf"
            tokenizer = find_tokenizer(self.settings.teacher, self.source)
            write_gguf(self.converted(hybrid), path, cast(FileTypeName, self.settings.export.type), tokenizer)
        self.report(f"wrote {path}")
        draw_runs([self.work / stage for stage in ("transfer", "distil", "sft")], self.work / "curves.svg")

    def _calibrated(self) -> Spiking | None:
        """The thresholds of the curve's point that the settings name; None where the stage has not run."""
        path, chosen = self.work / "spikes.json", self.settings.spikes.chosen
        if not path.is_file():
            return None
        curve = json.loads(path.read_text(encoding="utf-8"))["curve"]
        point = next((point for point in curve if point["budget"] == chosen and chosen > 0), None)
        if point is None:
            raise ConfigError("spikes.chosen", f"one of the curve's budgets, {[point['budget'] for point in curve[1:]]}", chosen)
        return Spiking(mode=MODE, site_k=tuple((site, point["k"][site]) for site in SITES if site in point["k"]))

    def converted(self, hybrid: Hybrid) -> ConvertedSource:
        """The whole model as trained, of a form that is not `evicted`."""
        teacher = self.source.config
        tensors = mixer_tensors(self.trained_tower().variants[STUDENT], teacher.biases.query_key_value)
        return ConvertedSource(self.source, hybrid_config(teacher, hybrid, self.settings.name), tensors)

    def trained(self) -> dict[str, Branches]:
        """The branches as the last training stage that has any steps left them."""
        variants = self._variants()
        load_branches(self.work / self._last_stage, variants)
        return variants

    def trained_tower(self) -> Tower:
        """The same of other forms, whole in every process."""
        assert self.settings.hybrid is not None
        tower = towers.hybrid_tower(self.source, self.settings.hybrid, self.settings, towers.alone(self.team))
        load_branches(self.work / self._last_stage, tower.trained)
        return tower

    @property
    def _last_stage(self) -> str:
        return "sft" if self.settings.sft.steps > 0 else self._stage_before_sft

    @property
    def _stage_before_sft(self) -> str:
        return "distil" if self.settings.distil.steps > 0 else "transfer"

    def _tower(self) -> Tower | None:
        """What is trained, untrained yet; None where branches stand beside a trunk that every process holds (`_branches`)."""
        if self.settings.hybrid is not None:
            return towers.hybrid_tower(self.source, self.settings.hybrid, self.settings, self.team)
        if self.team.shares_weights:
            return towers.evicted_tower(self.source, self.settings.reach, self._fitted_salience(), self.team)
        return None

    def _branches(self) -> dict[str, Branches]:
        """Empty where there is a tower."""
        return {} if self.settings.hybrid is not None or self.team.shares_weights else self._variants()

    def _variants(self) -> dict[str, Branches]:
        """Untrained, with the salience that was fitted."""
        variants = {name: make_branches(self.source.config, self.settings.reach, stateless=name == CONTROL) for name in (STATE, CONTROL)}
        put_salience(self._fitted_salience(), variants.values())
        return variants

    def _fitted_salience(self) -> Tensor:
        path = self.work / "salience.pt"
        if not path.is_file():
            raise ConfigError("salience", "a stage that has run", str(path))
        fitted: Tensor = torch.load(path, weights_only=True)
        return fitted

    def _mix(self, chat_share: float, stage: int) -> Mix:
        chats: npt.NDArray[np.uint32] = np.zeros((0, 0), np.uint32)
        if chat_share > 0:
            path = self.work / "chat-train.npy"
            if not path.is_file():
                raise ConfigError("chat_share", "0 where there are no chats", chat_share)
            chats = np.load(path)
        return Mix(open_corpus(self.work / "train"), chats, chat_share, self.settings.seed * 3 + stage)

    def _train(
        self, stage: str, training: Training | Supervised, variants: Mapping[str, nn.ModuleList], learn: Learn, by_layers: bool = False
    ) -> None:
        run = Run(
            self.work / stage,
            variants,
            training.steps,
            training.sequences,
            training.rate_factor,
            by_layers,
            rate_of=branch_rate if self.settings.hybrid is None else mixer_rate,
            team=self.team,
        )
        with self.team.device:
            run.go(learn, self.report)


def _silent(line: str) -> None:
    """For all processes but the first."""
