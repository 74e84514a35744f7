"""TTFT and tokens a second."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vllm import RequestOutput

from spikingbrain_vllm.verify.engine import ask, engine, greedy, prompt

FEW = 64
"""Tokens of a prompt before anything is timed."""


def measure_speed(
    folder: Path,
    vocabulary: int,
    lengths: Sequence[int],
    *,
    decoded: int,
    batch: int,
    rounds: int = 1,
    **choices: Any,  # noqa: ANN401
) -> list[dict[str, float]]:
    """Of each length and round: TTFT of one prompt, tokens a second of one answer after it, and of a batch of answers to short prompts."""
    longest = max(lengths) + decoded + 1
    found = []
    with engine(folder, load_format="dummy", max_model_len=longest, max_num_seqs=max(batch, 1), **choices) as llm:
        ask(llm, [prompt(FEW, vocabulary, 0)] * batch, greedy(4))
        for number in range(rounds):
            for length in lengths:
                outputs, whole = ask(llm, [prompt(length, vocabulary, 1 + number)], greedy(1 + decoded))
                answering = _answering(outputs[0])
                found.append({"round": number, "tokens": length, "ttft": whole - answering, "decode": decoded / answering})
            texts = [prompt(FEW, vocabulary, 100 + index) for index in range(batch)]
            _, seconds = ask(llm, texts, greedy(decoded))
            found.append({"round": number, "tokens": FEW, "batch": batch, "throughput": batch * decoded / seconds})
    return found


def _answering(output: RequestOutput) -> float:
    """Seconds from the first of an answer's tokens to the last, by the engine's own clock."""
    times: Any = output.metrics
    return max(float(times.last_token_ts - times.first_token_ts), 1e-9)
