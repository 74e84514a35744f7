"""Runs `lm-eval` (extra `evaluate`) on the reference model, or on a server by its OpenAI-style completions endpoint."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lm_eval
from lm_eval.tasks import TaskManager

from spikingbrain.checkpoint.errors import CheckpointError, naming
from spikingbrain.checkpoint.fast_tokenizer import write_fast_tokenizer
from spikingbrain.checkpoint.gguf_file import read_gguf_metadata
from spikingbrain.checkpoint.gguf_tokenizer import tokenizer_from_metadata
from spikingbrain.checkpoint.json_file import read_object
from spikingbrain.checkpoint.tokenizer import Tokenizer, read_tokenizer

from .harness import ReferenceHarness
from .lm_eval_model import ReferenceModel
from .subject import Subject


def evaluate_reference(
    subject: Subject, tasks: Sequence[str], max_length: int, include_path: Path | None, limit: int | None
) -> dict[str, Any]:
    """Metrics by task of a model in this process."""
    harness = ReferenceHarness(subject.scorer, subject.tokenizer, subject.ends, max_length)
    return _evaluate(ReferenceModel(harness), None, tasks, include_path, limit)


def evaluate_server(
    url: str, served_name: str, tokenizer_path: Path, tasks: Sequence[str], max_length: int, include_path: Path | None, limit: int | None
) -> dict[str, Any]:
    """Metrics by task of a served model, through lm-eval's `local-completions`: token-id prompts, echo, log-probabilities.

    The server's key is taken from the environment's OPENAI_API_KEY.
    """
    tokenizer = _tokenizer(tokenizer_path)
    if tokenizer.eos is None:
        raise CheckpointError(f"{tokenizer_path}: the tokenizer must name an end token")
    with tempfile.TemporaryDirectory() as directory:
        write_fast_tokenizer(tokenizer, Path(directory))
        arguments = {
            "model": served_name,
            "base_url": url,
            "tokenizer": directory,
            "tokenizer_backend": "huggingface",
            "tokenized_requests": True,
            "max_length": max_length,
            # What stands before a text without context; the reference model takes the same.
            "custom_prefix_token_id": tokenizer.eos,
        }
        return _evaluate("local-completions", arguments, tasks, include_path, limit)


def _evaluate(
    model: object, arguments: dict[str, Any] | None, tasks: Sequence[str], include_path: Path | None, limit: int | None
) -> dict[str, Any]:
    manager = TaskManager(include_path=str(include_path) if include_path is not None else None)
    found = lm_eval.simple_evaluate(model, arguments, tasks=list(tasks), limit=limit, task_manager=manager, log_samples=False)
    results: dict[str, Any] = found["results"]
    return results


def _tokenizer(path: Path) -> Tokenizer:
    if path.suffix == ".gguf":
        with naming(path):
            tokenizer = tokenizer_from_metadata(read_gguf_metadata(path))
        if tokenizer is None:
            raise CheckpointError(f"{path} has no tokenizer")
        return tokenizer
    vocabulary = read_object(path / "config.json").get("vocab_size")
    if not isinstance(vocabulary, int):
        raise CheckpointError(f"{path / 'config.json'}: vocab_size must be an integer; it is {vocabulary!r}")
    return read_tokenizer(path, vocabulary)
