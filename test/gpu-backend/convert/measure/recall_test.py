"""Texts that ask for what was told before, and who answers them."""

import random

import torch
from spikingbrain.convert.measure.recall import LEAD_TOKENS, Asked, answered, needle
from spikingbrain.convert.trunk.cache import KeyValueCache, continue_greedily
from spikingbrain.convert.trunk.reader import TrunkReader, make_branches
from spikingbrain.convert.trunk.teacher import teacher_residual
from support.byte_tokenizer import bytes_only
from support.convert_models import REACH, TEACHER, busy_branches, text_of, trunk_of


def test_a_needle_is_told_once_and_asked_for_at_its_distance() -> None:
    tokenizer = bytes_only()
    filler = torch.tensor(tokenizer.encode("x" * 200).ids)
    asked = needle(tokenizer, "", filler, 100, random.Random(3))
    text = tokenizer.decode(asked.tokens.tolist())
    number = text[-4:]
    assert asked.answer == 4 and number.isdigit()
    assert text.count(number) == 2
    before, _, after = text.partition(f" is {number}.\n")
    assert before.count("x" * LEAD_TOKENS) == 1
    assert after.startswith("x" * 100 + "\nWhat is the secret number of the ")
    assert needle(tokenizer, "", filler, 100, random.Random(4)).tokens.tolist() != asked.tokens.tolist()


def test_the_cache_reads_as_one_pass_does() -> None:
    trunk, texts = trunk_of(), torch.stack([text_of(12, seed) for seed in (1, 2)])
    cache = KeyValueCache.empty(trunk, 2, 12)
    with torch.no_grad():
        steps = torch.stack([cache.read(texts[:, at], at) for at in range(12)], dim=1)
        for text, step in zip(texts, steps, strict=True):
            torch.testing.assert_close(step, teacher_residual(trunk, text), rtol=1e-4, atol=1e-4)


def test_a_greedy_answer_counts_and_another_does_not() -> None:
    trunk = trunk_of()
    prompts = [text_of(9, 1).tolist(), text_of(30, 2).tolist()]
    answers = continue_greedily(trunk, prompts, 5)
    asked = [Asked(torch.tensor(prompt + answer), 5) for prompt, answer in zip(prompts, answers, strict=True)]
    wrong = Asked(asked[0].tokens.clone(), 5)
    wrong.tokens[-3] = (wrong.tokens[-3] + 1) % TEACHER.vocabulary
    student = TrunkReader(trunk, REACH, make_branches(trunk.config, REACH, stateless=True))
    assert answered(trunk, {"student": student}, asked[:1], 128) == {"teacher": 1, "student": 1}
    assert answered(trunk, {"student": student}, [wrong], 128) == {"teacher": 0, "student": 0}
    busy = TrunkReader(trunk, REACH, busy_branches(trunk))
    assert answered(trunk, {"busy": busy}, asked[1:], 128)["teacher"] == 1
