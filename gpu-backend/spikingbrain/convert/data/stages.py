"""What training reads, and which evicted tokens are kept."""

import random

import numpy as np
import torch

from spikingbrain.convert.data.chat import ChatSampler, Sampling
from spikingbrain.convert.data.copies import Between, conversation
from spikingbrain.convert.data.corpus import open_corpus, write_corpus
from spikingbrain.convert.data.questions import HELD_OUT, TRAINING, Questions
from spikingbrain.convert.data.text.documents import Fields
from spikingbrain.convert.data.text.gather import gather_documents
from spikingbrain.convert.data.vocabulary import open_vocabulary
from spikingbrain.convert.fit.salience import SalienceFit
from spikingbrain.convert.work import Work


def data(work: Work) -> None:
    settings = work.settings.data
    tokenizer = open_vocabulary(work.settings.teacher, work.source.config.vocabulary)
    splits = (("held", settings.held_out_packages, settings.held_out_files), ("train", settings.packages, settings.files))
    for split, packages, files in splits:
        if not (work.folder / f"{split}.json").is_file():
            fields = Fields(settings.text_field, settings.source_field)
            documents = gather_documents(packages, files, work.folder / "packages", settings.most_characters, fields)
            corpus = write_corpus(work.folder / split, documents, tokenizer)
            work.report(f"{split}: {len(corpus.sources)} documents, {len(corpus.tokens)} tokens")


def chats(work: Work) -> None:
    settings, seed = work.settings.data, work.settings.seed
    _chats(work, "train", TRAINING, settings.chats, settings.chat_tokens, 2 * seed + 1)
    _chats(work, "held", HELD_OUT, settings.held_out_chats, settings.held_out_chat_tokens, 2 * seed + 2)


def _chats(work: Work, split: str, questions: Questions, chats: int, tokens: int, seed: int) -> None:
    path = work.folder / f"chat-{split}.npy"
    if path.is_file() or chats == 0:
        return
    tokenizer = open_vocabulary(work.settings.teacher, work.source.config.vocabulary)
    sampler = ChatSampler(work.trunk, tokenizer, questions, seed, Sampling(temperature=work.settings.data.temperature))
    sampled = sampler.sample(chats, tokens, lambda done, total: None if done % 64 else work.report(f"{split}: {done} of {total}"))
    np.save(path, sampled.numpy().astype(np.uint32))


def copies(work: Work) -> None:
    settings = work.settings.data
    if settings.copies == 0 or (work.folder / "copies.json").is_file():
        return
    tokenizer = open_vocabulary(work.settings.teacher, work.source.config.vocabulary)
    least, most = settings.copies_between
    between = Between(open_corpus(work.folder / "train"), tokenizer, least, most)
    drawn = (conversation(random.Random(f"{work.settings.seed} {index}"), between) for index in range(settings.copies))
    work.write_answers("copies", ((f"conversation {index}", messages) for index, messages in enumerate(drawn)))


def salience(work: Work) -> None:
    path, settings = work.folder / "salience.pt", work.settings.salience
    if path.is_file():
        return
    fit, mix = SalienceFit(work.trunk, work.settings.reach), work.mix(settings, 2)
    read = sum(fit.add(mix.sequence(sequence, settings.tokens)) for sequence in range(settings.sequences))
    work.report(f"{read} of {settings.sequences} sequences are long enough")
    torch.save(fit.fitted(), path)
