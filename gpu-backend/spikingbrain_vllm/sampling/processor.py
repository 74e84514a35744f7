"""vLLM's logits processor for it: of each row that asks for it, the one chosen token is left.

It comes before everything that could choose otherwise, and after what vLLM reports as log-probabilities, which thus stay the model's own.
The draws need no state but the number of tokens that the output has, so preemption, caches and the mixture of a batch change nothing."""

from dataclasses import replace

import torch
from spikingbrain.sampling.choose import NONE, choose
from spikingbrain.sampling.settings import Sampling
from spikingbrain.sampling.tally import Tally
from torch import Tensor
from vllm import SamplingParams
from vllm.config import VllmConfig
from vllm.v1.sample.logits_processor.builtin import process_dict_updates
from vllm.v1.sample.logits_processor.interface import BatchUpdate, LogitsProcessor

from spikingbrain_vllm.sampling.request import ChosenHere
from spikingbrain_vllm.state.request import check_object
from spikingbrain_vllm.telemetry.counting import Counting
from spikingbrain_vllm.telemetry.tally import key_of


class _Row:
    """`output` is vLLM's own list, which grows with every step."""

    def __init__(self, chosen: ChosenHere, vocabulary: int, prompt: list[int], output: list[int]) -> None:
        self.sampling = _within(chosen.sampling, vocabulary)
        self.tally = Tally(prompt, chosen.continued, counts=self.sampling.adjusts)
        self._banned = [series for series in chosen.banned if max(series) < vocabulary]
        self._before = prompt[len(prompt) - chosen.continued :]
        self.output = output

    def forbidden(self) -> list[int]:
        """Tokens that would end a banned series."""
        if not self._banned:
            return []
        longest = max(map(len, self._banned))
        said = [*self._before, *self.output][-longest:]
        return [last for *first, last in self._banned if said[len(said) - len(first) :] == first]


class ChoosingProcessor(LogitsProcessor):
    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """The one place where a plugin sees each request before vLLM takes it. Raises ValueError that names field and rule."""
        ChosenHere.of(sampling_params)
        check_object(sampling_params.extra_args)
        key_of(sampling_params.extra_args)

    def __init__(self, vllm_config: VllmConfig, device: torch.device, is_pin_memory: bool) -> None:
        self._vocabulary = vllm_config.model_config.get_vocab_size()
        self._rows: dict[int, _Row] = {}
        self._counting = Counting.of(vllm_config)

    def is_argmax_invariant(self) -> bool:
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        process_dict_updates(self._rows, batch_update, self._row)
        self._counting.update(batch_update)

    def apply(self, logits: Tensor) -> Tensor:
        """`[sequences, vocabulary]` f32, in place. A row that has no token, because its numbers are not finite, stays as it is."""
        self._counting.step_done()
        if not self._rows:
            return logits
        rows = sorted(self._rows)
        for row in rows:
            self._rows[row].tally.follow(self._rows[row].output)
        at = torch.tensor(rows, device=logits.device)
        for row in rows:
            forbidden = self._rows[row].forbidden()
            if forbidden:
                logits[row, forbidden] = float("-inf")
        own = logits[at]
        chosen = choose([(self._rows[row].sampling, self._rows[row].tally) for row in rows], own)
        only = torch.full_like(own, float("-inf")).scatter_(1, chosen.clamp(min=0)[:, None], 0.0)
        logits[at] = torch.where((chosen == NONE)[:, None], own, only)
        return logits

    def _row(self, params: SamplingParams, prompt: list[int] | None, output: list[int]) -> _Row | None:
        chosen = ChosenHere.of(params)
        return None if chosen is None else _Row(chosen, self._vocabulary, prompt or [], output)


def _within(sampling: Sampling, vocabulary: int) -> Sampling:
    """What the vocabulary has not cannot be chosen, whatever is said of it."""
    return replace(
        sampling,
        logit_bias=tuple(pair for pair in sampling.logit_bias if pair[0] < vocabulary),
        stop_tokens=tuple(token for token in sampling.stop_tokens if token < vocabulary),
    )
