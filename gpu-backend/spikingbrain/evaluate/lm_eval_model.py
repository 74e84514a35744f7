"""The reference model for EleutherAI's `lm-eval` (extra `evaluate`). Logic is in `harness.py`; this only speaks the harness's language."""

from collections.abc import Sequence
from typing import Any

from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import normalize_gen_kwargs
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from spikingbrain.checkpoint.errors import CheckpointError

from .harness import Pair, ReferenceHarness

MOST_GENERATED_TOKENS = 256


class ReferenceModel(TemplateLM):  # type: ignore[misc]
    """Hand an instance to `lm_eval.simple_evaluate`."""

    def __init__(self, harness: ReferenceHarness) -> None:
        super().__init__()
        self._harness = harness

    @property
    def eot_token_id(self) -> int:
        return self._harness.prefix_token

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **others: object) -> list[int]:
        return self._harness.encode(string)

    def _loglikelihood_tokens(self, requests: Sequence[tuple[object, list[int], list[int]]], **others: object) -> list[tuple[float, bool]]:
        return self._harness.score_pairs([(context, continuation) for _, context, continuation in requests])

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        totals = []
        for (text,) in (request.args for request in requests):
            tokens, width = self._harness.encode(text), self._harness.max_length - 1
            windows = get_rolling_token_windows(tokens, self._harness.prefix_token, width, context_len=1)
            pairs: list[Pair] = [make_disjoint_window(window) for window in windows]
            totals.append(sum(total for total, _ in self._harness.score_pairs(pairs)))
        return totals

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        answers = []
        for context, options in (request.args for request in requests):
            wanted = normalize_gen_kwargs(options, MOST_GENERATED_TOKENS)
            if wanted["do_sample"]:
                raise CheckpointError(f"generation must be greedy (do_sample false or temperature 0); it is {options}")
            answers.append(self._harness.generate(context, wanted["until"], wanted["max_gen_toks"]))
        return answers
