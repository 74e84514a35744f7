"""Scores against a plain softmax, perplexity and retrieval of models whose answer is known, and what a harness asks."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.fast_tokenizer import text_tokenizer, write_fast_tokenizer
from spikingbrain.checkpoint.tokenizer import read_tokenizer
from spikingbrain.cli.main import main
from spikingbrain.evaluate import scorer as scorer_module
from spikingbrain.evaluate.corpus import read_documents, repository_documents
from spikingbrain.evaluate.harness import ReferenceHarness
from spikingbrain.evaluate.needle import needle
from spikingbrain.evaluate.perplexity import perplexity
from spikingbrain.evaluate.scorer import ReferenceScorer, TokenScores
from spikingbrain.model.model import Model
from spikingbrain.model.weights import gather_weights
from spikingbrain.rules import ConfigError
from support.checkpoint_files import random_tensors, write_config, write_weights
from support.checkpoint_models import CONFIGS, IDS, SEVEN, VOCABULARY, tokenizer_json, write_json, write_tokenizer
from tokenizers import Tokenizer as FastTokenizer

END = IDS["<|endoftext|>"]


@pytest.fixture
def tokenizer(tmp_path: Path) -> FastTokenizer:
    write_tokenizer(tmp_path)
    return text_tokenizer(read_tokenizer(tmp_path, VOCABULARY))


def _model(name: str = SEVEN.name) -> Model:
    return Model(CONFIGS[name], gather_weights(CONFIGS[name], random_tensors(CONFIGS[name]).__getitem__))


def test_the_tokenizer_is_that_of_its_file(tmp_path: Path, tokenizer: FastTokenizer) -> None:
    original = FastTokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = "hello the héllo <|im_start|>12 the  \n\n<tool_call>'s 你好"
    assert tokenizer.encode(text).ids == original.encode(text).ids
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text
    before = read_tokenizer(tmp_path, VOCABULARY)
    write_fast_tokenizer(before, tmp_path)
    assert FastTokenizer.from_file(str(tmp_path / "tokenizer.json")).encode(text).ids == original.encode(text).ids
    assert read_tokenizer(tmp_path, VOCABULARY) == before


@pytest.mark.parametrize("name", list(CONFIGS))
def test_scores_are_those_of_one_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer_module, "SEGMENT_TOKENS", 7)
    model = _model(name)
    tokens = torch.randint(VOCABULARY, (30,), generator=torch.Generator().manual_seed(4)).tolist()
    rows = model.logits(torch.tensor(tokens)).log_softmax(-1)
    scored = ReferenceScorer(model).score(tokens[:11], [tokens[11:], tokens[11:13], [int(rows[10].argmax())]])
    expected = [rows[at - 1, tokens[at]].item() for at in range(11, 30)]
    assert scored[0].logprobs == pytest.approx(expected, abs=1e-4)
    assert scored[1].logprobs == pytest.approx(expected[:2], abs=1e-4)
    assert scored[0].greedy == [int(rows[at - 1].argmax()) == tokens[at] for at in range(11, 30)]
    assert scored[2].is_greedy


def test_greedy_tokens_are_the_most_probable_ones() -> None:
    model, context = _model(), [5, 9, 200]
    tokens = list(context)
    for _ in range(6):
        tokens.append(int(model.logits(torch.tensor(tokens))[-1].argmax()))
    expected = tokens[3:]
    scorer = ReferenceScorer(model)
    assert list(scorer.generate(context, 6, every=4)) == [expected[:4], expected]
    assert list(scorer.generate(context, 6, ends=[expected[2]]))[-1] == expected[: expected.index(expected[2])]


class _Uniform:
    """Thinks every token equally probable."""

    def score(self, context: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[TokenScores]:
        loss = -math.log(VOCABULARY)
        return [TokenScores([loss] * len(continuation), [False] * len(continuation)) for continuation in continuations]


class _Remembering:
    """Expects what followed the last occurrence of the five tokens before, as an ideal copier would."""

    def __init__(self, window: int) -> None:
        self._window = window

    def score(self, context: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[TokenScores]:
        return [self._one(list(context), list(continuation)) for continuation in continuations]

    def _one(self, seen: list[int], tokens: list[int]) -> TokenScores:
        right = []
        for token in tokens:
            begin = max(0, len(seen) - self._window)
            found = [at for at in range(begin, len(seen) - 5) if seen[at : at + 5] == seen[-5:]]
            right.append(bool(found) and seen[found[-1] + 5] == token)
            seen.append(token)
        return TokenScores([-0.1 if one else -9.0 for one in right], right)


def test_a_uniform_model_has_its_vocabulary_for_perplexity(tokenizer: FastTokenizer) -> None:
    texts = ["hello the hello " * 20, "x", "the end"]
    found = perplexity(_Uniform(), tokenizer, texts, length=16)
    counts = [len(tokenizer.encode(text).ids) for text in texts]
    # A stretch of one token has nothing to score, and the first of each is context.
    stretches = [length for count in counts for length in [16] * (count // 16) + [count % 16] if length > 1]
    assert found.tokens == sum(length - 1 for length in stretches)
    assert found.perplexity == pytest.approx(VOCABULARY)
    assert found.bits_per_byte == pytest.approx(found.tokens * math.log2(VOCABULARY) / found.bytes)
    assert perplexity(_Uniform(), tokenizer, texts, length=16, limit=20).tokens == 15 + 3


def test_perplexity_of_the_reference_is_that_of_one_pass(tokenizer: FastTokenizer) -> None:
    model, text = _model(), "hello, the world; hello the end"
    tokens = torch.tensor(tokenizer.encode(text).ids)
    expected = torch.nn.functional.cross_entropy(model.logits(tokens)[:-1], tokens[1:]).exp().item()
    found = perplexity(ReferenceScorer(model), tokenizer, [text], length=1_000)
    assert found.perplexity == pytest.approx(expected, rel=1e-5)
    assert found.bytes == len(text) - len(tokenizer.id_to_token(int(tokens[0])) or "")


def test_needles_are_found_by_who_remembers_and_only_by_them(tokenizer: FastTokenizer) -> None:
    text = "the quick brown fox jumps over the lazy dog. " * 10
    found = {(score.length, score.depth): score for score in needle(_Remembering(300), tokenizer, text, [250, 600], [0.0, 1.0], trials=4)}
    assert all(found[length, 1.0].chosen == found[length, 1.0].exact == 4 for length in (250, 600))
    assert found[250, 0.0].exact == 4
    assert found[600, 0.0].exact == 0
    assert found[600, 0.0].chosen == 0
    assert all(score.chosen == score.exact == 0 for score in needle(_Uniform(), tokenizer, text, [250], [0.5], trials=3))
    with pytest.raises(ConfigError, match=r"length must be more than the \d+ tokens of fact and question; it is 20"):
        needle(_Uniform(), tokenizer, text, [20], [0.5], trials=1)


def _harness(tokenizer: FastTokenizer, max_length: int = 64) -> ReferenceHarness:
    return ReferenceHarness(ReferenceScorer(_model()), tokenizer, [END], max_length)


def test_a_harness_gets_pairs_in_their_order(tokenizer: FastTokenizer) -> None:
    harness, model = _harness(tokenizer), _model()
    pairs = [([1, 2, 3], [4]), ([1, 2, 3], [5, 6]), ([9], [4, 4]), ([1, 2, 3], [4])]
    found = harness.score_pairs(pairs)
    for (context, continuation), (total, _) in zip(pairs, found, strict=True):
        rows = model.logits(torch.tensor([*context, *continuation])).log_softmax(-1)
        expected = sum(rows[len(context) - 1 + at, token].item() for at, token in enumerate(continuation))
        assert total == pytest.approx(expected, abs=1e-4)
    assert found[0] == pytest.approx(found[3])


def test_a_long_context_is_cut_from_its_left(tokenizer: FastTokenizer) -> None:
    context = list(range(100))
    (long,) = _harness(tokenizer, max_length=20).score_pairs([(context, [7, 8])])
    (short,) = _harness(tokenizer, max_length=1_000).score_pairs([(context[-18:], [7, 8])])
    assert long == pytest.approx(short)
    with pytest.raises(ConfigError, match=r"continuation must be shorter than max_length, 20 tokens; it is 20"):
        _harness(tokenizer, max_length=20).score_pairs([([1], [2] * 20)])


def test_answers_end_at_a_stop_string(tokenizer: FastTokenizer) -> None:
    harness = _harness(tokenizer)
    whole = harness.generate("hello the", [], 20)
    assert len(whole) > 4
    stop = whole[3:5]
    assert harness.generate("hello the", ["never there", stop], 20) == whole[: whole.index(stop)]
    assert harness.generate("", [], 4) == tokenizer.decode(list(ReferenceScorer(_model()).generate([END], 4, [END]))[-1])


def test_corpus() -> None:
    documents = repository_documents()
    assert any("Apache License" in document for document in documents)
    with pytest.raises(CheckpointError, match=r"nothing.txt cannot be read as text"):
        read_documents([Path("nothing.txt")])


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    write_config(folder, replace(SEVEN, end_tokens=()))
    write_weights(folder, random_tensors(SEVEN))
    write_tokenizer(folder)
    (tmp_path / "text.txt").write_text("hello the quick brown fox " * 8)
    return folder


def test_commands_print_their_measurements(capsys: pytest.CaptureFixture[str], checkpoint: Path, tmp_path: Path) -> None:
    arguments = ["evaluate", "perplexity", "--model", str(checkpoint), "--text", str(tmp_path / "text.txt"), "--limit", "50"]
    assert main(arguments) == 0
    plain = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert plain["tokens"] == 49
    assert main([*arguments, "--spikes", "paper"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["perplexity"] != plain["perplexity"]
    arguments = ["evaluate", "needle", "--model", str(checkpoint), "--text", str(tmp_path / "text.txt")]
    assert main([*arguments, "--length", "120", "--depth", "0.5", "--trials", "2"]) == 0
    (score,) = json.loads(capsys.readouterr().out.splitlines()[-1])["needle"]
    assert (score["length"], score["depth"], score["trials"]) == (120, 0.5, 2)


def test_commands_refuse_what_they_cannot_do(capsys: pytest.CaptureFixture[str], checkpoint: Path) -> None:
    (checkpoint / "tokenizer.json").unlink()
    assert main(["evaluate", "perplexity", "--model", str(checkpoint)]) == 1
    assert "has no tokenizer, without which no text can be evaluated" in capsys.readouterr().err
    write_json(checkpoint / "tokenizer.json", tokenizer_json())
    for arguments, message in (
        (["--tasks", "x"], "one of --model and --url is needed, and not both"),
        (["--tasks", "x", "--url", "http://127.0.0.1:1"], "--url needs --served-name and --tokenizer"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(["evaluate", "lm-eval", *arguments])
        assert caught.value.code == 2
        assert message in capsys.readouterr().err


def test_the_tasks_name_files_that_are_there() -> None:
    """From the repository's root, where the harness runs."""
    tasks = Path(__file__).parent / "tasks"
    named = [line.split(": ")[1] for task in tasks.glob("*.yaml") for line in task.read_text().splitlines() if ".jsonl" in line]
    assert sorted(Path(__file__).parents[3] / name for name in named) == sorted(tasks.glob("*.jsonl"))
